// plimsoll baseline --explain-rules: where the safe rules and libvirt's answer differently, and why.
import { meet } from '../../core/rows.ts';
import type { Catalog } from '../../cpu/catalog/catalog.ts';
import { QueryError } from '../../cpu/errors.ts';
import type { Input } from '../../dialects/dialect.ts';
import type { Skipped } from '../../fleet/fleet.ts';
import type { Unreadable } from '../../reading/problems.ts';
import { baseline } from '../../solve/baseline.ts';
import {
  type ExplainedRules,
  explainRules,
  type LibvirtOutcome,
  type Step,
} from '../../solve/libvirt/explain-rules.ts';
import { libvirtAnswer } from '../../solve/libvirt/libvirt-answer.ts';
import { candidates } from '../../solve/libvirt/libvirt-decode.ts';
import { allBits } from '../../solve/libvirt/spelt-out.ts';
import type { BaselineOptions } from '../../solve/line/line.ts';
import { hostsOf, openAsked } from '../input/read-fleet.ts';
import type { Call, ExitCode } from '../io.ts';
import { deliver, json } from '../screen/output.ts';
import { definitionLines, findingLines, type Page, pageOf } from '../screen/render.ts';
import { count, printableAll, wrap, wrapSentence } from '../screen/text.ts';
import { type BaselineByLibvirtOptions, solveLibvirt } from './baseline-by-libvirt.ts';
import { type LibvirtRules, libvirtRules, type RuleCpu, ruleCpusOf } from './libvirt-inputs.ts';

export async function runExplainRules(
  call: Call,
  inputs: readonly string[],
  catalog: Catalog,
  how: BaselineOptions,
  options: BaselineByLibvirtOptions,
): Promise<ExitCode> {
  // --stack is of the safe rules here; libvirt's are those of its own version, or of --catalog.
  const { stack: _, ...rest } = options;
  const rules = await libvirtRules(call, rest);
  // Both sides ask the same bytes, and standard input comes once.
  const opened: (Input | Unreadable)[] = [];
  for await (const input of openAsked(catalog, inputs, call.io, options)) opened.push(input);
  const fleet = await hostsOf(catalog, call.io, opened, options);
  const { cpus, skipped } = await ruleCpusOf(rules, opened, options);
  const left = cpus.filter((c) => !(options.without ?? []).includes(c.id));
  const answer = {
    ...explainRules(catalog, baseline(fleet, how), outcome(rules, left, options)),
    ...(skipped.length > 0 ? { skipped } : {}),
  };
  const page = await pageOf(call.io, options);
  await deliver(
    call.io,
    options.json ? json(answer) : render(printableAll(answer), page),
    options.output,
  );
  return 0;
}

function outcome(
  rules: LibvirtRules,
  cpus: readonly RuleCpu[],
  options: BaselineByLibvirtOptions,
): LibvirtOutcome {
  const { catalog, map } = rules;
  try {
    const cpu = solveLibvirt(rules, cpus, options);
    const row = cpus.map((c) => allBits(map, c)).reduce(meet);
    const models = rules.hypervisor?.models ?? rules.models;
    const data = { row, vendor: cpu.vendor, signature: null };
    return {
      stack: map.stack,
      answer: libvirtAnswer(catalog, map, cpu),
      refused: null,
      names: [...new Set(cpus.map((c) => c.cpu.model!))],
      costs: new Map(candidates(map, 'guest', data, models).map((c) => [c.model.name, c.cost])),
    };
  } catch (error) {
    if (!(error instanceof QueryError)) throw error;
    const refused = error.message.replaceAll('\n', '; ');
    return { stack: map.stack, answer: null, refused, names: [], costs: new Map() };
  }
}

function render(answer: ExplainedRules & { skipped?: readonly Skipped[] }, page: Page): string {
  const { paint } = page;
  const side = (
    title: string,
    what: ExplainedRules['safe'],
    stack: readonly string[],
  ): string[] => [
    paint.bold(`${title}: ${count(what.features, 'feature')}`),
    ...(what.definition
      ? definitionLines({ libvirt: what.definition }, stack, page, 4)
      : ['  no definition for libvirt']),
  ];
  const lines = [
    ...side('the safe rules', answer.safe, answer.stacks.safe),
    ...side(`as ${answer.stacks.libvirt.replace('@', ' ')} decides`, answer.libvirt, [
      answer.stacks.libvirt,
    ]),
    '',
    paint.bold(answer.steps.length === 0 ? 'They do not differ' : 'Where they differ'),
    ...answer.steps.flatMap((step) => stepLines(step, page)),
    ...(answer.skipped ? ['', ...findingLines([], answer.skipped, page)] : []),
  ];
  return `${lines.join('\n')}\n`;
}

function stepLines(step: Step, { paint, columns }: Page): string[] {
  const hosts = step.hosts?.length
    ? [`${count(step.count ?? step.hosts.length, 'host')}: ${step.hosts.join(' ')}`]
    : [];
  const body = [
    ...wrap(step.features, columns - 6, 3),
    ...[...hosts, `safe: ${step.safe}`, `libvirt: ${step.libvirt}`, `because ${step.why}`].flatMap(
      (text) => wrapSentence(text, columns - 6),
    ),
  ];
  return [`  ${paint.bold(step.rule)}`, ...body.map((line) => `    ${line}`)];
}
