// What a person should know beside the answer: each finding has a code, the hosts that it speaks of and a sentence.
import { bitsOf, hasBit, intersects, isEmpty, meet, minus, type Row } from '../core/rows.ts';
import type { Product } from '../cpu/catalog.ts';
import type { Note } from '../cpu/host.ts';
import { byBytes } from '../cpu/order.ts';
import { isImmunity } from '../cpu/security.ts';
import { edgeStack, stackNames } from '../cpu/stack.ts';
import type { Fleet, HostList, HostSet } from '../fleet/fleet.ts';
import type { Baseline, Finding, Severity } from './answer.ts';
import { type FloorGaps, isBarred } from './floor.ts';
import type { BaselineOptions, Line } from './line.ts';
import { namerOf } from './name.ts';
import { draw } from './safe.ts';

/** A definition that was not found: no name of the product can be made to mean exactly the features. */
export interface Refused {
  readonly product: Product;
}

export function findings(
  line: Line,
  limits: Baseline['limits'],
  refused: readonly Refused[],
  options: BaselineOptions,
  gaps: FloorGaps,
): Finding[] {
  const { fleet } = line;
  const say = new Sayer(fleet);
  descriptions(say);
  views(say);
  floor(say, gaps);
  unknownNames(say, fleet);
  leftOpen(say, line);
  physBits(say, limits);
  xsave(say);
  merges(say, line);
  security(say, line);
  leftOut(say, line, options);
  stacks(say, line, isBarred(gaps) ? [] : refused, options);
  return say.sorted();
}

/** The findings of a fleet whose hosts have no CPU in common. */
export function splitFindings(fleet: Fleet): Finding[] {
  const say = new Sayer(fleet);
  descriptions(say);
  views(say);
  xsave(say);
  return say.sorted();
}

const SEVERITIES: readonly Severity[] = ['error', 'warning', 'info'];

/** What makes an answer one about something else than the hosts. */
const FOREMOST: ReadonlySet<string> = new Set(['emulated']);

/** What is serious comes first. */
export const byWeight = (a: Finding, b: Finding): number =>
  Number(FOREMOST.has(b.code)) - Number(FOREMOST.has(a.code)) ||
  SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity) ||
  byBytes(a.code, b.code) ||
  byBytes(a.message, b.message);

class Sayer {
  readonly fleet: Fleet;
  readonly #findings: Finding[] = [];

  constructor(fleet: Fleet) {
    this.fleet = fleet;
  }

  /** Adds a finding about these hosts; about none of them, there is nothing to say. */
  say(severity: Severity, code: string, hosts: HostSet, message: (who: string) => string): void {
    const list = this.fleet.list(hosts);
    if (list.count === 0) return;
    this.#findings.push({ code, severity, ...list, message: message(who(list)) });
  }

  members(keep: (index: number) => boolean): HostSet {
    return this.fleet.membersOf(keep);
  }

  get everyone(): HostSet {
    return this.fleet.hostsWhere(() => true);
  }

  sorted(): Finding[] {
    return this.#findings.sort(byWeight);
  }
}

/** The first few hosts by id, and how many more. */
export function who({ count, hosts }: HostList): string {
  if (hosts.length === 0) return count === 1 ? '1 host' : `${count} hosts`;
  const named = hosts.slice(0, 3);
  const more = count - named.length;
  if (more > 0) return `${named.join(', ')} and ${more} more`;
  return named.length === 1 ? named[0]! : `${named.slice(0, -1).join(', ')} and ${named.at(-1)}`;
}

/** The first few names of a list, and how many more. */
function some(names: readonly string[], most = 6): string {
  const more = names.length - most;
  return more > 1 ? `${names.slice(0, most).join(' ')} and ${more} more` : names.join(' ');
}

/** What the descriptions say of themselves. */
function descriptions(say: Sayer): void {
  const notes = new Map<string, Note & { kinds: Set<number> }>();
  for (const [i, kind] of say.fleet.kinds.entries())
    for (const { code, message } of kind.notes) {
      const key = `${code}\n${message}`;
      const note = notes.get(key) ?? { code, message, kinds: new Set() };
      notes.set(key, note);
      note.kinds.add(i);
    }
  for (const { code, message, kinds } of notes.values())
    say.say(
      code === 'kernel-takes' ? 'info' : 'warning',
      code,
      say.fleet.hostsWhere((_, i) => kinds.has(i)),
      (who) => `${who}: ${message}`,
    );
}

