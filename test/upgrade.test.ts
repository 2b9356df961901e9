// What another kernel does to hosts, their line and guests: literal hosts, and a fleet that was read with that kernel.
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { hasBit } from '../src/core/rows.ts';
import { loadCatalog } from '../src/cpu/catalog.ts';
import { QueryError } from '../src/cpu/errors.ts';
import type { Asked } from '../src/cpu/guest.ts';
import { readDescriptions, readFleet } from '../src/dialects/read.ts';
import type { Fleet } from '../src/fleet/fleet.ts';
import { writeSummary } from '../src/fleet/summary.ts';
import { underKernel } from '../src/fleet/under.ts';
import { baseline } from '../src/solve/baseline.ts';
import { type Drift, drift, driftVerdict, type Move } from '../src/solve/drift.ts';
import { guestsOf, place } from '../src/solve/place.ts';
import { feed } from './support/command.ts';
import { type DrawnHost, drawnFleet, drawnGuests } from './support/drawn.ts';
import { AMD, dump } from './support/dump.ts';
import { assertProperty, draws } from './support/property.ts';

const test = suite('another kernel');
const catalog = await loadCatalog();
const encode = (text: string) => new TextEncoder().encode(text);
const inputs = (of: Readonly<Record<string, string>>) =>
  Object.entries(of).map(([name, text]) => ({ name, bytes: encode(text) }));
const kept = (of: Readonly<Record<string, string>>, kernel?: string) =>
  readFleet(catalog, inputs(of), {
    keepDescribed: true,
    ...(kernel === undefined ? {} : { kernel }),
  });

/** A processor with enough for a guest, and these words of its last leaf. */
const processor = (letters: string, signature: number, words: string) =>
  dump(letters, signature, {
    '00000001': `${signature.toString(16).padStart(8, '0')}-00000000-7ed8320b-178bfbff`,
    '80000008': `00003030-${words}-00000000-00000000`,
  });
/** ibpb, ibrs, amd-stibp and amd-ssbd, as Zen 2 has them: from 6.14 on KVM makes no spec-ctrl of these. */
const ZEN2 = processor(AMD, 0x00830f10, '0100d000');
/** With the bit that 6.14 asks for. */
const ZEN4 = processor(AMD, 0x00a10f11, '4100d000');
const GUEST: Asked = { by: 'qemu', cpu: '486,+spec-ctrl', machine: null, accelerator: 'kvm' };
const PLAIN: Asked = { by: 'qemu', cpu: '486', machine: null, accelerator: 'kvm' };
const moves = [
  { guest: 'asks', from: GUEST, to: GUEST },
  { guest: 'plain', from: PLAIN, to: PLAIN },
];

function said({ kinds }: Fleet, name: string): 'offered' | 'absent' | 'unknown' {
  const { id } = catalog.feature(name);
  return hasBit(kinds[0]!.has, id) ? 'offered' : hasBit(kinds[0]!.known, id) ? 'absent' : 'unknown';
}

test('from 6.14 on Zen 2 loses spec-ctrl, and a guest that lists it does not start', async () => {
  const fleet = await kept({ zen2: ZEN2, zen4: ZEN4 }, '6.12.118');
  const answer = drift(catalog, moves, fleet, { toKernel: '6.14.0' });
  assert.is(answer.toKernel, '6.14.0');
  const change = answer.changes!.find((c) => c.hosts.includes('zen2'))!;
  assert.ok(change.lost.includes('spec-ctrl') && change.count === 1);
  assert.not(answer.changes!.some((c) => c.hosts.includes('zen4') && c.lost.includes('spec-ctrl')));
  const [line] = answer.line!;
  assert.equal([line!.by, line!.lost, line!.hosts], ['AMD', ['spec-ctrl'], ['zen2']]);
  assert.is(line!.before.features, line!.after.features + line!.lost.length);
  const plain = answer.guests.find((g) => g.guest === 'plain')!;
  const asking = answer.guests.find((g) => g.guest === 'asks')!;
  assert.equal(asking.runnable, { before: 2, after: 1, of: 2 });
  assert.equal(asking.stranded, { count: 1, hosts: ['zen2'] });
  assert.equal([asking.lacks, asking.keep], [['spec-ctrl'], '486,+spec-ctrl,-spec-ctrl']);
  assert.is(asking.abiEqual, true);
  assert.equal(plain.runnable, { before: 2, after: 2, of: 2 });
  assert.is(driftVerdict(answer), 'no');
  assert.equal(answer.hostFindings, []);
});

