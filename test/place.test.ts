// Where guests run, against sets of names held against each other host by host; what drains and losses strand.
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadCatalog } from '../src/cpu/catalog.ts';
import { type Need, needing } from '../src/cpu/need.ts';
import { readDescriptions } from '../src/dialects/read.ts';
import type { Fleet } from '../src/fleet/fleet.ts';
import { type Asker, asking } from '../src/solve/fit.ts';
import { guestsOf, isPlaced, type PlaceOptions, place as placeGuests } from '../src/solve/place.ts';
import { asCounted, fleetOf, type Made } from './support/hosts.ts';
import { madeFleet } from './support/made.ts';
import { assertProperty, draws } from './support/property.ts';

const FLEETS = 500;
const catalog = await loadCatalog();
const test = suite('place');

type Named = Need & { readonly id: string };

const need = (id: string, features: readonly string[], rest: Partial<Need> = {}): Named => ({
  ...needing(catalog.row([]), { arch: 'x86_64', features: catalog.row(features), ...rest }),
  id,
});

/** Guests that need the same share an asker, as they do when they are read. */
const place = (fleet: Fleet, needs: readonly Named[], options: PlaceOptions = {}) => {
  const askers = new Map<string, Asker>();
  const guests = needs.map(({ id, ...n }) => {
    const key = JSON.stringify({ ...n, features: n.features.join() });
    const asks = askers.get(key) ?? asking(n);
    askers.set(key, asks);
    return { id, asks };
  });
  return placeGuests(fleet, guests, options);
};

const uncounted = new Set(catalog.features.filter((f) => f.merge === 'never').map((f) => f.name));

/** What a hypervisor leaves out of what can move says nothing where it is not listed. */
const UNLISTED = ['invtsc'];

/** What a host lacks of a guest and what it leaves open, in the slowest words; null where something else stands in the way. */
function lacks(guest: Named, host: Made): { lacking: string[]; open: string[] } | null {
  const { vendor = 'Intel', limits = { physBits: 46 } } = host.facts!;
  if (guest.refused !== null) return null;
  if (guest.vendor !== null && guest.vendor !== vendor) return null;
  if (guest.physBits !== null && limits.physBits !== null && guest.physBits > limits.physBits)
    return null;
  const offered = new Set([...asCounted(host).features, ...(host.unnamed ?? [])]);
  const missing = [...catalog.names(guest.features), ...guest.unnamed].filter(
    (f) => !uncounted.has(f) && !offered.has(f),
  );
  const isOpen = (f: string) => [...(host.unknown ?? []), ...UNLISTED].includes(f);
  return { lacking: missing.filter((f) => !isOpen(f)), open: missing.filter(isOpen) };
}

const anyFeature = fc.constantFrom(...catalog.features.map((f) => f.name));
const anyGuests = (made: readonly Made[]) =>
  fc.array(
    fc.record({
      of: fc.nat({ max: made.length - 1 }),
      and: fc.nat({ max: made.length - 1 }),
      plus: fc.oneof(fc.constant([]), fc.uniqueArray(anyFeature, { maxLength: 1 })),
      unnamed: fc.oneof(fc.constant([]), fc.subarray(['future-a', 'future-b'])),
      vendor: fc.constantFrom(null, null, 'Intel', 'Intel', 'AMD'),
      physBits: fc.constantFrom(null, null, 40, 52),
    }),
    { minLength: 1, maxLength: 8 },
  );
const anyFleet = fc
  .tuple(
    madeFleet(catalog, 'Intel', 4),
    fc.array(fc.tuple(fc.subarray(['future-a', 'future-b']), fc.constantFrom(39, 46, 52)), {
      minLength: 4,
      maxLength: 4,
    }),
    fc.nat({ max: 3 }),
  )
  .map(([hosts, more, twins]) =>
    [...hosts, ...hosts.slice(0, twins)].map((m, i): Made => {
      const [unnamed, physBits] = more[(i % hosts.length) % 4]!;
      return { ...m, id: `h${i}`, unnamed, facts: { ...m.facts, limits: { physBits } } };
    }),
  );

