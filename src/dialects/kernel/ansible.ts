// Ansible: facts and answers of ad-hoc commands. Facts name processors and list no flags, so the host is what a
// slurp of /proc/cpuinfo beside them says.
import type { Catalog } from '../../cpu/catalog/catalog.ts';
import type { Description } from '../../cpu/description.ts';
import { QueryError } from '../../cpu/errors.ts';
import { kernelOf } from '../../cpu/proven/kernel.ts';
import { type Dialect, type Input, orSkip } from '../dialect.ts';
import { kernelFlags } from '../proves.ts';
import { at, decodeText, readJsonStream } from '../text/documents.ts';
import { isObject } from '../text/json.ts';
import { quote } from '../text/lines.ts';
import { endOfString } from '../text/tokens.ts';
import { cpuinfo } from './cpuinfo.ts';

const ANSWER = /^(\S+) \| ([A-Z]+!?) => \{/;
const NAMES = ['inventory_hostname', 'ansible_fqdn', 'ansible_hostname', 'ansible_nodename'];
/** Deeper than any nesting of plays, tasks and hosts. */
const MAX_DEPTH = 12;

interface Found {
  readonly host: string | null;
  readonly line: number;
  readonly value: unknown;
}

export const ansible: Dialect = {
  name: 'ansible',
  recognises: (head) =>
    ANSWER.test(head) ||
    /"ansible_(?:facts|processor|architecture|hostname)"\s*:/.test(head) ||
    (/"encoding"\s*:\s*"base64"/.test(head) && /"content"\s*:/.test(head)),
  proves: [kernelFlags('a slurp of /proc/cpuinfo')],
  read(input, catalog, skip) {
    return answersOf(input).flatMap((found) =>
      orSkip(skip, () => describe(input, catalog, found)).flat(),
    );
  },
};

/** One value a host: of an ad-hoc command, of a map from hosts to facts, or of a file of one host. */
function answersOf(input: Input): Found[] {
  const text = decodeText(input);
  if (ANSWER.test(text)) return adHoc(input, text);
  return readJsonStream(input.name, text).flatMap(({ value, line }) => {
    const entries = isObject(value) ? Object.entries(value) : [];
    const isMap =
      entries.length > 0 &&
      nameIn(value) === null &&
      entries.every(
        ([, facts]) => isObject(facts) && (slurpOf(facts) !== null || nameIn(facts) !== null),
      ) &&
      at(value, 'ansible_facts') === undefined;
    return isMap
      ? entries.map(([host, facts]) => ({ host, line, value: facts }))
      : [{ host: nameIn(value), line, value }];
  });
}

function adHoc(input: Input, text: string): Found[] {
  const found: { host: string; state: string; line: number; body: string[] }[] = [];
  for (const [i, line] of text.split('\n').entries()) {
    const match = /^(\S+) \| ([A-Z]+!?)(?:: (.*)| => (\{.*))$/.exec(line);
    if (match)
      found.push({
        host: match[1]!,
        state: match[2]!,
        line: i + 1,
        body: [match[4] ?? JSON.stringify(match[3])],
      });
    else found.at(-1)?.body.push(line);
  }
  return found.map(({ host, state, line, body }) => ({
    host,
    line,
    value: /^(?:SUCCESS|CHANGED)$/.test(state)
      ? readJsonStream(input.name, `${'\n'.repeat(line - 1)}${body.join('\n')}`)[0]?.value
      : new QueryError(
          `${input.name}:${line}: ${host} did not answer: ${quote((messageIn(body.join('\n')) ?? state).trim())}`,
        ),
  }));
}

/** Why a host did not answer, as it is written in JSON. */
function messageIn(answer: string): string | null {
  const before = /"msg":\s*"/.exec(answer);
  if (!before) return null;
  const start = before.index + before[0].length;
  const end = endOfString(answer, start - 1);
  return end < 0 ? null : answer.slice(start, end - 1);
}

/** The host's own name in its facts. */
function nameIn(value: unknown): string | null {
  for (const facts of [value, at(value, 'ansible_facts')])
    for (const key of NAMES) {
      const name = at(facts, key) ?? at(facts, key.replace('ansible_', ''));
      if (typeof name === 'string' && name !== '') return name;
    }
  return null;
}

/** The kernel in its facts. */
function kernelIn(value: unknown): string | null {
  for (const facts of [value, at(value, 'ansible_facts')])
    for (const name of ['ansible_kernel', 'kernel']) {
      const kernel = kernelOf(at(facts, name), at(facts, `${name}_version`));
      if (kernel !== null) return kernel;
    }
  return null;
}

/** The content of a slurped /proc/cpuinfo, wherever it was registered. */
function slurpOf(value: unknown, depth = 0): string | null {
  if (typeof value !== 'object' || value === null || depth > MAX_DEPTH) return null;
  const content = at(value, 'content');
  const source = at(value, 'source');
  if (
    typeof content === 'string' &&
    at(value, 'encoding') === 'base64' &&
    (source === undefined || source === '/proc/cpuinfo')
  )
    return content;
  for (const inner of Object.values(value)) {
    const found = slurpOf(inner, depth + 1);
    if (found !== null) return found;
  }
  return null;
}

function describe(input: Input, catalog: Catalog, { host, line, value }: Found): Description[] {
  if (value instanceof QueryError) throw value;
  const where = `${input.name}:${line}${host === null ? '' : `: ${host}`}`;
  const content = slurpOf(value);
  if (content === null)
    throw new QueryError(
      `${where} has facts without flags, for Ansible names processors only; add what "ansible all -m slurp -a src=/proc/cpuinfo" answers`,
    );
  let bytes: Uint8Array;
  try {
    bytes = Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
  } catch {
    throw new QueryError(`${where}: the content of the slurp is no base64, so it is cut short`);
  }
  const read = cpuinfo.read!({ name: where, bytes }, catalog) as Description[];
  const kernel = kernelIn(value);
  return read.map((d) => ({ ...d, dialect: 'ansible', line, host, kernel: d.kernel ?? kernel }));
}