test('the way back is a gain, and where the kernel is not told nothing is sure', async () => {
  const move = [{ guest: 'g', from: GUEST, to: GUEST }];
  const back = drift(catalog, move, await kept({ zen2: ZEN2 }, '6.14.0'), { toKernel: '6.12.118' });
  assert.ok(back.changes![0]!.gained.includes('spec-ctrl'));
  assert.equal(back.line![0]!.gained, ['spec-ctrl']);
  assert.is(driftVerdict(back), 'runs');
  const untold = drift(catalog, move, await kept({ zen2: ZEN2 }), { toKernel: '6.14.0' });
  assert.ok(untold.changes![0]!.mayLose.includes('spec-ctrl'));
  assert.equal([untold.guests[0]!.runnable!.before, untold.guests[0]!.stranded!.count], [0, 0]);
  assert.equal(untold.guests[0]!.unknown, { count: 1, hosts: ['zen2'] });
  assert.is(driftVerdict(untold), 'unknown');
  assert.equal(
    untold.hostFindings!.map((f) => [f.code, f.count]),
    [['kernel-untold', 1]],
  );
});

test('hosts that cannot be asked stay as they are, and are named', async () => {
  const hypervisor = JSON.stringify({ host: 'virt', vendor: 'AMD', features: ['spec-ctrl'] });
  const fleet = await kept({ zen2: ZEN2, 'virt.json': hypervisor }, '6.12.118');
  const under = underKernel(fleet, '6.14.0');
  assert.equal(under.kinds.map((k) => hasBit(k.has, catalog.feature('spec-ctrl').id)).sort(), [
    false,
    true,
  ]);
  const [finding] = baseline(under).findings.filter((f) => f.code === 'kernel-kept');
  assert.equal([finding!.count, finding!.hosts], [1, ['virt']]);
  assert.not(baseline(fleet).findings.some((f) => f.code === 'kernel-kept'));
  // Joined with its hardware, the hypervisor's word goes on counting.
  const shown = { host: 'zen2', vendor: 'AMD', view: 'hardware', features: ['ibpb', 'ibrs'] };
  const record = JSON.stringify({ host: 'zen2', vendor: 'AMD', features: ['spec-ctrl'] });
  const both = { 'a.json': JSON.stringify(shown), 'b.json': record };
  const joined = underKernel(await kept(both, '6.12.118'), '6.14.0');
  assert.is(joined.hosts, 1);
  assert.is(said(joined, 'spec-ctrl'), 'offered');
  assert.ok(joined.kinds[0]!.notes.some((note) => note.code === 'kernel-kept'));
  // A summary has what hosts offer, and not what they were described by.
  const lines = [
    ...(await writeSummary(await kept({ zen2: ZEN2 }, '6.12.118'), { keep: [], ids: true })),
  ];
  const summary = lines.map((piece) => new TextDecoder().decode(piece)).join('');
  const summarized = underKernel(await kept({ 'shard.ndjson': summary }), '6.14.0');
  assert.is(said(summarized, 'spec-ctrl'), 'offered');
  assert.ok(summarized.kinds[0]!.notes.some((note) => /summary/.test(note.message)));
});

test('flags that a kernel printed are not those that another would print', async () => {
  const flags = (kernel: string, more: string) =>
    JSON.stringify({
      host: 'h',
      view: 'kernel',
      vendor: 'AMD',
      signature: { family: 23, model: 49, stepping: 0 },
      features: ['xsave', 'xsavec', ...more.split(' ')].filter((f) => f !== ''),
      software: { kernel },
    });
  // 6.2 leaves xsaves to Zen 2, and 6.8 takes it: what 6.8 does not print may be there.
  const printed = await kept({ 'h.json': flags('6.2.0', 'xsaves') });
  assert.is(said(printed, 'xsaves'), 'offered');
  assert.is(said(underKernel(printed, '6.8.0'), 'xsaves'), 'absent');
  const without = await kept({ 'h.json': flags('6.8.0', '') });
  assert.is(said(without, 'xsaves'), 'absent');
  assert.is(said(underKernel(without, '6.2.0'), 'xsaves'), 'unknown');
  // A kernel that leaves it would have printed it.
  const lacking = await kept({ 'h.json': flags('6.2.0', '') });
  assert.is(said(underKernel(lacking, '5.15.100'), 'xsaves'), 'absent');
});

