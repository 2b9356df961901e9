// QMP: what QEMU itself answers to query-cpu-model-expansion and query-cpu-definitions, alone or in the midst of a
// recorded session. Whatever stands between the JSON values (prompts, shell lines) is not read.
import { emptyRow, hasBit, join, type Row, setBit } from '../core/rows.ts';
import type { Catalog } from '../cpu/catalog.ts';
import { QueryError } from '../cpu/errors.ts';
import type { Description, Note } from '../cpu/host.ts';
import { findProperty } from '../cpu/properties.ts';
import { untold } from './described.ts';
import { type Dialect, type Input, orSkip } from './dialect.ts';
import {
  areFeatureNames,
  areFeatureWords,
  readFeatureNames,
  readFeatureWords,
} from './feature-words.ts';
import { isObject, type JsonObject, kindOf, MAX_JSON, parseJson } from './json.ts';
import { quote } from './lines.ts';
import { writeModelInfo } from './pinned.ts';
import { settingsOf } from './readconfig.ts';
import { definitionFor } from './written.ts';

/** Enlightenments for other hypervisors' guests are QEMU's own, and x- marks what is no interface. */
const SWITCH = /^(?:hv|x|xen)-/;
/** Of a model that needs another accelerator, or that cannot be made at all. */
const NO_FEATURE = new Set(['kvm', 'type']);
/** The property of a guest that says in CPUID words what it was asked for and did not get; it is named besides. */
const FILTERED = 'filtered-features';
const withheldNote: Note = {
  code: 'withheld',
  message: 'this is what was asked for a guest and withheld from it, not what it has',
};
/** Models whose expansion is what the hypervisor offers; `base` is the name that every static expansion bears. */
const OFFERS = new Set(['host', 'max', 'base']);

interface Expansion {
  readonly line: number;
  readonly name: string;
  /** The model that was asked for, where the question is at hand. */
  readonly asked: string | null;
  readonly props: JsonObject;
}

/** What was answered about a guest that runs: CPUID words, or names of features. */
interface Started {
  readonly line: number;
  readonly reply: readonly JsonObject[] | readonly string[];
  /** It is what the guest was asked for and did not get. */
  readonly isWithheld: boolean;
}

/** What one QEMU said, until it was greeted again or repeated itself. */
class Session {
  readonly line: number;
  readonly expansions: Expansion[] = [];
  readonly started: Started[] = [];
  definitions: readonly JsonObject[] | null = null;
  qemu: string | null = null;
  machine: string | null = null;
  defaultMachine: string | null = null;
  isEmulating = false;

  constructor(line: number) {
    this.line = line;
  }

  get isEmpty(): boolean {
    return this.expansions.length === 0 && this.started.length === 0 && this.definitions === null;
  }
}