test('every guest is on the hosts that have all it asks for, and on no other', () => {
  let homes = 0;
  let misses = 0;
  const anyCase = anyFleet.chain((made) =>
    fc.tuple(fc.constant(made), anyGuests(made), fc.nat({ max: 3 }), fc.nat()),
  );
  assertProperty(
    fc.property(anyCase, ([made, guests, lose, pick]) => {
      const needs = guests.map((g, i) =>
        need(
          `g${i}`,
          [
            ...made[g.of]!.features.filter((f) => made[g.and]!.features.includes(f)),
            ...g.plus,
          ].filter((f) => !uncounted.has(f)),
          {
            unnamed: g.unnamed,
            vendor: g.vendor,
            physBits: g.physBits,
          },
        ),
      );
      const drain = made.filter((_, i) => (pick >> i) & 1).map((m) => m.id);
      const answer = place(fleetOf(catalog, made), needs, { drain, lose });
      for (const [i, guest] of needs.entries()) {
        const placed = answer.guests[i]!;
        assert.is(placed.guest, guest.id);
        const of = (m: Made) => {
          const found = lacks(guest, m);
          if (found === null || found.lacking.length > 0) return 'no';
          return found.open.length > 0 ? 'unknown' : 'yes';
        };
        const own = made.filter((m) => of(m) === 'yes').map((m) => m.id);
        const open = made.filter((m) => of(m) === 'unknown').length;
        homes += own.length;
        assert.is(placed.runsOn, own.length);
        assert.is(placed.of, made.length);
        assert.equal(placed.hosts, own.sort());
        for (const { features, reasons, hosts } of placed.missing)
          for (const id of hosts) {
            const found = lacks(guest, made.find((m) => m.id === id)!);
            misses++;
            if (found === null) assert.ok(reasons!.length > 0);
            else assert.equal(features, found.lacking.sort());
          }
        for (const { features, hosts } of placed.unknown)
          for (const id of hosts) {
            const found = lacks(guest, made.find((m) => m.id === id)!);
            if (found !== null) assert.equal(features, found.open.sort());
          }
        assert.is(
          placed.missing.reduce((n, m) => n + m.count, 0),
          made.length - own.length - open,
        );
        // A guest is stranded when some loss of so many hosts beside the drained ones takes all of its homes, and none
        // of those that it may run on is left.
        const left = own.filter((id) => !drain.includes(id)).length;
        const isLosing = drain.length > 0 || lose > 0;
        const isCut = own.length > 0 && isLosing && left <= lose;
        assert.is(answer.stranded.includes(guest.id), isCut && left + open <= lose);
        assert.is(answer.nowhere.includes(guest.id), own.length + open === 0);
        assert.is(
          answer.unknown.includes(guest.id),
          (own.length === 0 && open > 0) || (isCut && left + open > lose),
        );
      }
      const least = Math.min(...answer.guests.map((g) => g.runsOn));
      assert.is(answer.fewest!.runsOn, least);
      assert.is(
        isPlaced(answer),
        answer.stranded.length + answer.nowhere.length + answer.unknown.length === 0,
      );
    }),
    { numRuns: FLEETS },
  );
  console.log(`place: ${homes} homes and ${misses} refusals`);
  assert.ok(Math.min(homes, misses) > draws(FLEETS));
});

test('the drain of nothing strands nothing', () => {
  assertProperty(
    fc.property(anyFleet, (made) => {
      const needs = made.map((m) => need(`guest of ${m.id}`, m.features));
      assert.equal(place(fleetOf(catalog, made), needs, { drain: [], lose: 0 }).stranded, []);
    }),
    { numRuns: FLEETS / 5 },
  );
});

const base = ['sse2', 'avx', 'avx2'];
const three = () =>
  fleetOf(catalog, [
    { id: 'a', features: base },
    { id: 'b', features: base },
    { id: 'c', features: [...base, 'avx512f'] },
  ]);

