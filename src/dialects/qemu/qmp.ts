// QMP: what QEMU itself answers to query-cpu-model-expansion and query-cpu-definitions, alone or in the midst of a
// recorded session. Whatever stands between the JSON values (prompts, shell lines) is not read.
import { hasBit, type Row } from '../../core/rows.ts';
import { archOfTarget, archRecord } from '../../cpu/arch/index.ts';
import { modelWithout } from '../../cpu/arch/s390x.ts';
import type { Catalog } from '../../cpu/catalog/catalog.ts';
import type { Description, Note } from '../../cpu/description.ts';
import { QueryError } from '../../cpu/errors.ts';
import { type Dialect, type Input, orSkip } from '../dialect.ts';
import { writeModelInfo } from '../pinned.ts';
import { isObject, type JsonObject, MAX_JSON, parseJson } from '../text/json.ts';
import { quote } from '../text/lines.ts';
import { Tokens } from '../text/tokens.ts';
import { untold } from '../words/blank-description.ts';
import {
  areFeatureNames,
  areFeatureWords,
  readFeatureNames,
  readFeatureWords,
} from '../words/feature-words.ts';
import { definitionFor } from '../words/product-definitions.ts';
import { hostOf, isSameHost, type ListedModel, readProps } from '../words/qemu-host.ts';
import { archOfTypes, hostOfArch, namesOf } from '../words/qemu-host-arch.ts';
import { settingsOf } from './readconfig.ts';

/** The property of a guest that says in CPUID words what it was asked for and did not get; it is named besides. */
const FILTERED = 'filtered-features';
const withheldNote: Note = {
  code: 'withheld',
  message: 'this is what was asked for a guest and withheld from it, not what it has',
};
/** Models whose expansion is what the hypervisor offers; `base` is the name that every static expansion bears. */
const BASE = 'base';
const OFFERS = new Set(['host', 'max', BASE]);

interface Expansion {
  readonly line: number;
  readonly name: string;
  /** The model that was asked for, where the question is at hand. */
  readonly asked: string | null;
  /** The question: the model, how it is expanded and whether it is held to what can migrate; what is not told is ''. */
  readonly question: string;
  readonly migratable: boolean;
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
  /** By query-target. */
  target: string | null = null;

  constructor(line: number) {
    this.line = line;
  }

