// The laws that every question about "does it run here" keeps, over drawn fleets and guests that have everything at once.
import fc from 'fast-check';
import * as assert from 'uvu/assert';
import type { Catalog } from '../../src/cpu/catalog/catalog.ts';
import { parseStack } from '../../src/cpu/catalog/software.ts';
import type { Asked } from '../../src/cpu/guest.ts';
import { dialectByName } from '../../src/dialects/index.ts';
import { cpuArgument } from '../../src/dialects/pinned.ts';
import type { Fleet, Kind } from '../../src/fleet/fleet.ts';
import { type Read, readDescriptions, readFleet } from '../../src/reading/read.ts';
import { admit, admitVerdict } from '../../src/solve/admit.ts';
import type { Baseline, Verdict } from '../../src/solve/answer.ts';
import type { PlacedGuest } from '../../src/solve/answer-plan.ts';
import { baseline } from '../../src/solve/baseline.ts';
import { check } from '../../src/solve/check.ts';
import { compare } from '../../src/solve/compare.ts';
import { drift } from '../../src/solve/drift/drift.ts';
import { guestCpu } from '../../src/solve/line/guest-cpu.ts';
import { guestsOf, place } from '../../src/solve/place.ts';
import { type Got, resolve } from '../../src/solve/resolve.ts';
import {
  type DrawnGuest,
  type DrawnHost,
  drawnFleet,
  drawnGuests,
  strictExample,
} from './drawn.ts';
import { assertProperty, draws } from './property.ts';
import { type Slow, slowRule } from './slow-rule.ts';

const encode = (text: string) => new TextEncoder().encode(text);
const recordsOf = (hosts: readonly DrawnHost[]) => ({
  name: 'hosts.ndjson',
  bytes: encode(hosts.map((h) => JSON.stringify(h)).join('\n')),
});

const fleetOfDrawn = (catalog: Catalog, hosts: readonly DrawnHost[]): Promise<Fleet> =>
  readFleet(catalog, [recordsOf(hosts)]);

const guestInputs = (guests: readonly DrawnGuest[]) =>
  guests.map(({ id, text }) => ({ name: id, bytes: encode(text) }));

/** What came of a run, so that a law that never said no is seen. */
export interface Counted {
  readonly fleets: number;
  verdicts: Record<Slow, number>;
  lines: number;
  changed: number;
}

/** What place says of a guest on each host. */
export function verdictOn(placed: PlacedGuest, host: string): Slow {
  if (placed.missing.some((m) => m.hosts.includes(host))) return 'no';
  if (!placed.hosts.includes(host)) return 'unknown';
  return placed.verdict === 'own-cpu' ? 'own-cpu' : 'runs';
}

/** What a word of compare is in those of the rule. */
export const OF_COMPARE: Readonly<Record<Verdict, Slow>> = {
  identical: 'runs',
  superset: 'runs',
  'own-cpu': 'own-cpu',
  unknown: 'unknown',
  incompatible: 'no',
};

/** The software that a drawn host tells. */
function softwareOfDrawn({ software = {}, models }: DrawnHost) {
  const { qemu, libvirt } = software;
  const isOfLibvirt = models !== undefined && (qemu === undefined || libvirt !== undefined);
  return {
    qemu: qemu?.replace(/\.\d+$/, '') ?? (models === undefined ? '10.0' : '7.2'),
    libvirt: libvirt?.replace(/\.\d+$/, '') ?? (isOfLibvirt ? '9.0' : '12.8'),
    ...(qemu === undefined ? {} : { isGiven: true }),
  };
}

const kindOf = (fleet: Fleet, id: string): Kind =>
  fleet.kinds[fleet.kindOfMember[fleet.members.findIndex((m) => m.id === id)]!]!;