export const qmp: Dialect = {
  name: 'qmp',
  recognises: (head) =>
    /\{\s*"(?:QMP|return|execute|error)"\s*:/.test(head) ||
    /^\s*\{\s*"model"\s*:\s*\{\s*"name"/.test(head) ||
    /^\s*\[\s*\{[^{}]*"typename"\s*:/.test(head),
  read: (input, catalog, skip) => {
    if (input.bytes.length > MAX_JSON)
      throw new QueryError(
        `${input.name} has ${input.bytes.length >> 20} MB; a recorded QMP session of this length cannot be read`,
      );
    return sessionsOf(input, catalog).flatMap((session) =>
      orSkip(skip, () => describe(input, catalog, session)).flat(),
    );
  },
  use: 'the model of a query-cpu-model-expansion, or of a management program that speaks QMP',
  write: (cpu) => writeModelInfo(definitionFor(cpu, 'qemu', 'QMP').name, settingsOf(cpu)),
};

/** The outermost JSON objects and lists of objects in a text, wherever they stand. */
function* valuesOf({ name, bytes }: Input): Generator<{ value: unknown; line: number }> {
  const text = new TextDecoder().decode(bytes);
  let depth = 0;
  let start = 0;
  let line = 1;
  let startLine = 1;
  for (const { 0: token, index } of text.matchAll(/\n|[{}[\]]|"(?:[^"\\\n]|\\.)*"/g)) {
    if (token === '\n') line++;
    else if (token === '{' || token === '[') {
      // Outside of JSON a bracket is one only where an object follows it.
      if (depth === 0) {
        if (token === '[' && !/^\[\s*\{/.test(text.slice(index, index + 200))) continue;
        start = index;
        startLine = line;
      }
      depth++;
    } else if (depth > 0 && (token === '}' || token === ']') && --depth === 0)
      yield { value: parseJson(text.slice(start, index + 1), name, startLine), line: startLine };
  }
  if (depth > 0)
    throw new QueryError(
      `${name}:${startLine}: the reply that begins here does not end; the file is cut short`,
    );
}

function sessionsOf(input: Input, catalog: Catalog): Session[] {
  const sessions: Session[] = [];
  let asked: JsonObject | null = null;
  let refusal: string | null = null;
  let current: Session | undefined;
  const session = (line: number, isNew: boolean): Session => {
    if (!current || (isNew && !current.isEmpty)) {
      current = new Session(line);
      sessions.push(current);
    }
    return current;
  };
  for (const { value, line } of valuesOf(input)) {
    if (Array.isArray(value)) {
      takeReply(catalog, session, value, null, line);
      continue;
    }
    const reply = value as JsonObject;
    if (isObject(reply.QMP)) {
      session(line, true).qemu = versionOf(reply.QMP.version);
    } else if (typeof reply.execute === 'string') asked = reply;
    else if ('return' in reply) {
      takeReply(catalog, session, reply.return, asked, line);
      asked = null;
    } else if (isObject(reply.error)) {
      const about = typeof asked?.execute === 'string' ? ` to ${asked.execute}` : '';
      refusal ??= `${input.name}:${line}: QEMU answered${about} with an error: ${quote(String(reply.error.desc ?? reply.error.class ?? ''))}`;
      asked = null;
    } else if (isObject(reply.model)) takeReply(catalog, session, reply, null, line);
  }
  const told = sessions.filter((s) => !s.isEmpty);
  if (told.length === 0)
    throw new QueryError(
      refusal ??
        `${input.name} has no answer to query-cpu-model-expansion or query-cpu-definitions; record the replies of these two`,
    );
  return told;
}

function takeReply(
  catalog: Catalog,
  session: (line: number, isNew: boolean) => Session,
  reply: unknown,
  asked: JsonObject | null,
  line: number,
): void {
  if (isObject(reply) && isObject(reply.model) && isObject(reply.model.props)) {
    const { name, props } = reply.model;
    const model =
      isObject(asked?.arguments) && isObject(asked.arguments.model)
        ? asked.arguments.model.name
        : null;
    const expansion = {
      line,
      name: String(name),
      asked: typeof model === 'string' ? model : null,
      props,
    };
    const { expansions } = session(line, false);
    // The same question answered again is another host's answer.
    session(
      line,
      expansions.some((e) => e.name === expansion.name && e.asked === expansion.asked),
    ).expansions.push(expansion);
  } else if (areFeatureWords(reply)) {
    const isWithheld = isObject(asked?.arguments) && asked.arguments.property === FILTERED;
    session(line, false).started.push({ line, reply, isWithheld });
  } else if (areFeatureNames(catalog, reply)) {
    session(line, false).started.push({ line, reply, isWithheld: true });
  } else if (
    Array.isArray(reply) &&
    reply.length > 0 &&
    reply.every((d) => isObject(d) && typeof d.typename === 'string' && typeof d.name === 'string')
  ) {
    const { definitions } = session(line, false);
    session(line, definitions !== null).definitions = reply;
  } else if (
    Array.isArray(reply) &&
    reply.some((m) => isObject(m) && m['is-default'] === true && typeof m.name === 'string')
  )
    session(line, false).defaultMachine = reply.find((m) => m['is-default'] === true).name;
  else if (typeof reply === 'string' && reply.endsWith('-machine'))
    session(line, false).machine = reply.slice(0, -'-machine'.length);
  else if (isObject(reply) && isObject(reply.qemu)) session(line, false).qemu = versionOf(reply);
  else if (
    isObject(reply) &&
    typeof reply.enabled === 'boolean' &&
    typeof reply.present === 'boolean'
  )
    session(line, false).isEmulating = !reply.enabled;
}

function versionOf(version: unknown): string | null {
  const qemu = isObject(version) ? version.qemu : null;
  if (!isObject(qemu)) return null;
  const parts = [qemu.major, qemu.minor, qemu.micro];
  return parts.every((part) => Number.isInteger(part)) ? parts.join('.') : null;
}

/**
 * One CPU a host: expansions of host or max are what the hypervisor offers (view hypervisor), and a static and a full
 * one of the same session are one host; an expansion of a named model is a guest's CPU (view guest) of its own, and so
 * are the feature words of a guest that runs.
 */
function describe(input: Input, catalog: Catalog, session: Session): Description[] {
  const isOffer = (e: Expansion) => OFFERS.has(e.asked ?? e.name);
  const offers = session.expansions.filter(isOffer);
  const guests = session.expansions.filter((e) => !isOffer(e));
  const out: Description[] = [];
  if (offers.length > 0 || session.definitions !== null)
    out.push(describeHost(input, catalog, session, offers));
  for (const expansion of guests) out.push(describeGuest(input, catalog, session, expansion));
  for (const { line, reply, isWithheld } of session.started)
    out.push({
      ...blank(catalog, session, line),
      ...(areFeatureWords(reply)
        ? readFeatureWords(catalog, input.name, line, reply)
        : readFeatureNames(catalog, reply)),
      view: 'guest',
      notes: isWithheld ? [withheldNote] : [],
    });
  return out;
}

function describeHost(
  input: Input,
  catalog: Catalog,
  session: Session,
  offers: readonly Expansion[],
): Description {
  const notes: Note[] = [];
  const props: Record<string, unknown> = {};
  for (const e of offers)
    for (const [name, value] of Object.entries(e.props)) {
      if (Object.hasOwn(props, name) && props[name] !== value)
        throw new QueryError(
          `${input.name}:${e.line}: two expansions of one session contradict each other about ${name}; give each host a file of its own`,
        );
      props[name] = value;
    }
  const read = readProps(input, catalog, offers[0]?.line ?? session.line, props);
  const models =
    session.definitions === null ? null : readDefinitions(catalog, session.definitions);
  if (offers.length === 0) {
    for (const blockers of models!.values())
      for (const name of blockers ?? []) {
        const f = catalog.findQemu(name);
        if (f) setBit(read.known, f.id);
      }
    notes.push({
      code: 'no-expansion',
      message:
        'QEMU lists its models but not what it offers; query-cpu-model-expansion of host would tell',
    });
  }
  if (session.isEmulating || models?.get('host') === null)
    notes.push({
      code: 'emulated',
      message: 'QEMU ran without KVM, so this is what its emulation offers and not the processor',
    });
  return {
    ...blank(catalog, session, offers[0]?.line ?? session.line),
    ...read,
    ...(props.migratable === false ? { listsUnmigratable: true } : {}),
    view: 'hypervisor',
    models,
    model: null,
    notes,
  };
}

function describeGuest(
  input: Input,
  catalog: Catalog,
  session: Session,
  { line, name, asked, props }: Expansion,
): Description {
  const model = asked ?? name;
  return {
    ...blank(catalog, session, line),
    ...readProps(input, catalog, line, props),
    view: 'guest',
    models: null,
    model: { name: model, known: catalog.qemuModels.has(model) },
    notes: [],
  };
}

const blank = (catalog: Catalog, session: Session, line: number): Description => ({
  ...untold(catalog, 'qmp', line),
  machine: session.machine ?? session.defaultMachine,
  qemu: session.qemu,
});

function readProps(input: Input, catalog: Catalog, line: number, props: JsonObject) {
  const fail = (what: string): never => {
    throw new QueryError(`${input.name}:${line}: ${what}`);
  };
  const has = emptyRow(catalog.bits);
  const off = emptyRow(catalog.bits);
  const unnamed: string[] = [];
  for (const [name, value] of Object.entries(props)) {
    const f = catalog.findQemu(name);
    if (f) {
      if (typeof value !== 'boolean')
        fail(`"${name}" is ${kindOf(value)}; QEMU answers true or false for a feature`);
      setBit(value ? has : off, f.id);
    } else if (value === true && !isSwitch(catalog, name)) unnamed.push(name);
  }
  const both = catalog.names(has).filter((name) => hasBit(off, catalog.feature(name).id));
  if (both.length > 0) fail(`${both.join(', ')} is both true and false under different spellings`);
  const told = join(has, off);
  let known: Row = told.slice();
  // A whole expansion lists every feature that this QEMU knows; one that it does not know no guest can have.
  if (isWhole(catalog, told)) known = catalog.rowWhere(() => true);
  const number = (name: string): number | null =>
    Number.isInteger(props[name]) ? (props[name] as number) : null;
  const [family, model, stepping] = ['family', 'model', 'stepping'].map(number);
  return {
    vendor: typeof props.vendor === 'string' ? catalog.vendor(props.vendor) : null,
    has,
    known,
    told,
    unnamed,
    limits: { physBits: number('phys-bits') || null },
    signature:
      family === null || model === null || stepping === null
        ? null
        : { family: family!, model: model!, stepping: stepping! },
  };
}

/** Whether it is a property of QEMU's CPUs that is no feature. */
const isSwitch = (catalog: Catalog, name: string): boolean =>
  SWITCH.test(name) ||
  catalog.versions.qemu.some((version) => findProperty(catalog, name, version));

/** Whether an expansion names most of what the oldest QEMU of the catalog knows: then it was not cut down by hand. */
function isWhole(catalog: Catalog, told: Row): boolean {
  const oldest = catalog.features.filter((f) => f.qemu === catalog.versions.qemu[0]);
  return oldest.filter((f) => hasBit(told, f.id)).length * 2 > oldest.length;
}

/** Model names with what blocks each, by the catalog's names. */
function readDefinitions(
  catalog: Catalog,
  definitions: readonly JsonObject[],
): Map<string, readonly string[] | null> {
  return new Map(
    definitions.map((d): [string, readonly string[] | null] => {
      const blockers = d['unavailable-features'];
      if (
        !Array.isArray(blockers) ||
        blockers.some((b) => typeof b !== 'string' || b === '' || NO_FEATURE.has(b))
      )
        return [d.name as string, null];
      return [
        d.name as string,
        [...new Set(blockers.map((b: string) => catalog.findQemu(b)?.name ?? b))],
      ];
    }),
  );
}