function views(say: Sayer): void {
  const { classes, kinds } = say.fleet;
  const seen = [...new Set(classes.map((c) => c.view))];
  if (seen.length > 1)
    say.say(
      'warning',
      'mixed-views',
      say.members((i) => classes[i]!.view !== 'hypervisor'),
      (who) =>
        `${who}: not described by a hypervisor, as others are (views: ${seen.toSorted(byBytes).join(', ')}); what guests can have there is concluded, and virsh domcapabilities would settle it`,
    );
  say.say(
    'warning',
    'host-is-guest',
    say.fleet.hostsWhere((kind) => kind.selfHosted),
    (who) =>
      `${who}: itself a virtual machine (it shows the hypervisor bit), so this is what its guests can have only as long as it stays where it is`,
  );
  say.say(
    'warning',
    'vendor-unknown',
    say.members((i) => classes[i]!.vendor === null && classes.some((c) => c.vendor !== null)),
    (who) => `${who}: no vendor given; taken to be the same as the others'`,
  );
  const assumed = new Map(kinds.map(({ assumed }) => [assumed.join(), assumed]));
  assumed.delete('');
  for (const [key, names] of assumed)
    say.say(
      'info',
      'assumed',
      say.fleet.hostsWhere((kind) => kind.assumed.join() === key),
      (who) =>
        `${who}: the description does not tell of ${some(names)}; counted as offered, because every 64-bit guest needs ${names.length === 1 ? 'it' : 'them'}`,
    );
  const machines = [...new Set(kinds.flatMap((kind) => kind.machine ?? []))].sort(byBytes);
  if (machines.length > 1)
    say.say(
      'info',
      'machine-types-differ',
      say.fleet.hostsWhere((kind) => kind.machine !== null),
      () =>
        `the hosts speak for different machine types (${some(machines)}); what a host offers can depend on it`,
    );
}

/** What every 64-bit guest needs, where a host is known to lack it; and hosts of which nothing else is known. */
function floor(say: Sayer, { lacking, bare }: FloorGaps): void {
  for (const { feature, needed, classes } of lacking)
    say.say(
      needed ? 'error' : 'warning',
      needed ? 'floor' : 'switched-off',
      say.members((i) => hasBit(classes, i)),
      (who) =>
        needed
          ? `${who}: no ${feature}, which every 64-bit guest needs, so no definition would run there`
          : `${who}: no ${feature}, which every 64-bit processor has; its firmware may switch it off, and then guests go without everywhere`,
    );
  say.say(
    'error',
    'nothing-known',
    say.members((i) => bare.includes(i)),
    (who) =>
      `${who}: nothing is known but what every 64-bit guest needs, so no CPU can be said to run there; virsh domcapabilities of the host would settle it`,
  );
}

/** Names that no catalog entry explains: they take part under their own name. */
function unknownNames(say: Sayer, fleet: Fleet): void {
  for (const [i, name] of fleet.unnamed.entries()) {
    const offering = fleet.offering(fleet.catalog.bits + i);
    say.say(
      'warning',
      'unknown-feature',
      say.members((c) => hasBit(offering, c)),
      (who) =>
        `${who}: feature "${name}" is unknown to the catalog; it is compared under this name, and no definition can ask for it`,
    );
  }
}

/** What guests on such processors are known to be given, where some host cannot tell and none is known to lack it. */
function leftOpen(say: Sayer, { fleet, tally, vendor }: Line): void {
  for (const { classes, features } of tally.openers()) {
    const names = fleet
      .names(features)
      .filter((name) => !vendor || (fleet.catalog.findQemu(name)?.offered.has(vendor) ?? true));
    if (names.length === 0) continue;
    const isSettled = bitsOf(classes).every((c) => fleet.classes[c]!.view === 'hypervisor');
    say.say(
      'info',
      'unknown',
      say.members((i) => hasBit(classes, i)),
      (who) =>
        `${who}: cannot tell of ${some(names)}, so left out${isSettled ? '' : '; virsh domcapabilities there would settle it'}`,
    );
  }
}

