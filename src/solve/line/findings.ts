// What a person should know beside the answer: each finding has a code, the hosts that it speaks of and a sentence.
import { bitsOf, hasBit, intersects, isEmpty, meet, minus, type Row } from '../../core/rows.ts';
import { archRecord } from '../../cpu/arch/index.ts';
import { isImmunity } from '../../cpu/catalog/security.ts';
import type { Note } from '../../cpu/description.ts';
import { byBytes } from '../../cpu/order.ts';
import type { ClassFacts, Fleet } from '../../fleet/fleet.ts';
import type { Baseline, Finding } from '../answer.ts';
import { type RefusedName, stacks } from './findings-stack.ts';
import { type FloorGaps, isBarred } from './fleet-floor.ts';
import type { BaselineOptions, Line } from './line.ts';
import { Sayer, some } from './sayer.ts';

export function findings(
  line: Line,
  limits: Baseline['limits'],
  refused: readonly RefusedName[],
  options: BaselineOptions,
  gaps: FloorGaps,
): Finding[] {
  const { fleet } = line;
  const say = new Sayer(fleet);
  descriptions(say);
  views(say);
  notEnforced(say, line, refused);
  floor(say, gaps);
  unknownNames(say, fleet);
  leftOpen(say, line);
  physBits(say, limits);
  xsave(say);
  merges(say, line);
  security(say, line);
  leftOut(say, line, options);
  ownCpu(say, line, refused);
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
  // Hosts of several architectures have nothing to be held against each other.
  for (const arch of new Set(classes.map((c) => archRecord(c.arch)))) {
    const isKin = (c: ClassFacts) => archRecord(c.arch) === arch;
    const kin = classes.filter(isKin);
    const seen = [...new Set(kin.map((c) => c.view))];
    if (seen.length > 1)
      say.say(
        'warning',
        'mixed-views',
        say.members((i) => isKin(classes[i]!) && classes[i]!.view !== 'hypervisor'),
        (who) =>
          `${who}: not described by a hypervisor, as others are (views: ${seen.toSorted(byBytes).join(', ')}); what guests can have there is concluded${arch.isX86 ? ', and virsh domcapabilities would settle it' : ''}`,
      );
    say.say(
      'warning',
      'vendor-unknown',
      say.members(
        (i) =>
          isKin(classes[i]!) && classes[i]!.vendor === null && kin.some((c) => c.vendor !== null),
      ),
      (who) => `${who}: no vendor given; taken to be the same as the others'`,
    );
  }
  say.say(
    'warning',
    'host-is-guest',
    say.fleet.hostsWhere((kind) => kind.selfHosted),
    (who) =>
      `${who}: itself a virtual machine (it shows the hypervisor bit), so this is what its guests can have only as long as it stays where it is`,
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

/** libvirt passes QEMU no enforce, and looks at the processor itself: what KVM makes of it is concluded here. */
function notEnforced(say: Sayer, { fleet, namer }: Line, refused: readonly RefusedName[]): void {
  if (
    !fleet.catalog.arch.isX86 ||
    !namer.products.includes('libvirt') ||
    refused.some((r) => r.product === 'libvirt')
  )
    return;
  say.say(
    'info',
    'not-enforced',
    say.members((i) => fleet.classes[i]!.view !== 'hypervisor'),
    (who) =>
      `${who}: not described by a hypervisor, and libvirt's check='partial' looks at the processor, not at what KVM gives of it: where that is less, a guest of libvirt's starts without it; check='full', or QEMU's enforce, would refuse`,
  );
}

/** What a person must know of a CPU that is the host's own, and why there is none. */
function ownCpu(say: Sayer, { namer, naming }: Line, refused: readonly RefusedName[]): void {
  const { arch } = say.fleet.catalog;
  const apart = naming.kin?.apart ?? null;
  const isDefined = refused.length < namer.products.length;
  if (apart !== null)
    say.say(
      'error',
      'not-told-apart',
      say.everyone,
      (who) => `${who}: not known to be one CPU: ${apart}`,
    );
  else if (isDefined && arch.remark !== null && say.fleet.hosts > 1)
    say.say('info', 'own-cpu', say.everyone, () => arch.remark!);
}

/** What every 64-bit guest needs, where a host is known to lack it; and hosts of which nothing else is known. */
function floor(say: Sayer, { lacking, bare, unsettled }: FloorGaps): void {
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
  say.say(
    'error',
    'nothing-known',
    say.members((i) => unsettled.includes(i)),
    (who) =>
      `${who}: it is not known which CPU this guest gets, so no CPU can be drawn of it; leave it out, or give what it got (its live domain XML, or a query-cpu-model-expansion)`,
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
    const names = fleet.names(features).filter((name) => {
      const f = fleet.catalog.findQemu(name);
      // Beside x86 what nobody is known to have is no loss.
      if (f && !fleet.catalog.arch.isX86) return !isEmpty(fleet.offering(f.id));
      return !vendor || (f?.offered.has(vendor) ?? true);
    });
    if (names.length === 0) continue;
    const isSettled = bitsOf(classes).every((c) => fleet.classes[c]!.view === 'hypervisor');
    say.say(
      'info',
      'unknown',
      say.members((i) => hasBit(classes, i)),
      (who) =>
        `${who}: cannot tell of ${some(names)}, so left out${isSettled || !fleet.catalog.arch.isX86 ? '' : '; virsh domcapabilities there would settle it'}`,
    );
  }
}

function physBits(say: Sayer, limits: Baseline['limits']): void {
  if (!say.fleet.catalog.arch.isX86) return;
  const { classes } = say.fleet;
  const values = [...new Set(classes.flatMap((c) => c.physBits ?? []))].sort((a, b) => a - b);
  if (limits.fleetPhysBits === null)
    say.say(
      'warning',
      'phys-bits',
      say.members((i) => classes[i]!.physBits === null && !classes[i]!.named),
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
  if (limits.physBits !== null && limits.physBits < limits.fleetPhysBits!)
    say.say(
      'info',
      'phys-bits-default',
      say.everyone,
      () =>
        `guests get ${limits.physBits} physical address bits, which refuse a guest of about 1 TiB and more, hotplug included; --phys-bits fleet gives them the ${limits.fleetPhysBits} that every host has`,
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
function merges(say: Sayer, { fleet, tally, outside, namer }: Line): void {
  const { catalog } = fleet;
  for (const f of catalog.features) {
    if (f.merge !== 'any' && f.merge !== 'equal') continue;
    const offering = fleet.offering(f.id);
    if (isEmpty(offering)) continue;
    if (f.merge === 'any') {
      // What is kept from all guests of the vendor is told of elsewhere.
      if (hasBit(outside.withdrawn, f.id)) continue;
      const mute = namer.binding.filter((p) => !hasBit(namer.expressible(p), f.id));
      if (mute.length > 0 && !hasBit(tally.offered, f.id))
        say.say(
          'info',
          'cannot-express',
          say.members((i) => hasBit(offering, i)),
          (who) =>
            `${who}: ${f.name}, which a guest should see as soon as one host has it; ${mute.join(' and ')} of this stack ${mute.length === 1 ? 'has' : 'have'} no word for it`,
        );
      else
        say.say(
          'warning',
          'wanted',
          say.members((i) => !hasBit(offering, i)),
          (who) =>
            `${who}: ${tally.lacks(f.id) ? 'no' : 'perhaps no'} ${f.name}, which a guest should see as soon as one host has it; QEMU would refuse it there, so it is left out`,
        );
    } else {
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
    const roots = catalog.x86Row(['vmx', 'svm']);
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
  say.say(
    'info',
    'withdrawn',
    having(outside.ofPmu),
    (who) =>
      `${who}: ${some(offeredNames(fleet, outside.ofPmu))} left out, because from machine type 10.1 on QEMU clears it without a word in guests that have no pmu=on`,
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