test('a drained host strands the guest that runs nowhere else, and a lost one whom it would', () => {
  const needs = [
    need('easy', base),
    need('hard', [...base, 'avx512f']),
    need('never', ['amx-tile']),
  ];
  const answer = place(three(), needs, { drain: ['c'] });
  assert.equal(
    answer.guests.map((g) => [g.guest, g.runsOn, g.left, g.first]),
    [
      ['easy', 3, 2, null],
      ['hard', 1, 0, 'avx512f'],
      ['never', 0, 0, 'amx-tile'],
    ],
  );
  assert.equal(answer.stranded, ['hard']);
  assert.equal(answer.nowhere, ['never']);
  assert.equal(answer.fewest, { runsOn: 0, count: 1, guests: ['never'] });
  assert.equal(place(three(), needs, { lose: 2 }).stranded, ['hard']);
  assert.equal(place(three(), needs, { lose: 3 }).stranded, ['easy', 'hard']);
  assert.throws(
    () => place(three(), needs, { drain: ['d'] }),
    /--drain "d" is none of the 3 hosts/,
  );
  assert.throws(() => place(three(), needs, { lose: -1 }), /whole number from 0/);
});

test('after a change of the baseline, guests with another CPU need to be switched off and on', () => {
  const document = {
    schema: 'plimsoll.baseline/1',
    stack: ['qemu@10.0'],
    arch: 'x86_64',
    vendor: null,
    features: base,
  };
  const needs = [
    need('same', base),
    need('less', ['sse2']),
    need('more', [...base, 'avx512f', 'ht']),
  ];
  const answer = place(three(), needs, { baseline: { document, name: 'line.json' } });
  assert.equal(answer.powerCycle, [
    { guest: 'less', gains: ['avx', 'avx2'], loses: [] },
    { guest: 'more', gains: [], loses: ['avx512f'] },
  ]);
});

test('a host that leaves open what is asked for does not count, and is named', () => {
  const fleet = fleetOf(catalog, [
    { id: 'known', features: base },
    { id: 'open', features: ['sse2'], unknown: ['avx', 'avx2'] },
  ]);
  const answer = place(fleet, [need('g', base)]);
  assert.is(answer.guests[0]!.runsOn, 1);
  assert.equal(
    answer.findings.filter((f) => f.code === 'unknown').map((f) => f.hosts),
    [['open']],
  );
});

const software = { qemu: '10.0', libvirt: '12.8', machine: 'q35' };
const readAll = async (name: string, text: string) =>
  (
    await readDescriptions(catalog, [{ name, bytes: new TextEncoder().encode(text) }], {
      takes: 'guests',
      lines: true,
    })
  ).read;
const read = async (name: string, text: string): Promise<Named[]> =>
  guestsOf(catalog, await readAll(name, text)).map(({ id, asks }) => ({
    ...asks.need(software),
    id,
  }));
const asked = (n: Need) => catalog.names(n.features);

test('guests are read from every language that they are defined in', async () => {
  const [xml] = await read(
    'vm.xml',
    `<domain type='kvm'><name>web-1</name><os><type arch='x86_64' machine='pc-q35-9.2'>hvm</type></os>
     <cpu mode='custom'><model>Haswell-noTSX</model><feature policy='require' name='pdpe1gb'/></cpu></domain>`,
  );
  assert.is(xml!.id, 'web-1');
  assert.is(xml!.vendor, 'Intel');
  assert.ok(asked(xml!).includes('pdpe1gb') && asked(xml!).includes('avx2'));
  assert.not(asked(xml!).includes('hle'));

  const lines = await read(
    'ps.txt',
    `qemu-system-x86_64 -name guest=db-1,debug-threads=on -machine pc-i440fx-3.1,accel=kvm -cpu EPYC,+svm -m 4G
# a comment
/usr/bin/kvm -name 'db 2' -cpu 'Haswell,-hle,-rtm,phys-bits=42,host-phys-bits=off'
Nehalem
`,
  );
  assert.equal(
    lines.map((n) => [n.id, n.vendor, n.physBits]),
    [
      ['db 2', 'Intel', 42],
      ['db-1', 'AMD', null],
      ['ps', 'Intel', null],
    ],
  );
  assert.ok(asked(lines[1]!).includes('svm'));

  const [record] = await read(
    'r.ndjson',
    '{"host":"rec","view":"guest","features":["avx2","new-one"]}\n',
  );
  assert.equal([record!.id, asked(record!), record!.unnamed], ['rec', ['avx2'], ['new-one']]);

  const [pinned] = await read(
    'pin.json',
    '{"schema":"plimsoll.pin/1","features":["avx2","sse2"],"properties":{"vendor":"AuthenticAMD"}}',
  );
  assert.equal([pinned!.id, asked(pinned!), pinned!.vendor], ['pin', ['avx2', 'sse2'], 'AMD']);
});

