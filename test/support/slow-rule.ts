// The rule "does it run here" in the slowest words: names in sets, one host and one guest at a time. It knows nothing of
// src/solve; what a definition asks for is taken from the expansion of the -cpu argument that stands for it.
import { newestSoftware, startOfAsked } from '../../src/cpu/asked/asked.ts';
import type { Catalog } from '../../src/cpu/catalog/catalog.ts';
import type { LibvirtCpu, Policy } from '../../src/cpu/cpu-element.ts';
import type { Description } from '../../src/cpu/description.ts';
import { tcgRow } from '../../src/cpu/qemu/accelerators.ts';
import type { Expansion } from '../../src/cpu/qemu/expand.ts';
import { expandCpu } from '../../src/cpu/qemu/qemu-start.ts';
import type { Kind } from '../../src/fleet/fleet.ts';

export type Slow = 'runs' | 'own-cpu' | 'unknown' | 'no';

const SEVERE: readonly Slow[] = ['runs', 'own-cpu', 'unknown', 'no'];
const worst = (all: readonly Slow[]): Slow =>
  SEVERE[Math.max(0, ...all.map((v) => SEVERE.indexOf(v)))]!;

interface Offers {
  readonly has: ReadonlySet<string>;
  readonly known: ReadonlySet<string>;
}

const offersOf = (catalog: Catalog, kind: Kind): Offers => ({
  has: new Set([...catalog.names(kind.has), ...kind.unnamed]),
  known: new Set(catalog.names(kind.known)),
});

/** Each feature that is asked for must be there; where that is not known, so is the answer. */
const features = (catalog: Catalog, wanted: Iterable<string>, { has, known }: Offers): Slow[] =>
  [...wanted].map((name) =>
    has.has(name) ? 'runs' : known.has(name) || !catalog.find(name) ? 'no' : 'unknown',
  );

/** The answer for a guest by its description on a host, whose software is said. */
export function slowRule(
  catalog: Catalog,
  d: Description,
  host: Kind,
  software: { readonly qemu: string; readonly libvirt: string; readonly isGiven?: boolean },
): Slow {
  if (host.arch !== d.arch) return 'no';
  const offers = offersOf(catalog, host);
  if (!d.asked) return ofRecord(catalog, d, host, offers);
  const { asked } = d;
  if (asked.by === 'libvirt') {
    const { element } = asked;
    const words = element.features.map((f) => f.name);
    const isKnown = (name: string) => {
      const since = catalog.findLibvirt(name)?.libvirt?.since;
      return since !== undefined && catalog.isSince('libvirt', software.libvirt, since);
    };
    if (!words.every(isKnown)) return 'no';
    if (
      element.mode === 'custom' &&
      element.match !== 'minimum' &&
      catalog.libvirtModels.has(element.model!) &&
      catalog.libvirtModel(element.model!, software.libvirt) === null
    )
      return 'no';
  }
  const element = asked.by === 'libvirt' ? asked.element : null;
  const isOwn = element !== null && (element.mode !== 'custom' || element.match === 'minimum');
  if (isOwn && element.mode === 'host-passthrough' && asked.accelerator === 'tcg') return 'no';
  const isHost = asked.by === 'qemu' && /^host(,|$)/.test(asked.cpu) && asked.accelerator === 'kvm';
  let e: Expansion;
  try {
    const { cpu, ...where } = startOfAsked(catalog, asked, {
      ...newestSoftware(catalog),
      ...software,
    });
    if (isHost) return ownLine(catalog, cpu, host, offers, where.qemu);
    if (isOwn) return ownElement(catalog, d, host, offers, software.libvirt, where.qemu);
    if (element && isReplaced(catalog, element, software))
      return replaced(catalog, d, host, offers, software.libvirt, where.qemu);
    if (!catalog.qemuModels.has(cpu.split(',')[0]!)) return software.isGiven ? 'no' : 'unknown';
    e = expandCpu(catalog, cpu, where);
  } catch (error) {
    const { message } = error as Error;
    return !software.isGiven && /no QEMU that is known|"EPYC-Turin"/.test(message)
      ? 'unknown'
      : 'no';
  }
  if (isForeign(asked.machine) && !isSameEverywhere(catalog, e)) return 'unknown';
  return ofExpansion(catalog, e, d, host, offers, software.libvirt);
}

const isForeign = (machine: string | null): boolean => machine?.includes('rhel') === true;

