// Does it run here, asked of libvirt: domains that are drawn near the truth, created paused by a libvirtd of our own for
// KVM and for plain emulation, and what place says of each with that libvirt's own description of the host.
import { readFileSync } from 'node:fs';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadCatalog } from '../../src/cpu/catalog/catalog.ts';
import { machinesOf } from '../../src/cpu/qemu/machine.ts';
import {
  type DomainGround,
  type DrawnDomain,
  drawDomains,
  libvirtWords,
} from '../support/drawn-domains.ts';
import { Libvirt, virshVersion } from '../support/libvirtd.ts';
import { sayMissing } from '../support/places.ts';
import { draws, seed } from '../support/property.ts';
import { each, qemuVersion, recordSession } from '../support/qemu.ts';
import { random } from '../support/random.ts';
import { startsKvm, whatHostNeeds } from '../support/started.ts';
import { type Drawn, type Outcome, prove } from '../support/verdicts.ts';

const COMMAND = ['qemu-system-x86_64'];
const count = draws(100);
const LIBVIRT = virshVersion();
const QEMU = qemuVersion(COMMAND);

const test = suite('what libvirt starts');
const catalog = await loadCatalog();
const isKnown =
  LIBVIRT !== null &&
  catalog.versions.libvirt.includes(LIBVIRT) &&
  QEMU !== null &&
  catalog.versions.qemu.includes(QEMU);
const hasKvm = isKnown && (await startsKvm(COMMAND));
const libvirt = isKnown ? await Libvirt.start(hasKvm) : null;
if (!libvirt) sayMissing('what libvirt starts', 'a libvirtd and a QEMU that the catalog knows');
const live = libvirt ? test : test.skip;

test.after(async () => {
  await libvirt?.end();
});

const isNowLibvirt = (name: string): boolean => {
  const word = catalog.findQemu(name)?.libvirt;
  return word != null && catalog.isSince('libvirt', LIBVIRT!, word.since);
};
const wordsOf = (names: readonly string[]): string[] =>
  names.filter(isNowLibvirt).map((name) => catalog.findQemu(name)!.libvirt!.name);

/** What domains of this type are drawn from, as QEMU and libvirt tell of it. */
async function groundOf(accelerator: 'kvm' | 'tcg'): Promise<DomainGround> {
  const isKvm = accelerator === 'kvm';
  const off = isKvm ? await whatHostNeeds(COMMAND, catalog, QEMU!) : [];
  const { answers } = await recordSession(COMMAND, accelerator, [
    ['query-cpu-model-expansion', { type: 'full', model: { name: isKvm ? 'host' : 'max' } }],
    ['query-cpu-definitions'],
  ]);
  const { props } = (answers[0] as { model: { props: Record<string, unknown> } }).model;
  const definitions = answers[1] as { name: string; 'unavailable-features': string[] }[];
  const blockers = new Map(definitions.map((d) => [d.name, d['unavailable-features']]));
  const { now, later } = libvirtWords(catalog, LIBVIRT!);
  const names = catalog.features.filter((f) => f.qemu !== null).map((f) => f.name);
  const models = libvirt!.virsh('cpu-models', 'x86_64').stdout.split('\n').filter(Boolean);
  const vendor = catalog.vendor(String(props.vendor));
  return {
    models: models.map((name) => ({
      name,
      vendor: catalog.qemuModels.get(name)?.vendor ?? null,
      blockers: wordsOf(blockers.get(name) ?? []),
    })),
    vendors: new Set(isKvm ? [null, vendor] : [null, ...catalog.vendors.map((v) => v.name)]),
    vendor,
    words: now,
    laterWords: later,
    offered: wordsOf(names.filter((name) => props[name] === true && !off.includes(name))),
    defaults: [
      'hypervisor',
      ...wordsOf(catalog.names(isKvm ? catalog.accelerators.kvm.on : catalog.accelerators.tcg.on)),
    ],
    machines: machinesOf(catalog, QEMU!)
      .map((m) => m.name)
      .filter((name) => /^(pc|q35|pc-.*)$/.test(name) && !/-(1\.\d+|2\.[0-3])$/.test(name)),
    hostNeeds: wordsOf(off),
    physBits: Number(/(\d+) bits physical/.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? 40),
  };
}

const domainXml = (type: string, name: string, { machine, cpu }: DrawnDomain): string =>
  `<domain type='${type}'>
  <name>${name}</name><memory unit='MiB'>32</memory><vcpu>1</vcpu>
  <os><type arch='x86_64' machine='${machine}'>hvm</type></os>
  ${cpu}
  <devices><emulator>/usr/bin/qemu-system-x86_64</emulator><controller type='usb' model='none'/><memballoon model='none'/></devices>
</domain>
`;

const nameOf = (word: string) => catalog.findLibvirt(word)?.name ?? word;