/** The slow rule on every guest and host: verdicts by `guest host`. */
export async function slowly(
  catalog: Catalog,
  hosts: readonly DrawnHost[],
  guests: readonly DrawnGuest[],
): Promise<Map<string, Slow>> {
  const fleet = await fleetOfDrawn(catalog, hosts);
  const { read } = await readDescriptions(catalog, guestInputs(guests), { takes: 'guests' });
  return new Map(
    read.flatMap(({ id, description }) =>
      hosts.map((host) => [
        `${id} ${host.host}`,
        slowRule(catalog, description, kindOf(fleet, host.host), softwareOfDrawn(host)),
      ]),
    ),
  );
}

/** Holds the laws for one fleet, one further host and some guests. */
async function holdLaws(
  catalog: Catalog,
  hosts: readonly DrawnHost[],
  guests: readonly DrawnGuest[],
  counted: Counted,
): Promise<void> {
  const fleet = await fleetOfDrawn(catalog, hosts);
  const { read } = await readDescriptions(catalog, guestInputs(guests), { takes: 'guests' });
  await questionsAgree(catalog, hosts, fleet, guests, read, counted);
  changesAgree(catalog, fleet, read, counted);
  await lineHolds(catalog, hosts, fleet, counted);
}

/** place is the slow rule, and compare is place. */
async function questionsAgree(
  catalog: Catalog,
  hosts: readonly DrawnHost[],
  fleet: Fleet,
  guests: readonly DrawnGuest[],
  read: readonly Read[],
  counted: Counted,
): Promise<void> {
  const answer = place(fleet, guestsOf(catalog, read));
  for (const host of hosts) {
    const alone = await fleetOfDrawn(catalog, [host]);
    const cpus = await readFleet(catalog, guestInputs(guests), { takes: 'guests' });
    const compared = compare(alone, cpus);
    // What a guest gets takes as long to work out as all the rest, so it is asked of one host.
    const resolved = host === hosts[0] ? resolve(alone, cpus) : null;
    const single = place(alone, guestsOf(catalog, read));
    for (const { id, description } of read) {
      const what = `${guests.find((g) => g.id === id)!.text} on ${JSON.stringify(host)}`;
      const said = verdictOn(answer.guests.find((g) => g.guest === id)!, host.host);
      counted.verdicts[said]++;
      const slow = slowRule(catalog, description, kindOf(fleet, host.host), softwareOfDrawn(host));
      assert.is(said, slow, `place: ${said}, the slow rule: ${slow}: ${what}`);
      assert.is(
        verdictOn(single.guests.find((g) => g.guest === id)!, host.host),
        said,
        `alone: ${what}`,
      );
      const other = compared.cpus.find((c) => c.cpu === id)!;
      assert.is(OF_COMPARE[other.verdict], said, `compare: ${other.verdict}: ${what}`);
      if (!resolved) continue;
      const at = resolved.answer.guests.findIndex((g) => g.guest === id);
      const { verdict } = resolved.answer.guests[at]!;
      assert.is(OF_COMPARE[verdict], said, `resolve: ${verdict}: ${what}`);
      await definitionStarts(catalog, alone, resolved.got[at]!, said, what);
    }
  }
}

/** Where a guest runs, it gets a CPU, and by the definition of that it runs there, too. */
async function definitionStarts(
  catalog: Catalog,
  host: Fleet,
  got: Got | null,
  said: Slow,
  what: string,
): Promise<void> {
  if (said === 'no') assert.is(got, null, `it does not run, and gets a CPU: ${what}`);
  if (said === 'no' || said === 'unknown') return;
  assert.ok(got, `it runs, and gets no CPU: ${what}`);
  if (got.is !== 'pinned') return;
  const { machine, accel, resolved, alone } = got.pinned;
  // Address bits that QEMU takes where none are said hold nobody back; once they are written, they do.
  const words = alone.filter(([name]) => name !== 'phys-bits');
  const line = `qemu-system-x86_64 -machine ${machine} -accel ${accel} -cpu ${cpuArgument(resolved, words)}`;
  const again = await readFleet(catalog, [{ name: 'line', bytes: encode(line) }], {
    takes: 'guests',
  });
  const { cpus } = compare(host, again);
  const then = OF_COMPARE[cpus[0]!.verdict];
  // What is forced or may lack is no need of the guest. Pinned it is one, and with invtsc a guest does not move.
  const isKept = then === 'own-cpu' && words.some(([name, on]) => name === 'invtsc' && on === true);
  assert.ok(then === said || isKept, `${then}, not ${said}: ${line}: ${cpus[0]!.reasons}: ${what}`);
}