test('the command says it in a line, exits by it, and takes standard input', async () => {
  const drifted = (...more: string[]) =>
    feed(ZEN2, 'drift', '--to-kernel', '6.14', '--kernel', '6.12.118', ...more, '-');
  const stranded = await drifted('--cpu', '486,+spec-ctrl');
  assert.is(stranded.status, 1, stranded.stderr);
  const lines = stranded.stdout.split('\n');
  assert.is(lines[0], 'under kernel 6.14, 1 of 1 guest would be stranded on a host where it ran');
  assert.match(stranded.stdout, /^ {2}stranded {2}stdin$/m);
  assert.match(stranded.stdout, /^ {2}lacking {3}spec-ctrl$/m);
  assert.ok(lines.every((line) => line.length <= 80));
  const hosts = await drifted();
  assert.is(hosts.status, 0, hosts.stderr);
  assert.match(hosts.stdout, /^kernel 6.14 takes from the line of AMD spec-ctrl\n/);
  const open = await feed(ZEN2, 'drift', '--to-kernel=6.14', '--cpu=486,+spec-ctrl', '-');
  assert.is(open.status, 2, open.stderr);
  const none = await feed('', 'drift', '--to-kernel', '6.14');
  assert.equal([none.status, none.stdout], [2, '']);
  assert.match(none.stderr, /--to-kernel is about hosts, and there are none/);
});

test('a what-if of the questions about hosts', async () => {
  const ask = (kernel: string, ...argv: string[]) =>
    feed(ZEN2, ...argv, '--with-kernel', kernel, '--json', '-');
  for (const [kernel, has] of [
    ['6.12.118', true],
    ['6.14.0', false],
  ] as const) {
    const line = JSON.parse((await ask(kernel, 'baseline')).stdout);
    assert.is(line.features.includes('spec-ctrl'), has, kernel);
    const placed = await ask(kernel, 'place', '--cpu', '486,+spec-ctrl');
    assert.is(placed.status, has ? 0 : 1, kernel);
    const [group] = JSON.parse((await ask(kernel, 'groups', '-k', '1')).stdout).groups;
    assert.is(group.features.includes('spec-ctrl'), has, kernel);
    assert.is((await ask(kernel, 'blame')).status, 0);
  }
  const refused = await ask('6.14', 'baseline', '--rules', 'libvirt');
  assert.match(refused.stderr, /--with-kernel is of the safe rules/);
});

/** Zen 2 with rdpid, as records, so that each tells its kernel. */
const zen2On = (host: string, kernel: string | null, ...features: string[]) =>
  JSON.stringify({
    host,
    vendor: 'AMD',
    view: 'hardware',
    signature: { family: 23, model: 49, stepping: 0 },
    features: ['ibpb', 'ibrs', ...features],
    ...(kernel === null ? {} : { software: { kernel } }),
  });

test('admit names hosts that stay as they are', async () => {
  const line = (await feed(ZEN2, 'baseline', '--kernel', '6.12.118', '--json', '-')).stdout;
  const dir = mkdtempSync(join(tmpdir(), 'plimsoll-kernel-'));
  const saved = join(dir, 'line.json');
  writeFileSync(saved, line);
  const hypervisor = JSON.stringify({ host: 'virt', vendor: 'AMD', features: ['spec-ctrl'] });
  const ask = (host: string, ...more: string[]) =>
    feed(host, 'admit', '--baseline', saved, ...more, '--json', '-');
  const told = JSON.parse((await ask(hypervisor, '--with-kernel', '6.14')).stdout);
  assert.equal(
    told.findings.map((f: { code: string; hosts: string[] }) => [f.code, f.hosts]),
    [['kernel-kept', ['virt']]],
  );
  assert.is(JSON.parse((await ask(hypervisor)).stdout).findings, undefined);
  const lost = await ask(ZEN2, '--with-kernel', '6.14');
  assert.is(lost.status, 1);
  assert.equal(JSON.parse(lost.stdout).hosts[0].lost, ['spec-ctrl']);
  assert.is((await ask(ZEN2, '--with-kernel', '6.12.118')).status, 0);
});

test('blame names the kernel that would give a feature, and the one that takes it', async () => {
  const blamed = async (...hosts: string[]) => {
    const { stdout, status } = await feed(hosts.join('\n'), 'blame', '--json', '-');
    assert.is(status, 0, stdout);
    return JSON.parse(stdout).groups as { hosts: string[]; remedy: string; because: string }[];
  };
  const [old] = await blamed(zen2On('old', '4.19.108', 'rdpid'), zen2On('new', '6.8.0', 'rdpid'));
  assert.equal([old!.hosts, old!.remedy], [['old'], 'mend']);
  assert.match(old!.because, /kernel 5\.4\.286 would give it, in the place of 4\.19\.108/);
  const [open] = await blamed(zen2On('open', null, 'rdpid'), zen2On('new', '6.12.118', 'rdpid'));
  assert.equal([open!.hosts, open!.remedy], [['open'], 'unknown']);
  assert.match(open!.because, /its kernel is not told, and KVM gives it from kernel 5\.4\.286 on/);
  const [newer] = await blamed(zen2On('newer', '6.14.0'), zen2On('older', '6.12.118'));
  assert.equal([newer!.hosts, newer!.remedy], [['newer'], 'replace']);
  assert.match(newer!.because, /up to kernel 6\.12\.118, and gives it no more from 6\.14\.0 on/);
  // A kernel that is newer than all that were read may have lost it; an older one is no remedy.
  const [last] = await blamed(zen2On('last', '7.9.1', 'pku'), zen2On('read', '7.3.4', 'pku'));
  assert.equal([last!.hosts, last!.remedy], [['last'], 'unknown']);
  assert.not.match(last!.because, /would give/);
  // What its processor lacks no kernel gives.
  const [lacks] = await blamed(zen2On('lacks', '6.8.0'), zen2On('has', '6.8.0', 'rdpid'));
  assert.not.match(lacks!.because, /would give/);
});

