// plimsoll compare: can these CPUs run on this host, and if not, why not.
import { bitsOf, hasBit, join, meet, minus, type Row, size } from '../core/rows.ts';
import { byBytes } from '../cpu/order.ts';
import type { ClassFacts, Fleet, Member } from '../fleet/fleet.ts';
import type { Comparison, Finding, Verdict } from './answer.ts';
import { splitFindings } from './findings.ts';
import { outside } from './safe.ts';

const X86: ReadonlySet<string> = new Set(['x86_64', 'i686']);

const VERDICTS: readonly Verdict[] = ['identical', 'superset', 'incompatible'];

/** One CPU with the names that its catalog lacks, as a comparison sees it. */
interface Side {
  readonly member: Member;
  readonly facts: ClassFacts;
  readonly has: Row;
  readonly known: Row;
  readonly unnamed: ReadonlySet<string>;
  readonly unnamedUnknown: ReadonlySet<string>;
}

/**
 * Holds every CPU against the first host.
 * @throws RangeError when `host` is not exactly one host.
 */
export function compare(host: Fleet, cpus: Fleet): Comparison {
  if (host.members.length !== 1)
    throw new RangeError(`compare takes one host, not ${host.members.length}`);
  const there = side(host, 0);
  const answers = cpus.members.map((_, i) => compareOne(host, there, side(cpus, i)));
  const findings: Finding[] = [...splitFindings(host), ...splitFindings(cpus)];
  return {
    schema: 'plimsoll.compare/1',
    host: there.member.id,
    verdict: VERDICTS.findLast((v) => answers.some((a) => a.verdict === v)) ?? 'identical',
    cpus: answers,
    findings,
    ...(cpus.skipped.length > 0 ? { skipped: cpus.skipped } : {}),
  };
}

function side(fleet: Fleet, index: number): Side {
  const member = fleet.members[index]!;
  const [has, known] = [fleet.has(member.class), fleet.known(member.class)];
  const at = (row: Row, set: boolean) =>
    new Set(fleet.unnamed.filter((_, i) => hasBit(row, fleet.catalog.bits + i) === set));
  return {
    member,
    facts: fleet.classes[member.class]!,
    has: fleet.narrow(has),
    known: fleet.narrow(known),
    unnamed: at(has, true),
    unnamedUnknown: at(known, false),
  };
}

function compareOne(fleet: Fleet, host: Side, cpu: Side): Comparison['cpus'][number] {
  const { catalog } = fleet;
  // What no answer counts; nested virtualization is asked for when the CPU has it.
  const { never } = outside(catalog, host.facts.vendor, true);
  const policies = policyRows(fleet, cpu.member);
  const needs = minus(minus(cpu.has, never), policies.optional);
  const lacking = minus(needs, host.has);
  const open = minus(lacking, host.known);
  const forbidden = meet(policies.forbid, host.has);
  const missing = [
    ...catalog.names(minus(lacking, open)),
    ...[...cpu.unnamed].filter((n) => !host.unnamed.has(n) && !host.unnamedUnknown.has(n)),
  ].sort(byBytes);
  const unknown = [
    ...catalog.names(open),
    ...[...cpu.unnamed].filter((n) => host.unnamedUnknown.has(n)),
  ].sort(byBytes);
  const extra = [
    ...catalog.names(minus(minus(host.has, never), join(cpu.has, policies.optional))),
    ...[...host.unnamed].filter((n) => !cpu.unnamed.has(n)),
  ].sort(byBytes);

  const reasons: string[] = [];
  if (cpu.facts.arch !== host.facts.arch)
    reasons.push(`its architecture is ${cpu.facts.arch}, the host's ${host.facts.arch}`);
  if (
    cpu.facts.vendor !== null &&
    host.facts.vendor !== null &&
    cpu.facts.vendor !== host.facts.vendor
  )
    reasons.push(`its vendor is ${cpu.facts.vendor}, the host's ${host.facts.vendor}`);
  if (missing.length > 0) reasons.push(`the host lacks ${missing.join(', ')}`);
  if (unknown.length > 0)
    reasons.push(`it is not known whether the host has ${unknown.join(', ')}`);
  if (size(forbidden) > 0)
    reasons.push(`the host has ${catalog.names(forbidden).join(', ')}, which it forbids`);
  const bits = cpu.facts.view === 'guest' ? cpu.facts.physBits : null;
  if (bits !== null && host.facts.physBits !== null && bits > host.facts.physBits)
    reasons.push(`it has ${bits} physical address bits, the host ${host.facts.physBits}`);
  const otherName = nameDifference(host, cpu);
  if (otherName) reasons.push(otherName);
  const layout = xsaveDifference(fleet, host, cpu, needs);
  if (layout) reasons.push(layout);
  if (reasons.length === 0 && cpu.member.element?.match === 'strict' && extra.length > 0)
    reasons.push(`it must match strictly, and the host also has ${extra.join(', ')}`);
  const verdict = reasons.length > 0 ? 'incompatible' : extra.length > 0 ? 'superset' : 'identical';
  return { cpu: cpu.member.id, verdict, missing, extra, unknown, reasons };
}

/** Features by the policies of a guest's definition that are not simply asked for. */
function policyRows({ catalog }: Fleet, { element }: Member): { optional: Row; forbid: Row } {
  const named = (policy: string) =>
    (element?.features ?? []).flatMap((f) =>
      f.policy === policy ? (catalog.findLibvirt(f.name)?.name ?? []) : [],
    );
  return { optional: catalog.row(named('optional')), forbid: catalog.row(named('forbid')) };
}

/** Beside x86 the catalog knows no features, so CPUs of two names may differ in any of them. */
function nameDifference(host: Side, cpu: Side): string | null {
  if (X86.has(host.facts.arch)) return null;
  const [there, here] = [host, cpu].map(({ member }) => member.model?.name ?? 'of no named model');
  return there === here
    ? null
    : `it is ${here}, the host ${there}, and features of ${host.facts.arch} are known by such names alone`;
}

function xsaveDifference({ catalog }: Fleet, host: Side, cpu: Side, needs: Row): string | null {
  for (const id of bitsOf(needs))
    for (const component of catalog.features[id]!.xsave) {
      const [a, b] = [host, cpu].map((s) => s.facts.xsave?.find((x) => x.component === component));
      if (a && b && (a.offset !== b.offset || a.size !== b.size))
        return `XSAVE component ${component} lies at ${b.offset} there and at ${a.offset} on the host`;
    }
  return null;
}