/** drift counts as place does, on the machine type before and on the one after. */
function changesAgree(
  catalog: Catalog,
  fleet: Fleet,
  read: readonly Read[],
  counted: Counted,
): void {
  const machine = 'pc-q35-7.2';
  for (const { id, description } of read) {
    const { asked } = description;
    if (!asked) continue;
    const then: Asked = { ...asked, machine };
    let answer: ReturnType<typeof drift>;
    try {
      answer = drift(catalog, [{ guest: id, from: asked, to: then }], fleet);
    } catch {
      // Of a guest that is refused or not known before the change there is nothing to say.
      continue;
    }
    counted.changed++;
    const { runnable, refused } = answer.guests[0]!;
    const runsOn = (of: Asked) => {
      const placed = place(
        fleet,
        guestsOf(catalog, [{ id, description: { ...description, asked: of } }]),
      );
      return placed.guests[0]!.runsOn;
    };
    assert.is(runnable!.before, runsOn(asked), `before: ${JSON.stringify(asked)}`);
    if (refused === undefined)
      assert.is(runnable!.after, runsOn(then), `after: ${JSON.stringify(then)}`);
  }
}

const worse = (a: boolean | null, b: boolean | null): boolean | null =>
  a === false || b === false ? false : a === null || b === null ? null : true;

/** A line holds on its own hosts, and on others just where each of them would be admitted. */
async function lineHolds(
  catalog: Catalog,
  hosts: readonly DrawnHost[],
  fleet: Fleet,
  counted: Counted,
): Promise<void> {
  const stack = parseStack(catalog, 'qemu@7.2,libvirt@9.0');
  const first = hosts.slice(0, Math.ceil(hosts.length / 2));
  const part = await fleetOfDrawn(catalog, first);
  const line = baseline(part, { stack });
  if (Object.keys(line.definitions).length === 0) return;
  counted.lines++;
  const saved = JSON.parse(JSON.stringify(line)) as Baseline;
  assert.is(check(part, saved, 'line', { stack }).holds, true, 'a line on its own hosts');
  const whole = check(fleet, saved, 'line', { stack }).holds;
  const more = hosts.slice(first.length);
  if (more.length > 0) {
    const newcomers = await fleetOfDrawn(catalog, more);
    const admitted = admitVerdict(admit(newcomers, saved, 'line'));
    assert.is(
      whole,
      worse(true, admitted),
      'check of all is check of some and admit of the others',
    );
    // What is admitted lowers nothing: the line of all of them has at least as much.
    const lowered = baseline(fleet, { stack });
    const isKept = line.features.every((f) => lowered.features.includes(f));
    // A line without a vendor, or without a layout, satisfies every host; each may be admitted, and they differ in it.
    const isSplit = new Set(hosts.flatMap((h) => h.vendor ?? [])).size > 1;
    if (whole === true && !isSplit && !differInUntold(catalog, hosts, saved))
      assert.ok(isKept, `admitted, and lowers the line: ${JSON.stringify(hosts)}`);
    if (whole === false) {
      const isLess = (lowered.limits.physBits ?? 0) < (line.limits.physBits ?? 0);
      assert.ok(!isKept || isLess || isUnusable(hosts), 'refused, and lowers nothing');
    }
  }
  await definitionsRun(catalog, part, line);
  await lostLayout(catalog, hosts, fleet, saved);
}

/** Whether hosts tell different layouts of a component that the line exposes and tells none of. */
function differInUntold(catalog: Catalog, hosts: readonly DrawnHost[], saved: Baseline): boolean {
  const told = new Set(saved.xsave.map((x) => x.component));
  return placesOf(catalog, hosts, saved.features).some(
    ([component, at]) => at.size > 1 && !told.has(component),
  );
}