function physBits(say: Sayer, limits: Baseline['limits']): void {
  const { classes } = say.fleet;
  const values = [...new Set(classes.flatMap((c) => c.physBits ?? []))].sort((a, b) => a - b);
  if (limits.fleetPhysBits === null)
    say.say(
      'warning',
      'phys-bits',
      say.members((i) => classes[i]!.physBits === null),
      (who) =>
        `${who}: the physical address bits are not known, so none are written; a guest with more than its next host has dies when it moves`,
    );
  else if (values.length > 1)
    say.say(
      'info',
      'phys-bits',
      say.members((i) => classes[i]!.physBits === limits.fleetPhysBits),
      (who) =>
        `${who}: ${limits.fleetPhysBits} physical address bits, where others have up to ${values.at(-1)}`,
    );
}

function xsave(say: Sayer): void {
  const { fleet } = say;
  const { catalog, classes } = fleet;
  const components = new Map<number, Map<string, number[]>>();
  for (const [i, c] of classes.entries())
    for (const { component, size, offset } of c.xsave ?? []) {
      const places = components.get(component) ?? new Map<string, number[]>();
      components.set(component, places);
      const place = `${size} bytes at ${offset}`;
      const at = places.get(place);
      if (at) at.push(i);
      else places.set(place, [i]);
    }
  for (const [component, all] of [...components].sort(([a], [b]) => a - b)) {
    if (all.size < 2) continue;
    // Only where a guest of a host could have what lies there: Rome reserves a place for the pku that it lacks.
    const exposing = catalog.row(
      catalog.features.filter((f) => f.xsave.includes(component)).map((f) => f.name),
    );
    const exposes = (i: number) => !isEmpty(meet(fleet.has(i), exposing));
    const places = new Map(
      [...all]
        .map(([place, at]) => [place, at.filter(exposes)] as const)
        .filter(([, at]) => at.length > 0),
    );
    const concerned = new Set([...places.values()].flat());
    if (places.size > 1)
      say.say(
        'warning',
        'xsave-layout',
        say.members((i) => concerned.has(i)),
        () =>
          `XSAVE component ${component} lies differently (${[...places.keys()].sort(byBytes).join('; ')}): a guest that has it cannot move between them`,
      );
  }
}

/** Features whose rule is not that every host must have them. */
function merges(say: Sayer, { fleet, tally }: Line): void {
  const { catalog } = fleet;
  for (const f of catalog.features) {
    if (f.merge !== 'any' && f.merge !== 'equal') continue;
    const offering = fleet.offering(f.id);
    if (isEmpty(offering)) continue;
    if (f.merge === 'any')
      say.say(
        'warning',
        'wanted',
        say.members((i) => !hasBit(offering, i)),
        (who) =>
          `${who}: ${tally.lacks(f.id) ? 'no' : 'perhaps no'} ${f.name}, which a guest should see as soon as one host has it; QEMU would refuse it there, so it is left out`,
      );
    else {
      const knowing = fleet.knowing(f.id);
      if (!isEmpty(minus(knowing, offering)))
        say.say(
          'info',
          'x87-differs',
          say.members((i) => hasBit(offering, i)),
          (who) =>
            `${who}: ${f.name}, which other hosts lack; it cannot be hidden, a guest sees it change when it moves`,
        );
    }
  }
}

function security(say: Sayer, { fleet, tally }: Line): void {
  const all = fleet.catalog.features.filter((f) => f.security && f.merge !== 'any');
  for (const { classes, features } of tally.lackers()) {
    const lost = all.filter((f) => hasBit(features, f.id));
    const immunities = lost
      .filter((f) => isImmunity(f.name))
      .map((f) => f.name)
      .sort(byBytes);
    const mitigations = lost
      .filter((f) => !isImmunity(f.name))
      .map((f) => f.name)
      .sort(byBytes);
    if (mitigations.length > 0)
      say.say(
        'warning',
        'security-lost',
        say.members((i) => hasBit(classes, i)),
        (who) =>
          `without ${some(mitigations)} on ${who}, every guest loses ${mitigations.length === 1 ? 'that mitigation' : 'these mitigations'}`,
      );
    if (immunities.length > 0)
      say.say(
        'info',
        'immunity-not-claimed',
        say.members((i) => hasBit(classes, i)),
        (who) =>
          `without ${some(immunities)} on ${who}, guests mitigate what other hosts are immune to`,
      );
  }
}

