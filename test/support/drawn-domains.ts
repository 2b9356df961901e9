// Domains whose <cpu> is drawn near the truth: libvirt's models with what the host lacks of them disabled, words of all
// policies, checks and matches, vendors, address bits, and modes without a model.
import type { Catalog } from '../../src/cpu/catalog/catalog.ts';
import { pick, type Random } from './random.ts';

export interface DomainGround {
  /** libvirt's models, with what is not to be had of each, in libvirt's words. */
  readonly models: readonly {
    readonly name: string;
    readonly vendor: string | null;
    readonly blockers: readonly string[];
  }[];
  /** Most models that are drawn are of one of these. */
  readonly vendors: ReadonlySet<string | null>;
  readonly vendor: string;
  /** Words that this libvirt knows, and those that only a later one does. */
  readonly words: readonly string[];
  readonly laterWords: readonly string[];
  /** Words of what the host offers. */
  readonly offered: readonly string[];
  /** What a list has to name to be whole: the accelerator's own. */
  readonly defaults: readonly string[];
  readonly machines: readonly string[];
  /** What a CPU that is the host's has to switch off to start at all. */
  readonly hostNeeds: readonly string[];
  readonly physBits: number;
}

export interface DrawnDomain {
  readonly machine: string;
  /** The element, or nothing. */
  readonly cpu: string;
  /** Words that are no need: that it starts without them is nothing. */
  readonly optional: readonly string[];
  /** Only a view of the host's hardware can say that it runs: it forbids, or must have nothing left over. */
  readonly asksHardware: boolean;
}

/** Words of the catalog that a libvirt knows, or only a later one. */
export function libvirtWords(
  catalog: Catalog,
  version: string,
): { now: string[]; later: string[] } {
  const all = catalog.features.filter((f) => f.libvirt !== null);
  const isNow = (since: string) => catalog.isSince('libvirt', version, since);
  return {
    now: all.filter((f) => isNow(f.libvirt!.since)).map((f) => f.libvirt!.name),
    later: all.filter((f) => !isNow(f.libvirt!.since)).map((f) => f.libvirt!.name),
  };
}

const POLICIES = [
  ...['require', 'require', 'require', 'require', 'disable', 'disable'],
  ...['optional', 'force', 'forbid'],
];
/** Of a rule of their own. */
const SPECIAL =
  'ht hypervisor cmp_legacy topoext osxsave ospke invtsc x2apic svm vmx npt monitor acpi arch-capabilities cmt'.split(
    ' ',
  );

export function drawDomains(ground: DomainGround, next: Random, count: number): DrawnDomain[] {
  const drawn = new Map<string, DrawnDomain>();
  while (drawn.size < count) {
    const machine = next() < 0.02 ? 'pc-q35-99.0' : pick(next, ground.machines);
    const mode = next();
    const one =
      mode < 0.06
        ? { cpu: '', optional: [], asksHardware: false }
        : mode < 0.16
          ? drawHostCpu(ground, next, mode < 0.11 ? 'host-passthrough' : 'host-model')
          : drawCustom(ground, next);
    drawn.set(`${one.cpu} ${mode < 0.06 ? machine : ''}`, { machine, ...one });
  }
  return [...drawn.values()];
}

const featureElement = ([name, policy]: readonly [string, string]) =>
  `<feature policy='${policy}' name='${name}'/>`;

function drawHostCpu(ground: DomainGround, next: Random, mode: string) {
  const policies = new Map(ground.hostNeeds.map((name) => [name, 'disable']));
  if (next() < 0.5) addWord(policies, ground, next);
  return element(
    `mode='${mode}'${pick(next, [" check='none'", " check='partial'", ''])}`,
    '',
    policies,
  );
}

function drawCustom(ground: DomainGround, next: Random) {
  const check = pick(next, ['none', 'none', 'partial', 'partial', 'partial', 'full', 'full', null]);
  const match = next() < 0.76 ? 'exact' : pick(next, ['minimum', 'strict']);
  const own = ground.models.filter((m) => next() < 0.25 || ground.vendors.has(m.vendor));
  const { name, blockers } =
    next() < 0.03 ? { name: 'NoSuchModel', blockers: [] } : pick(next, own);
  const off = [...new Set(blockers)];
  const how = next();
  if (how > 0.65 && off.length > 0) off.splice(Math.floor(next() * off.length), 1);
  const policies = new Map((how > 0.85 ? [] : off).map((word) => [word, 'disable']));
  if (check === 'full' && next() < 0.85)
    for (const word of ground.defaults) policies.set(word, 'require');
  // It gets whatever else the host has.
  if (match === 'minimum') for (const word of ground.hostNeeds) policies.set(word, 'disable');
  for (let i = Math.floor(next() * 3.5); i > 0; i--) addWord(policies, ground, next);
  const vendor =
    next() < 0.15
      ? `<vendor>${pick(next, [ground.vendor, ground.vendor, 'Intel', 'AMD'])}</vendor>`
      : '';
  const fallback = next() < 0.1 ? " fallback='forbid'" : '';
  const inner = `<model${fallback}>${name}</model>${vendor}${next() < 0.08 ? drawBits(ground, next) : ''}`;
  const checked = check === null ? '' : ` check='${check}'`;
  return element(`mode='custom' match='${match}'${checked}`, inner, policies, match === 'strict');
}

function addWord(policies: Map<string, string>, ground: DomainGround, next: Random): void {
  const from = next();
  const words =
    from < 0.45
      ? ground.offered
      : from < 0.65
        ? ground.words
        : from < 0.9
          ? SPECIAL
          : [...ground.laterWords, 'no-such-feature'];
  policies.set(pick(next, words), pick(next, POLICIES));
}

const drawBits = ({ physBits }: DomainGround, next: Random): string =>
  pick(next, [
    `<maxphysaddr mode='emulate' bits='${physBits}'/>`,
    `<maxphysaddr mode='emulate' bits='${physBits - 4}'/>`,
    `<maxphysaddr mode='emulate' bits='${physBits + 4}'/>`,
    "<maxphysaddr mode='passthrough'/>",
  ]);

function element(
  attributes: string,
  inner: string,
  policies: ReadonlyMap<string, string>,
  isStrict = false,
) {
  const features = [...policies].map(featureElement).join('');
  const of = (...wanted: string[]) =>
    [...policies].filter(([, policy]) => wanted.includes(policy)).map(([name]) => name);
  return {
    cpu: `<cpu ${attributes}>${inner}${features}</cpu>`,
    optional: of('optional', 'force'),
    asksHardware: isStrict || of('forbid').length > 0,
  };
}