  /** The architecture that it emulates: as it says itself, or as the types of its models do. */
  get arch(): string {
    const types = this.definitions?.map((d) => String(d.typename)) ?? [];
    return (this.target ?? archOfTypes(types)) || 'x86_64';
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
  // It says true or false of every feature that it knows.
  proves: [
    {
      document: 'query-cpu-model-expansion of host or max',
      view: 'hypervisor',
      words: 'qemu',
      unlisted: 'unknown',
    },
    {
      document: 'query-cpu-definitions',
      view: 'hypervisor',
      words: 'models',
      unlisted: 'unknown',
    },
  ],
  read: (input, catalog, skip) => {
    if (input.bytes.length > MAX_JSON)
      throw new QueryError(
        `${input.name} has ${input.bytes.length >> 20} MB; a recorded QMP session of this length cannot be read`,
      );
    return withoutEmulation(
      sessionsOf(input, catalog).flatMap((session) =>
        orSkip(skip, () => describe(input, catalog, session)).flat(),
      ),
    );
  },
  use: 'the model of a query-cpu-model-expansion, or of a management program that speaks QMP',
  words: 'qemu',
  write: (cpu) => writeModelInfo(definitionFor(cpu, 'qemu', 'QMP').name, settingsOf(cpu)),
};

const isEmulated = ({ notes }: Description): boolean =>
  notes.some((note) => note.code === 'emulated');

/** libvirt asks a QEMU with KVM and once more without: that is one host, and the second answer says nothing of it. */
function withoutEmulation(all: readonly Description[]): Description[] {
  const real = all.filter((d) => d.view === 'hypervisor' && !isEmulated(d));
  return all.filter(
    (d) => d.view !== 'hypervisor' || !isEmulated(d) || !real.some(({ qemu }) => qemu === d.qemu),
  );
}

/** The outermost JSON objects and lists of objects in a text, wherever they stand. */
function* valuesOf({ name, bytes }: Input): Generator<{ value: unknown; line: number }> {
  const text = new TextDecoder().decode(bytes);
  let depth = 0;
  let start = 0;
  let line = 1;
  let startLine = 1;
  const tokens = new Tokens(text, true);
  for (let token = tokens.next(); token !== ''; token = tokens.next()) {
    const index = tokens.start;
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
    } else if (typeof reply.execute === 'string') {
      asked = reply;
      // A connection begins with it, as a log without greetings shows.
      if (reply.execute === 'qmp_capabilities') current = current?.isEmpty ? current : undefined;
    } else if ('return' in reply) {
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
    takeExpansion(catalog, session, reply.model, asked, line);
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
  else if (isObject(reply) && typeof reply.arch === 'string' && Object.keys(reply).length === 1)
    session(line, false).target = archOfTarget(reply.arch);
  else if (isObject(reply) && isObject(reply.qemu)) session(line, false).qemu = versionOf(reply);
  else if (
    isObject(reply) &&
    typeof reply.enabled === 'boolean' &&
    typeof reply.present === 'boolean'
  )
    session(line, false).isEmulating = !reply.enabled;
}

function takeExpansion(
  catalog: Catalog,
  session: (line: number, isNew: boolean) => Session,
  model: JsonObject,
  asked: JsonObject | null,
  line: number,
): void {
  const props = model.props as JsonObject;
  const { expansions } = session(line, false);
  const args = isObject(asked?.arguments) ? asked.arguments : {};
  const about = isObject(args.model) ? args.model : {};
  const wished = isObject(about.props) ? about.props.migratable : undefined;
  // What was expanded statically may be expanded again for all spellings, under the name that it then bears.
  const before = about.name === BASE ? expansions.at(-1)?.migratable : undefined;
  const told = [wished, props.migratable, before].find((value) => typeof value === 'boolean');
  const expansion: Expansion = {
    line,
    name: String(model.name),
    asked: typeof about.name === 'string' ? about.name : null,
    question: `${about.name ?? ''} ${args.type ?? ''} ${told ?? ''}`,
    migratable: (told as boolean | undefined) ?? true,
    props,
  };
  // The same question answered again is another host's answer, unless the questions are not at hand and what differs
  // tells them apart.
  const same = expansions.find(
    (e) => e.name === expansion.name && e.question === expansion.question,
  );
  const isSame = same !== undefined && asked === null && isSameHost(catalog, same.props, props);
  if (!isSame) {
    session(line, same !== undefined).expansions.push(expansion);
    return;
  }
  const isFuller = hasMore(catalog, props, same.props);
  expansions.push({ ...expansion, migratable: !isFuller });
  if (!isFuller) expansions[expansions.indexOf(same)] = { ...same, migratable: false };
}

/** Whether an expansion has something that the other lacks. */
const hasMore = (catalog: Catalog, props: JsonObject, other: JsonObject): boolean =>
  Object.entries(props).some(
    ([name, value]) => value === true && other[name] === false && catalog.findQemu(name),
  );

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
  const isOther = !archRecord(session.arch).isX86;
  // A static expansion answers with the name of a base, whatever was asked.
  const isOffer = (e: Expansion) =>
    OFFERS.has(e.asked ?? e.name) || (isOther && e.asked === null && e.name.endsWith(`-${BASE}`));
  const offers = session.expansions.filter(isOffer);
  const guests = session.expansions.filter((e) => !isOffer(e));
  const out: Description[] = [];
  if (isOther && (offers.length > 0 || session.definitions !== null))
    out.push(
      hostOfArch(catalog, blank(catalog, session, offers[0]?.line ?? session.line), {
        offers: offers.map((e) => ({ ...e, where: input.name, model: e.name })),
        models: session.definitions?.map(listed) ?? null,
        isEmulating: session.isEmulating,
      }),
    );
  else if (offers.length > 0 || session.definitions !== null)
    out.push(
      hostOf(
        catalog,
        blank(catalog, session, offers[0]?.line ?? session.line),
        `${input.name}:${session.line}`,
        {
          offers: offers.map((e) => ({ ...e, where: `${input.name}:${e.line}` })),
          models: session.definitions?.map(listed) ?? null,
          isEmulating: session.isEmulating,
        },
      ),
    );
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

function describeGuest(
  input: Input,
  catalog: Catalog,
  session: Session,
  { line, name, asked, props }: Expansion,
): Description {
  const model = asked ?? name;
  if (!archRecord(session.arch).isX86) {
    const { unnamed, off, ...more } = namesOf(session.arch, props);
    return {
      ...blank(catalog, session, line),
      ...more,
      view: 'guest',
      unnamed,
      model: { name: modelWithout(name, name.endsWith(`-${BASE}`) ? off : []), known: false },
    };
  }
  const read = readProps(catalog, `${input.name}:${line}`, props);
  return {
    ...blank(catalog, session, line),
    ...read,
    // Of a feature that its QEMU does not know a guest has nothing.
    known: isWhole(catalog, read.told) ? catalog.rowWhere(() => true) : read.known,
    view: 'guest',
    models: null,
    model: { name: model, known: catalog.qemuModels.has(model) },
    notes: [],
  };
}

const blank = (catalog: Catalog, session: Session, line: number): Description => ({
  ...untold(catalog, 'qmp', line),
  arch: session.arch,
  machine: session.machine ?? session.defaultMachine,
  qemu: session.qemu,
});

/** A model of query-cpu-definitions. */
function listed(definition: JsonObject): ListedModel {
  const blockers = definition['unavailable-features'];
  const alias = definition['alias-of'];
  return {
    name: definition.name as string,
    alias: typeof alias === 'string' ? alias : undefined,
    blockers:
      Array.isArray(blockers) && blockers.every((b) => typeof b === 'string') ? blockers : null,
  };
}

/** Whether an expansion names most of what the oldest QEMU of the catalog knows: then it was not cut down by hand. */
function isWhole(catalog: Catalog, told: Row): boolean {
  const oldest = catalog.features.filter((f) => f.qemu === catalog.versions.qemu[0]);
  return oldest.filter((f) => hasBit(told, f.id)).length * 2 > oldest.length;
}