test('a baseline says what a newer kernel takes', async () => {
  const said = async (kernel: string) =>
    baseline(await kept({ zen2: ZEN2 }, kernel)).findings.filter((f) => f.code === 'kernel-takes');
  const [finding] = await said('6.12.118');
  assert.equal([finding!.severity, finding!.hosts], ['info', ['zen2']]);
  assert.match(finding!.message, /KVM of kernel 6\.14\.0 and later gives no spec-ctrl/);
  assert.equal(await said('6.14.0'), []);
  assert.equal(
    baseline(await kept({ zen4: ZEN4 }, '6.12.118')).findings.filter(
      (f) => f.code === 'kernel-takes',
    ),
    [],
  );
});

/** Hosts by their hardware or their hypervisor, each with this kernel. */
const recordsWith = (hosts: readonly DrawnHost[], kernel: string) => ({
  name: 'hosts.ndjson',
  bytes: encode(
    hosts
      .map((h) => {
        const view = h.view === 'hypervisor' ? h.view : 'hardware';
        const its = view === 'hypervisor' ? {} : { kernel };
        return JSON.stringify({ ...h, view, software: { ...h.software, ...its } });
      })
      .join('\n'),
  ),
});

/** Null where no guest has a definition that starts now. */
function driftOf(fleet: Fleet, asked: readonly Move[], toKernel: string): Drift | null {
  try {
    return drift(catalog, asked, fleet, { toKernel, skipUnreadable: true });
  } catch (error) {
    if (error instanceof QueryError) return null;
    throw error;
  }
}

test('under another kernel hosts are what they are when they tell that one, to every guest', async () => {
  const kernel = fc.constantFrom(...catalog.kvm.kernels, '6.9.3', '5.14.0-427.el9.x86_64', '7.9.1');
  const seen = { no: 0, changed: 0, runs: 0 };
  await assertProperty(
    fc.asyncProperty(
      drawnFleet(catalog, 4),
      drawnGuests(catalog, 4),
      kernel,
      kernel,
      async (hosts, guests, from, to) => {
        const options = { keepDescribed: true };
        const fleet = await readFleet(catalog, [recordsWith(hosts, from)], options);
        const told = await readFleet(catalog, [recordsWith(hosts, to)], options);
        const under = underKernel(fleet, to);
        const rows = ({ members, kinds, kindOfMember }: Fleet) =>
          members.map(({ id }, i) => [
            id,
            kinds[kindOfMember[i]!]!.has,
            kinds[kindOfMember[i]!]!.known,
          ]);
        assert.equal(rows(under), rows(told));
        const given = guests.map(({ id, text }) => ({ name: id, bytes: encode(text) }));
        const { read } = await readDescriptions(catalog, given, { takes: 'guests' });
        const asked = read.flatMap(({ id, description: { asked: a } }) =>
          a ? [{ guest: id, from: a, to: a }] : [],
        );
        if (asked.length === 0) return;
        const answer = driftOf(fleet, asked, to);
        if (answer === null) return;
        const [before, after] = [fleet, told].map((of) => place(of, guestsOf(catalog, read)));
        for (const g of answer.guests) {
          const [was, is] = [before!, after!].map(
            (p) => p.guests.find((x) => x.guest === g.guest)!,
          );
          const on = [g.runnable!.before, g.runnable!.after];
          assert.equal(on, [was!.runsOn, is!.runsOn], g.guest);
          seen[g.stranded!.count > 0 ? 'no' : 'runs']++;
        }
        if (answer.changes!.length > 0) seen.changed++;
      },
    ),
    { numRuns: 60 },
  );
  assert.ok(seen.changed > draws(60) / 12 && seen.runs > draws(60) / 3, JSON.stringify(seen));
});

test.run();