function isSameEverywhere(catalog: Catalog, e: Expansion): boolean {
  const cpu = [
    e.string.model,
    ...e.string.items.map(({ how, name, value }) =>
      how === 'set' ? `${name}=${value}` : `${how === 'plus' ? '+' : '-'}${name}`,
    ),
  ].join(',');
  const all = catalog.machines
    .filter((m) => m.qemu.includes(e.qemu) && m.name.startsWith('pc-'))
    .map((m) => {
      const other = expandCpu(catalog, cpu, {
        machine: m.name,
        qemu: e.qemu,
        accelerator: e.accelerator,
      });
      return `${catalog.names(other.features)} ${catalog.names(other.orphaned)}`;
    });
  return new Set([...all, `${catalog.names(e.features)} ${catalog.names(e.orphaned)}`]).size === 1;
}

const isNever = (catalog: Catalog, name: string): boolean => catalog.find(name)?.merge === 'never';

function ownLine(catalog: Catalog, cpu: string, host: Kind, offers: Offers, qemu: string): Slow {
  const items = cpu.split(',').slice(1);
  if (items.includes('no-such=on')) return 'no';
  const on = new Map<string, boolean>();
  for (const item of items) {
    const [name = '', value] = item.split('=');
    const feature = catalog.findQemu(name);
    if (feature) on.set(feature.name, value === 'on');
  }
  const written = [...on].filter(([, is]) => is).map(([name]) => name);
  const hz = items.find((item) => item.startsWith('tsc-frequency='))?.split('=')[1];
  const wanted = written.filter((name) => asksHost(catalog, name, true));
  return worst([
    'own-cpu',
    ...(written.some((name) => isWithheld(name, qemu)) ? (['no'] as const) : []),
    ...(items.includes('vendor=AuthenticAMD') ? vendor('AMD', host) : []),
    ...clock(hz === undefined ? null : Number(hz), host),
    ...features(catalog, wanted, offers).map((v, at) =>
      v === 'unknown' && wanted[at] === 'invtsc' ? 'own-cpu' : v,
    ),
  ]);
}

/** Switches that QEMU sets itself: it takes some for any guest that asks, and gives others to none. */
const TAKEN = ['hypervisor', 'topoext', 'kvm-hint-dedicated', 'ht'];
const isWithheld = (name: string, qemu: string): boolean =>
  name === 'kvm-mmu' || name === 'kvm-msi-ext-dest-id' || (name === 'ht' && qemu === '7.2');
const asksHost = (catalog: Catalog, name: string, isWritten: boolean): boolean =>
  !isNever(catalog, name) || (isWritten && !TAKEN.includes(name) && !isWithheld(name, ''));

const checkOf = ({ asked }: Description): string => {
  if (asked?.by !== 'libvirt') return 'none';
  return asked.element.check ?? (asked.accelerator === 'tcg' ? 'none' : 'partial');
};

const excusedBy = (catalog: Catalog, d: Description): string[] => {
  const of = policies(catalog, d);
  return [...of('optional'), ...(checkOf(d) === 'full' ? [] : of('force'))];
};

/** What a partial check looks for: of a model that it asks QEMU about, what is written beside it. */
function checkedBy(catalog: Catalog, d: Description, libvirt: string): string[] {
  const element = d.asked!.by === 'libvirt' ? d.asked!.element : null;
  const isComparable = catalog.libvirtModel(element!.model!, libvirt)?.compat ?? true;
  return writtenBy(catalog, d, libvirt, isComparable);
}

/** What libvirt's map and the element have. */
function writtenBy(catalog: Catalog, d: Description, libvirt: string, isOfMap = true): string[] {
  const element = d.asked!.by === 'libvirt' ? d.asked!.element : null;
  const ofMap = isOfMap ? catalog.libvirtFeatures(element!.model!, libvirt) : null;
  const names = new Set(catalog.names(ofMap ?? catalog.row([])));
  const of = policies(catalog, d);
  for (const name of [...of('require'), ...of('force')]) names.add(name);
  for (const name of [...of('disable'), ...of('forbid')]) names.delete(name);
  const excused = excusedBy(catalog, d);
  return [...names].filter((name) => !excused.includes(name) && !isNever(catalog, name));
}

/** libvirt looks at the processor, of which a hypervisor's view is not all. */
const held = (names: readonly string[], host: Kind, { has, known }: Offers): Slow[] =>
  names.map((name) =>
    has.has(name) ? 'runs' : host.view !== 'hypervisor' && known.has(name) ? 'no' : 'unknown',
  );

const tcgOffers = (catalog: Catalog, qemu: string): Set<string> => {
  const off = new Set(catalog.names(catalog.accelerators.tcg.off));
  return new Set(catalog.names(tcgRow(catalog, qemu)).filter((name) => !off.has(name)));
};