test('an emulated guest runs anywhere, or nowhere', async () => {
  const [easy, hard] = await read(
    'tcg.txt',
    'qemu -name easy -machine q35,accel=tcg -cpu Nehalem\nqemu -name hard -accel tcg -cpu SapphireRapids\n',
  );
  const answer = place(three(), [easy!, hard!]);
  assert.equal(
    answer.guests.map((g) => [g.guest, g.runsOn]),
    [
      ['easy', 3],
      ['hard', 0],
    ],
  );
});

test('a guest that cannot be read is said where and why', async () => {
  const refused = async (text: string, why: RegExp) => {
    try {
      await read('g.txt', text);
    } catch (error) {
      assert.match((error as Error).message, why);
      return;
    }
    assert.unreachable(`${text} was read`);
  };
  await refused('', /g\.txt is empty/);
  await refused('two words\n', /g\.txt:1: no guest is recognised/);
});

test('what starts no guest, or is not known, is an answer and names why', async () => {
  const answer = async (text: string, name = 'g.txt') =>
    placeGuests(three(), guestsOf(catalog, await readAll(name, text))).guests[0]!;
  const refused = async (text: string, why: RegExp) => {
    const { verdict, missing } = await answer(text);
    assert.is(verdict, 'none');
    assert.match(missing[0]!.reasons![0]!, why);
  };
  const unsettled = async (text: string, why: RegExp) => {
    const { verdict, unknown } = await answer(text);
    assert.is(verdict, 'unknown');
    assert.match(unknown[0]!.reasons![0]!, why);
  };
  await refused('Haswell,foo=on\n', /QEMU 10.0 has no CPU property "foo"/);
  await refused('486,phys-bits=40\n', /phys-bits needs a 64-bit CPU/);
  await refused(
    '486,rdctl-no=on,enforce\n',
    /refuses rdctl-no, because a feature that it needs is off/,
  );
  await refused('486,rdctl-no=on\n', /starts, without rdctl-no/);
  await unsettled('Haswel\n', /no QEMU .* has a CPU model "Haswel"; did you mean/);
  await unsettled('qemu -machine pc-q35-99.0 -cpu EPYC\n', /"pc-q35-99\.0" is of no QEMU/);
  const own = await answer('host,+avx2\n');
  assert.equal([own.verdict, own.runsOn], ['own-cpu', 3]);
  assert.match(own.own!, /moves to equals alone/);
  assert.is((await answer('host,+avx512f\n')).runsOn, 1);
  const passed = await answer(
    "<domain type='kvm'><name>p</name><os><type machine='q35'>hvm</type></os><cpu mode='host-passthrough'/></domain>",
    'p.xml',
  );
  assert.is(passed.verdict, 'own-cpu');
});

test('ten thousand guests on a hundred thousand hosts take seconds', () => {
  const made: Made[] = [];
  const models = [...catalog.qemuModels.values()].filter(
    (m) => m.kind === 'versioned' && m.vendor === 'Intel',
  );
  for (let i = 0; i < 100_000; i++) {
    const features = models[i % models.length]!.name;
    made.push({ id: `host-${i}`, features: known(features), facts: { vendor: 'Intel' } });
  }
  const fleet = fleetOf(catalog, made);
  const needs = Array.from({ length: 10_000 }, (_, i) => {
    const features = known(models[i % models.length]!.name);
    return need(`guest-${i}`, features.slice(0, features.length - (i % 37)));
  });
  const started = process.cpuUsage();
  const answer = place(fleet, needs, { lose: 1, drain: ['host-0'] });
  const took = process.cpuUsage(started).user / 1e6;
  assert.is(answer.guests.length, 10_000);
  console.log(`place: 10,000 guests on 100,000 hosts in ${took.toFixed(1)} s`);
  assert.ok(took < 10, `${took} s`);
});

const rows = new Map<string, string[]>();
function known(model: string): string[] {
  let names = rows.get(model);
  if (!names) {
    names = catalog.names(catalog.qemuFeatures(model, '10.0')!);
    rows.set(model, names);
  }
  return names;
}

test.run();