/** Where hosts say that the state of what is exposed lies, by component. */
function placesOf(
  catalog: Catalog,
  hosts: readonly DrawnHost[],
  features: readonly string[],
): [component: number, places: Set<string>][] {
  const exposed = new Set(features.flatMap((f) => catalog.findQemu(f)?.xsave ?? []));
  const places = new Map<number, Set<string>>();
  for (const { xsave = [] } of hosts)
    for (const x of xsave)
      if (exposed.has(x.component))
        places.set(
          x.component,
          (places.get(x.component) ?? new Set()).add(`${x.size}@${x.offset}`),
        );
  return [...places];
}

/** Where hosts list their models, one may refuse a name although another name would do. */
const isUnusable = (hosts: readonly DrawnHost[]): boolean => hosts.some((h) => h.models);

/** What is written for QEMU and for libvirt runs on every host that it was drawn for. */
async function definitionsRun(catalog: Catalog, fleet: Fleet, line: Baseline): Promise<void> {
  const cpu = guestCpu(line, catalog, fleet);
  const software = { qemu: '7.2', libvirt: '9.0' };
  for (const name of ['qemu', 'libvirt'] as const) {
    if (!line.definitions[name]) continue;
    const text = dialectByName(name)!.write!(cpu, catalog);
    const input = {
      name: 'written',
      bytes: encode(name === 'qemu' ? `qemu-system-${cpu.arch} ${text}` : text),
    };
    const { read } = await readDescriptions(catalog, [input], { takes: 'guests' });
    const { guests } = place(fleet, guestsOf(catalog, read), { software });
    assert.is(guests[0]!.runsOn, fleet.hosts, `${text}: ${JSON.stringify(guests[0])}`);
  }
}

/** A line without its layout holds where the hosts that tell are alike in it. */
async function lostLayout(
  catalog: Catalog,
  hosts: readonly DrawnHost[],
  fleet: Fleet,
  { xsave: _, ...saved }: Baseline,
): Promise<void> {
  const differ = placesOf(catalog, hosts, saved.features)
    .filter(([, at]) => at.size > 1)
    .map(([component]) => component);
  const { guests } = await placedSaved(catalog, fleet, saved);
  const without = await placedSaved(catalog, fleet, { ...saved, xsave: [] });
  for (const host of hosts) {
    const plain = verdictOn(without.guests[0]!, host.host);
    const tells = (host.xsave ?? []).some((x) => differ.includes(x.component));
    const expected = plain === 'runs' && tells ? 'unknown' : plain;
    assert.is(verdictOn(guests[0]!, host.host), expected, `without its layout on ${host.host}`);
  }
}

async function placedSaved(catalog: Catalog, fleet: Fleet, saved: object) {
  const input = { name: 'line.json', bytes: encode(JSON.stringify(saved)) };
  const { read } = await readDescriptions(catalog, [input], { takes: 'guests' });
  return place(fleet, guestsOf(catalog, read));
}

/** As many fleets are drawn at effort 1. */
const FLEETS = 1000;

/**
 * Draws fleets and holds the laws for each.
 * @throws the first that breaks one, shrunk
 */
export async function holdAll(
  catalog: Catalog,
  { shrink = true }: { shrink?: boolean } = {},
): Promise<Counted> {
  const counted: Counted = {
    fleets: draws(FLEETS),
    verdicts: { runs: 0, 'own-cpu': 0, unknown: 0, no: 0 },
    lines: 0,
    changed: 0,
  };
  await assertProperty(
    fc.asyncProperty(drawnFleet(catalog, 4), drawnGuests(catalog, 4), (hosts, guests) =>
      holdLaws(catalog, hosts, guests, counted),
    ),
    { numRuns: FLEETS, endOnFailure: !shrink, examples: [strictExample(catalog)] },
  );
  return counted;
}