function ownElement(
  catalog: Catalog,
  d: Description,
  host: Kind,
  offers: Offers,
  libvirt: string,
  qemu: string,
): Slow {
  const asked = d.asked!;
  const element = asked.by === 'libvirt' ? asked.element : null;
  const of = policies(catalog, d);
  const excused = excusedBy(catalog, d);
  const isEmulated = asked.accelerator === 'tcg';
  const required = [...of('require'), ...of('force')].filter(
    (name) => !excused.includes(name) && catalog.find(name)!.qemu !== null,
  );
  const ofLeast =
    element!.mode === 'custom' ? catalog.libvirtModels.get(element!.model!)!.vendor : null;
  if (!isEmulated && element!.vendor && ofLeast && element!.vendor !== ofLeast) return 'no';
  if (element!.mode === 'custom' && checkOf(d) !== 'none')
    if (catalog.libvirtModel(element!.model!, libvirt) === null) return 'no';
  const least = element!.mode === 'custom' ? writtenBy(catalog, d, libvirt) : [];
  const tcg = new Set(catalog.names(tcgRow(catalog, qemu)));
  const all: Slow[] = ['own-cpu'];
  if (isEmulated && required.some((name) => !tcg.has(name))) all.push('no');
  if (isEmulated && element!.mode === 'custom' && checkOf(d) === 'partial')
    if (least.some((name) => !tcgOffers(catalog, qemu).has(name))) all.push('no');
  if (isEmulated && element!.mode !== 'custom' && checkOf(d) === 'partial')
    if (of('require').some((name) => !tcgOffers(catalog, qemu).has(name))) all.push('no');
  if (!isEmulated) {
    const off = new Set(catalog.names(catalog.accelerators.kvm.off));
    const wanted = [
      ...required.filter((name) => !isNever(catalog, name)),
      ...least.filter((name) => !off.has(name)),
    ];
    if (checkOf(d) === 'partial')
      all.push(
        ...held(
          least.filter((name) => !wanted.includes(name)),
          host,
          offers,
        ),
      );
    all.push(
      ...features(catalog, wanted, offers).map((v, at) =>
        v === 'unknown' && wanted[at] === 'invtsc' ? 'own-cpu' : v,
      ),
      ...vendor(element!.vendor ?? ofLeast, host),
      ...clock(asked.by === 'libvirt' ? asked.tscHz : null, host),
    );
  }
  const bitsWanted = element!.maxphysaddr?.mode === 'emulate' ? element!.maxphysaddr.bits : null;
  all.push(...bits(bitsWanted, host));
  // A full check of an emulated guest that asks for at least a model looks at none of it.
  const isUnseen = isEmulated && element!.mode === 'custom';
  if (checkOf(d) === 'partial' || (checkOf(d) === 'full' && !isUnseen))
    all.push(...forbidden(of('forbid'), host, offers));
  return worst(all);
}

const isReplaced = (
  catalog: Catalog,
  { model, fallback }: LibvirtCpu,
  software: { qemu: string; libvirt: string; isGiven?: boolean },
): boolean =>
  fallback !== 'forbid' &&
  software.isGiven === true &&
  !catalog.hasQemuModel(model!, software.qemu) &&
  catalog.libvirtFeatures(model!, software.libvirt) !== null;

/** A model that QEMU lacks is another with the same features. */
function replaced(
  catalog: Catalog,
  d: Description,
  host: Kind,
  offers: Offers,
  libvirt: string,
  qemu: string,
): Slow {
  const asked = d.asked!;
  const element = asked.by === 'libvirt' ? asked.element : null;
  const written = writtenBy(catalog, d, libvirt);
  const off = new Set(catalog.names(catalog.accelerators[asked.accelerator].off));
  const wanted = written.filter((name) => !off.has(name));
  const of = policies(catalog, d);
  const { on } = catalog.accelerators[asked.accelerator];
  const given = new Set([...wanted, ...catalog.names(on), 'hypervisor']);
  if (checkOf(d) === 'full' && !isListed(catalog, given, element!, libvirt)) return 'no';
  const all: Slow[] = [];
  if (asked.accelerator === 'tcg') {
    const tcg = new Set(catalog.names(tcgRow(catalog, qemu)));
    if (wanted.some((name) => !tcg.has(name))) all.push('no');
    if (checkOf(d) === 'partial' && written.some((name) => !tcgOffers(catalog, qemu).has(name)))
      all.push('no');
  } else {
    const ofModel = catalog.libvirtModel(element!.model!, libvirt)!.vendor;
    if (element!.vendor && ofModel && element!.vendor !== ofModel) return 'no';
    all.push(
      ...held(wanted, host, offers),
      ...vendor(element!.vendor ?? ofModel, host),
      ...clock(asked.by === 'libvirt' ? asked.tscHz : null, host),
    );
    if (checkOf(d) === 'partial')
      all.push(
        ...held(
          written.filter((name) => !wanted.includes(name)),
          host,
          offers,
        ),
      );
  }
  all.push(
    ...bits(element!.maxphysaddr?.mode === 'emulate' ? element!.maxphysaddr.bits : null, host),
  );
  if (checkOf(d) !== 'none') {
    all.push(...forbidden(of('forbid'), host, offers));
    if (element!.match === 'strict' && libvirt === '9.0') {
      all.push(...leftOver(catalog, excusedBy(catalog, d), offers));
    }
  }
  return worst(all);
}