/** What hosts have and the rules keep from guests. */
function leftOut(
  say: Sayer,
  { fleet, outside, vague, drawn, tally }: Line,
  options: BaselineOptions,
): void {
  const { catalog } = fleet;
  const having = (row: Row) => say.members((i) => !isEmpty(row) && intersects(row, fleet.has(i)));
  if (!options.nested) {
    const roots = catalog.row(['vmx', 'svm']);
    say.say(
      'info',
      'nested-left-out',
      having(meet(outside.nested, roots)),
      (who) => `${who}: nested virtualization is there but left out; --nested takes it in`,
    );
  }
  for (const root of vague)
    say.say(
      'warning',
      'nested-unknown',
      having(catalog.row([root])),
      (who) =>
        `${who}: ${root} is there, but not all that it is made of is known, so nested virtualization stays off; query-cpu-model-expansion of host would settle it`,
    );
  say.say(
    'info',
    'withdrawn',
    having(outside.withdrawn),
    (who) =>
      `${who}: ${some(offeredNames(fleet, outside.withdrawn))} left out, because QEMU 10.1 takes them from guests of this vendor on new machine types, and a guest that asks for them does not start`,
  );
  const stuck = meet(outside.unmigratable, fleet.narrow(tally.offered));
  if (!isEmpty(stuck))
    say.say(
      'info',
      'unmigratable',
      say.everyone,
      () =>
        `every host offers ${some(catalog.names(stuck))}, left out because a guest that has it cannot migrate unless its TSC frequency is pinned`,
    );
  if (!isEmpty(drawn.cleared))
    say.say(
      'info',
      'dependency',
      say.everyone,
      () =>
        `every host offers ${some(catalog.names(drawn.cleared))}, but QEMU clears it in silence for want of a feature that it needs`,
    );
}

/** Which of these features some host offers. */
function offeredNames(fleet: Fleet, row: Row): string[] {
  const names = new Set<string>();
  for (const i of fleet.classes.keys())
    for (const id of bitsOf(meet(fleet.narrow(fleet.has(i)), row)))
      names.add(fleet.catalog.features[id]!.name);
  return [...names].sort(byBytes);
}

function stacks(
  say: Sayer,
  line: Line,
  refused: readonly Refused[],
  options: BaselineOptions,
): void {
  const { fleet, drawn, outside, tally, stack, namer } = line;
  const { catalog } = fleet;
  for (const { product } of refused)
    say.say('error', 'no-definition', say.everyone, () =>
      isEmpty(drawn.features)
        ? `no feature is common to all hosts that ${product} could be asked for`
        : `no ${product} model that is usable on every host can be made to mean exactly these features`,
    );
  for (const [product, row] of drawn.unsaid) {
    if (isEmpty(row)) continue;
    const versions = stackNames(stack).filter((s) => s.startsWith(product));
    say.say(
      'info',
      'cannot-express',
      say.everyone,
      () =>
        `${versions.length > 0 ? versions.join(', ') : product} has no word for ${some(catalog.names(row))}, which every host offers`,
    );
  }
  const common = fleet.unnamed.filter((_, i) => hasBit(tally.offered, catalog.bits + i));
  if (common.length > 0)
    say.say(
      'info',
      'cannot-express',
      say.everyone,
      () =>
        `every host offers ${some(common.map((n) => `"${n}"`))}, but no stack in the catalog has a word for it`,
    );
  if (options.stack) return;
  const newest = edgeStack(catalog, 'newest').filter((s) => namer.products.includes(s.product));
  const then = draw(catalog, namerOf(catalog, newest), outside, fleet.narrow(tally.offered));
  const gained = minus(then.features, drawn.features);
  if (!isEmpty(gained))
    say.say(
      'info',
      'newer-stack',
      say.everyone,
      () =>
        `with --stack ${stackNames(newest).join(',')} guests would also have ${some(catalog.names(gained))}`,
    );
}