/**
 * What a CPU that is the host's asks for by itself: what is written and, of one that is at least a model, what libvirt
 * has of that; null of any other CPU, of which QEMU tells all that it goes without. Of the host's, QEMU tells what nobody
 * asked for, too, and nothing of a model that libvirt does not hand on.
 */
function askedBeside({ cpu }: DrawnDomain): string[] | null {
  if (!/mode='host-|match='minimum'/.test(cpu)) return null;
  const model = /<model[^>]*>([^<]*)/.exec(cpu)?.[1];
  const row = model === undefined ? null : catalog.libvirtFeatures(model, LIBVIRT!);
  const isCounted = (name: string) => catalog.find(name)?.merge !== 'never';
  const names = new Set(row === null ? [] : catalog.names(row).filter(isCounted));
  for (const [, policy, word] of cpu.matchAll(/policy='(\w+)' name='([^']*)'/g))
    if (policy === 'require' || policy === 'force') names.add(nameOf(word!));
    else names.delete(nameOf(word!));
  return [...names].filter((name) => catalog.find(name)?.qemu != null);
}

/** Creates a domain paused, asks its QEMU what it did not get, and destroys it. */
async function created(
  type: 'kvm' | 'qemu',
  name: string,
  xml: string,
  domain: DrawnDomain,
): Promise<Outcome> {
  const made = await libvirt!.ask('create', '--paused', libvirt!.file(xml));
  if (made.status !== 0) return { starts: false, error: made.stderr.trim() };
  const without = new Set<string>();
  // Of plain emulation QEMU tells what was asked for, whatever the mode.
  const asked = type === 'kvm' ? askedBeside(domain) : null;
  try {
    if (asked === null)
      for (const word of (await property(name, 'unavailable-features')) as string[])
        without.add(catalog.findQemu(word)?.name ?? word);
    else for (const word of asked) if ((await property(name, word)) === false) without.add(word);
  } finally {
    await libvirt!.ask('destroy', name);
  }
  const waived = new Set(domain.optional.map(nameOf));
  return { starts: true, without: [...without].filter((word) => !waived.has(word)) };
}

/** What the CPU of a started domain has. */
async function property(name: string, property: string): Promise<unknown> {
  const question = {
    execute: 'qom-get',
    arguments: { path: '/machine/unattached/device[0]', property },
  };
  const told = await libvirt!.ask('qemu-monitor-command', name, JSON.stringify(question));
  if (told.status !== 0) throw new Error(`${name} says nothing of ${property}: ${told.stderr}`);
  return JSON.parse(told.stdout).return;
}

/** The vendors that a domain asks for, by its element and its model. */
function vendorsOf({ cpu }: DrawnDomain): string[] {
  const said = /<vendor>([^<]*)/.exec(cpu)?.[1];
  const model = /<model[^>]*>([^<]*)/.exec(cpu)?.[1] ?? '';
  const known = catalog.qemuModels.get(model) ?? catalog.libvirtModels.get(model);
  return [said, known?.vendor].filter((vendor) => vendor !== undefined && vendor !== null);
}

async function held(type: 'kvm' | 'qemu'): Promise<void> {
  const begun = Date.now();
  const ground = await groundOf(type === 'kvm' ? 'kvm' : 'tcg');
  const domains = drawDomains(ground, random(seed), count);
  const named = domains.map((domain, i) => ({ domain, name: `d${String(i).padStart(4, '0')}` }));
  const outcomes = await each(named, ({ domain, name }) =>
    created(type, name, domainXml(type, name, domain), domain),
  );
  const guests = named.map(({ domain, name }): Drawn => {
    return {
      name,
      text: domainXml(type, name, domain),
      what: `type='${type}' machine='${domain.machine}' ${domain.cpu}`,
      isForeign: type === 'kvm' && vendorsOf(domain).some((vendor) => vendor !== ground.vendor),
      isOpen: domain.asksHardware,
    };
  });
  const machine = `pc-q35-${QEMU}`;
  const told = libvirt!.virsh('domcapabilities', '--virttype', type, '--machine', machine);
  assert.is(told.status, 0, told.stderr);
  const host = ground.hostNeeds.reduce(
    (xml, word) =>
      xml.replace(`policy='require' name='${word}'`, `policy='disable' name='${word}'`),
    told.stdout,
  );
  const seconds = Math.round((Date.now() - begun) / 1000);
  await prove({
    title: `libvirt ${LIBVIRT}, type ${type}, seed ${seed}, ${seconds} s`,
    guests,
    outcomes,
    host,
    options: ['--stack', `libvirt@${LIBVIRT},qemu@${QEMU}`],
  });
}

live(`under KVM: ${count} drawn domains (seed ${seed})`, async () => {
  if (hasKvm) await held('kvm');
  else console.log('starts: -accel kvm -cpu 486,enforce does not start here; KVM is left out');
});

live(`under plain emulation: ${count} drawn domains (seed ${seed})`, () => held('qemu'));

test.run();