const policies = (catalog: Catalog, d: Description) => (wanted: Policy) =>
  d.asked!.by === 'libvirt'
    ? d
        .asked!.element.features.filter((f) => (f.policy ?? 'require') === wanted)
        .map((f) => catalog.findLibvirt(f.name)!.name)
    : [];

const forbidden = (names: readonly string[], host: Kind, { has, known }: Offers): Slow[] =>
  names.map((name) =>
    has.has(name) ? 'no' : host.view !== 'hypervisor' && known.has(name) ? 'runs' : 'unknown',
  );

function clock(hz: number | null, { tsc }: Kind): Slow[] {
  if (hz === null) return [];
  if (tsc === null) return ['unknown'];
  if (Math.abs(hz - tsc.hz) / tsc.hz <= 0.00025 || tsc.scaling === true) return [];
  return [tsc.scaling === null ? 'unknown' : 'no'];
}

const bits = (wanted: number | null, { physBits }: Kind): Slow[] =>
  wanted === null ? [] : [physBits === null ? 'unknown' : wanted > physBits ? 'no' : 'runs'];

const vendor = (wanted: string | null, host: Kind): Slow[] =>
  wanted !== null && host.vendor !== null && wanted !== host.vendor ? ['no'] : [];

/** The models that the host lists: one that it could list and does not is none, nor is one whose blockers are asked for. */
function listed(catalog: Catalog, name: string, wanted: ReadonlySet<string>, host: Kind): Slow[] {
  const lists = [host.models.libvirt, host.models.qemu].filter((l) => l !== undefined);
  return lists.map((list): Slow => {
    const model = catalog.qemuModels.get(name);
    const names = [
      name,
      ...[...catalog.qemuModels.values()]
        .filter((m) => (m.of !== null && m.of === name) || m.name === model?.of)
        .map((m) => m.name),
    ];
    if (model?.version === 1) names.push(model.base);
    const found = names.find((n) => list.has(n));
    // Drawn lists hold no -vN, and only names that every version knows.
    if (found === undefined)
      return model?.kind === 'versioned' || model?.since !== '7.2' ? 'runs' : 'no';
    const blockers = list.get(found);
    return (blockers ?? []).some((b) => wanted.has(b)) ? 'no' : 'runs';
  });
}

function ofExpansion(
  catalog: Catalog,
  e: Expansion,
  d: Description,
  host: Kind,
  offers: Offers,
  libvirt: string,
): Slow {
  const all: Slow[] = [];
  const asked = d.asked!;
  const of = policies(catalog, d);
  const element = asked.by === 'libvirt' ? asked.element : null;
  const check = checkOf(d);
  const excused = new Set(element ? excusedBy(catalog, d) : []);
  const written = element ? checkedBy(catalog, d, libvirt) : [];
  if (catalog.names(e.orphaned).some((name) => !excused.has(name))) all.push('no');
  const names = catalog.names(e.features).filter((name) => !excused.has(name));
  const ofModel = catalog.qemuModels.get(e.resolved)!.vendor;
  const said = e.named.has('vendor') ? catalog.vendor(String(e.properties.vendor)) : ofModel;
  if (asked.accelerator === 'kvm' && element?.vendor && ofModel && element.vendor !== ofModel)
    return 'no';
  if (check === 'full' && !isWhole(catalog, e, element!, libvirt)) return 'no';
  let wanted: string[] = [];
  if (asked.accelerator === 'tcg') {
    const tcg = new Set(catalog.names(tcgRow(catalog, e.qemu)));
    if (names.some((name) => !tcg.has(name))) all.push('no');
    if (check === 'partial' && written.some((name) => !tcgOffers(catalog, e.qemu).has(name)))
      all.push('no');
    all.push(
      ...bits(element?.maxphysaddr?.mode === 'emulate' ? element.maxphysaddr.bits : null, host),
    );
  } else {
    const items = new Set(e.string.items.map((item) => catalog.findQemu(item.name)?.name));
    if (names.some((name) => items.has(name) && isWithheld(name, e.qemu))) all.push('no');
    wanted = names.filter((name) => asksHost(catalog, name, items.has(name)));
    const hz = Number(e.properties['tsc-frequency']);
    const isStuck = wanted.includes('invtsc') && !(hz > 0);
    all.push(
      ...features(catalog, wanted, offers).map((v, at) =>
        isStuck && v === 'unknown' && wanted[at] === 'invtsc' ? 'runs' : v,
      ),
    );
    if (isStuck) all.push('own-cpu');
    all.push(...vendor(element?.vendor ?? said, host));
    const isOwn = e.properties['host-phys-bits'] !== true && Number(e.properties['phys-bits']) > 0;
    all.push(...bits(isOwn ? Number(e.properties['phys-bits']) : null, host));
    all.push(...clock(hz > 0 ? hz : null, host));
    if (check === 'partial')
      all.push(
        ...held(
          written.filter((name) => !wanted.includes(name)),
          host,
          offers,
        ),
      );
    if (!all.includes('no'))
      all.push(...listed(catalog, element?.model ?? e.model, new Set(wanted), host));
  }
  if (check !== 'none') {
    all.push(...forbidden(of('forbid'), host, offers));
    if (element?.match === 'strict' && libvirt === '9.0')
      all.push(...leftOver(catalog, [...wanted, ...excused], offers));
  }
  return worst(all);
}

function leftOver(catalog: Catalog, mine: readonly string[], { has, known }: Offers): Slow[] {
  const own = new Set(mine);
  return catalog.features
    .filter((f) => f.merge !== 'never' && f.libvirt !== null && !own.has(f.name))
    .map((f) => (has.has(f.name) ? 'no' : known.has(f.name) ? 'runs' : 'unknown'));
}

/** check='full': of the words that libvirt has, QEMU gives just those that the model and the element have. */
function isWhole(
  catalog: Catalog,
  e: Expansion,
  element: NonNullable<Extract<Description['asked'], { by: 'libvirt' }>['element']>,
  libvirt: string,
): boolean {
  const given = new Set(catalog.names(e.features));
  for (const name of [
    'ht',
    ...(catalog.qemuModels.get(e.resolved)!.vendor === 'AMD' ? ['cmp-legacy'] : []),
  ])
    given.delete(name);
  return isListed(catalog, given, element, libvirt);
}

/** Whether just what a guest is given is written, as far as libvirt has words for it. */
function isListed(
  catalog: Catalog,
  given: ReadonlySet<string>,
  element: LibvirtCpu,
  libvirt: string,
): boolean {
  const map = catalog.libvirtFeatures(element.model!, libvirt);
  const written = new Set(map === null ? given : catalog.names(map));
  for (const { name, policy } of element.features) {
    const feature = catalog.findLibvirt(name)!.name;
    if (policy === 'optional') given.has(feature) ? written.add(feature) : written.delete(feature);
    else if (policy === 'disable' || policy === 'forbid') written.delete(feature);
    else written.add(feature);
  }
  return catalog.features.every(
    (f) =>
      f.qemu === null ||
      !(f.libvirt && catalog.isSince('libvirt', libvirt, f.libvirt.since)) ||
      given.has(f.name) === written.has(f.name),
  );
}

function ofRecord(catalog: Catalog, d: Description, host: Kind, offers: Offers): Slow {
  const kvm = new Set(catalog.names(catalog.accelerators.kvm.on));
  const has = catalog.names(d.has);
  const wanted = has.filter(
    (name) => !isNever(catalog, name) && !(kvm.has(name) && catalog.find(name)!.isKvm),
  );
  const known = new Set(catalog.names(d.known));
  const open = catalog.features
    .filter((f) => f.merge !== 'never' && !f.isKvm && !known.has(f.name) && !offers.has.has(f.name))
    .map((): Slow => 'unknown');
  const layout = (d.xsave ?? []).flatMap((own): Slow[] => {
    const exposed = wanted.some((name) => catalog.find(name)!.xsave.includes(own.component));
    const there = host.xsave?.find((x) => x.component === own.component);
    return exposed && there && (there.offset !== own.offset || there.size !== own.size)
      ? ['no']
      : [];
  });
  return worst([
    ...features(catalog, [...wanted, ...d.unnamed], offers),
    ...open,
    ...vendor(d.vendor, host),
    ...bits(d.limits.physBits, host),
    ...layout,
  ]);
}
