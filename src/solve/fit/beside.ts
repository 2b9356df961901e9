// What stands in the way of a CPU on a host beside features: architecture, vendor, address bits, the layout of its
// state, its clock, the models that the host lists, and the policies of its definition.
import { bitsOf, emptyRow, hasBit, isEmpty, meet, minus } from '../../core/rows.ts';
import { differences } from '../../cpu/arch/identity.ts';
import { archRecord } from '../../cpu/arch/index.ts';
import type { Catalog } from '../../cpu/catalog/catalog.ts';
import { kubevirtObsolete } from '../../cpu/catalog/products.ts';
import type { Tsc, XsaveComponent } from '../../cpu/description.ts';
import {
  blockersOf,
  isFound,
  LISTERS,
  type ListMaker,
  type ModelList,
} from '../../cpu/model-lists.ts';
import { type NamedModel, type Need, startsWithout } from '../../cpu/need.ts';
import type { ClassFacts, Fleet } from '../../fleet/fleet.ts';

/** What stands in the way beside features, as data; `message` is a sentence about the guest ("it") and the host. */
export interface Reason {
  readonly code:
    | 'refused'
    | 'poorer'
    | 'unsettled'
    | 'arch'
    | 'vendor'
    | 'model'
    | 'midr'
    | 'registers'
    | 'phys-bits'
    | 'xsave-layout'
    | 'tsc'
    | 'held'
    | 'forbidden'
    | 'left-over';
  readonly message: string;
}

/** What stands in the way beside features. */
export interface Beside {
  readonly no: readonly Reason[];
  readonly unknown: readonly Reason[];
}

export const NOTHING: Beside = { no: [], unknown: [] };
/** The same while it is looked for. */
interface Found {
  readonly no: Reason[];
  readonly unknown: Reason[];
}

/** Hosts of a class that have one clock. */
interface Place {
  readonly index: number;
  readonly tsc: Tsc | null;
}

/** A frequency this near to the host's own is the host's own (KVM, tsc_tolerance_ppm). */
const TSC_TOLERANCE = 250e-6;

/** The XSAVE components that hosts of the fleet are told to lay out differently. */
export function contested(fleet: Fleet): ReadonlySet<number> {
  const places = new Map<number, string>();
  const found = new Set<number>();
  for (const { xsave } of new Set(fleet.classes))
    for (const { component, size, offset } of xsave ?? []) {
      const place = `${size}@${offset}`;
      const before = places.get(component) ?? place;
      places.set(component, before);
      if (before !== place) found.add(component);
    }
  return found;
}

/** What the facts of a class put in the way of a need. */
export function besideFacts(
  catalog: Catalog,
  need: Need,
  facts: ClassFacts,
  contested: ReadonlySet<number>,
): Beside {
  const no: Reason[] = [];
  const unknown: Reason[] = [];
  if (need.refused !== null) return { no: [{ code: 'refused', message: need.refused }], unknown };
  if (need.poorer !== null) no.push({ code: 'poorer', message: need.poorer });
  if (archRecord(facts.arch).name !== archRecord(need.arch).name)
    no.push({
      code: 'arch',
      message: `of another architecture: it is ${need.arch}, the host ${facts.arch}`,
    });
  if (need.vendor !== null && facts.vendor !== null && need.vendor !== facts.vendor)
    no.push({
      code: 'vendor',
      message: `of another vendor: its CPU is of ${need.vendor}, the host's of ${facts.vendor}`,
    });
  else identity(need, facts, { no, unknown });
  if (need.unsettled !== null) unknown.push({ code: 'unsettled', message: need.unsettled });
  if (need.physBits !== null && facts.physBits === null && !facts.named)
    unknown.push({
      code: 'phys-bits',
      message: `it has ${need.physBits} physical address bits, and the host's are not known`,
    });
  else if (need.physBits !== null && facts.physBits !== null && need.physBits > facts.physBits)
    no.push({
      code: 'phys-bits',
      message: `it has ${need.physBits} physical address bits, the host ${facts.physBits}`,
    });
  layout(catalog, need, facts.xsave, contested, { no, unknown });
  if (no.length === 0) no.push(...models(catalog, need, facts));
  return no.length + unknown.length === 0 ? NOTHING : { no, unknown };
}

/** What tells processors apart beside features, where the catalog knows none. */
function identity({ like, model }: Need, { arch, identity }: ClassFacts, found: Found): void {
  if (!identity) return;
  if (like !== null) {
    const { no, unknown } = differences(archRecord(arch), like, identity);
    found.no.push(...no);
    found.unknown.push(...unknown);
  }
  if (model === null) return;
  const differ =
    identity.model === null
      ? { is: 'unknown', message: `it is ${model}, and which model the host is, is not told` }
      : archRecord(arch).modelDiffers(model, identity.model);
  if (differ)
    (differ.is === 'no' ? found.no : found.unknown).push({
      code: 'model',
      message: differ.message,
    });
}

/** The state of what is exposed must lie where it lies in the need. */
function layout(
  catalog: Catalog,
  need: Need,
  host: readonly XsaveComponent[] | null,
  contested: ReadonlySet<number>,
  { no, unknown }: Found,
): void {
  if (host === null || need.xsave.length === 0) return;
  const seen = new Set<number>();
  for (const id of bitsOf(need.features))
    for (const component of catalog.features[id]!.xsave) {
      const there = host.find((x) => x.component === component);
      if (there === undefined || seen.has(component)) continue;
      seen.add(component);
      if (need.xsave === 'lost') {
        if (contested.has(component))
          unknown.push({
            code: 'xsave-layout',
            message: `the hosts lay XSAVE component ${component} out differently, and which layout it has was not saved; save it anew`,
          });
        continue;
      }
      const own = need.xsave.find((x) => x.component === component);
      if (own && (own.offset !== there.offset || own.size !== there.size))
        no.push({
          code: 'xsave-layout',
          message: `XSAVE component ${component} lies at ${own.offset} (${own.size} bytes) in it and at ${there.offset} (${there.size} bytes) on the host`,
        });
    }
}

/** A model that is asked for by name must be one that the host lists, where it lists any, and nothing may block it. */
function models(catalog: Catalog, need: Need, facts: ClassFacts): Reason[] {
  const reasons = new Map<string, Reason>();
  for (const named of need.models)
    for (const lister of LISTERS) {
      const list = facts.models[lister];
      const message = list && unusable(catalog, need, lister, list, named);
      if (message) reasons.set(message, { code: 'model', message });
    }
  return [...reasons.values()];
}

function unusable(
  catalog: Catalog,
  need: Need,
  lister: ListMaker,
  list: ModelList,
  { name, alone }: NamedModel,
): string | null {
  // Its guests are scheduled by these very labels.
  if (alone === 'kubevirt' && lister === 'kubevirt' && !isFound(list, name))
    return `the host has no label for ${name}${kubevirtObsolete.has(name) ? ', which KubeVirt calls obsolete and labels nowhere' : ' as a model that runs there'}`;
  const blockers = blockersOf(catalog, lister, list, name);
  if (blockers === null) return null;
  if (blockers === 'unlisted')
    return `the host does not list ${name} among the models that run there`;
  const inTheWay = blockers.filter((blocker) => {
    const feature = catalog.find(blocker);
    return alone !== null || feature === undefined || hasBit(need.features, feature.id);
  });
  const poorer = alone === null ? startsWithout(need, inTheWay) : null;
  if (poorer !== null) return poorer;
  return inTheWay.length === 0
    ? null
    : `the host lists ${name} as a model that does not run there, for want of ${inTheWay.join(', ')}`;
}

/** Whether a counter of a frequency runs as one of another does. */
export const isSameClock = (host: number, hz: number): boolean =>
  Math.abs(host - hz) <= host * TSC_TOLERANCE;

/** A fixed frequency needs a host that has it, or one that can give guests another than its own. */
function clock(hz: number, host: Tsc | null, { no, unknown }: Found): void {
  const open = (what: string) =>
    unknown.push({
      code: 'tsc',
      message: `its time stamp counter runs at ${hz} Hz, and ${what}`,
    });
  if (host === null) open("the frequency of the host's is not known");
  else if (isSameClock(host.hz, hz) || host.scaling === true) return;
  else if (host.scaling === null)
    open(`whether the host's (${host.hz} Hz) can be scaled is not known`);
  else
    no.push({
      code: 'tsc',
      message: `its time stamp counter runs at ${hz} Hz, the host's at ${host.hz} Hz, which cannot be scaled`,
    });
}

/** Whether a need asks for more than the facts that classes share. */
export const isOfUnits = (need: Need): boolean =>
  need.tscHz !== null || need.whole !== null || !isEmpty(need.forbid) || !isEmpty(need.held);

/** What depends on more than the facts that classes share. */
export function besideUnit(fleet: Fleet, need: Need, { index, tsc }: Place): Beside {
  if (need.refused !== null || need.unsettled !== null) return NOTHING;
  const no: Reason[] = [];
  const unknown: Reason[] = [];
  if (need.tscHz !== null) clock(need.tscHz, tsc, { no, unknown });
  heldByLibvirt(fleet, need, index, { no, unknown });
  forbidden(fleet, need, index, { no, unknown });
  leftOver(fleet, need, index, { no, unknown });
  return no.length + unknown.length === 0 ? NOTHING : { no, unknown };
}

/** libvirt looks at the processor, too: what KVM does not give may be there. */
function heldByLibvirt(fleet: Fleet, need: Need, index: number, { no, unknown }: Found): void {
  const { catalog } = fleet;
  const lacking = minus(need.held, fleet.narrow(fleet.has(index)));
  if (isEmpty(lacking)) return;
  const isOfKvm = fleet.classes[index]!.view === 'hypervisor';
  const known = isOfKvm ? emptyRow(catalog.bits) : fleet.narrow(fleet.known(index));
  const absent = catalog.names(meet(lacking, known));
  const open = catalog.names(minus(lacking, known));
  if (absent.length > 0)
    no.push({
      code: 'held',
      message: `libvirt's check wants ${absent.join(', ')} of the host's processor, which lacks that; switch it off in the definition`,
    });
  if (open.length > 0)
    unknown.push({
      code: 'held',
      message: `libvirt's check wants ${open.join(', ')} of the host's processor, and whether that is there is not known; switch it off in the definition, or give the host's capabilities too`,
    });
}

/** A forbidden feature must not be in the processor, which only a view of the hardware tells. */
function forbidden(fleet: Fleet, need: Need, index: number, { no, unknown }: Found): void {
  if (isEmpty(need.forbid)) return;
  const { catalog } = fleet;
  const [has, known] = [fleet.narrow(fleet.has(index)), fleet.narrow(fleet.known(index))];
  const there = catalog.names(meet(need.forbid, has));
  const tells = fleet.classes[index]!.view !== 'hypervisor';
  const open = catalog.names(
    minus(minus(need.forbid, has), tells ? known : emptyRow(catalog.bits)),
  );
  if (there.length > 0)
    no.push({ code: 'forbidden', message: `the host has ${there.join(', ')}, which it forbids` });
  if (open.length > 0)
    unknown.push({
      code: 'forbidden',
      message: `it forbids ${open.join(', ')}, and it is not known whether the host's processor has that`,
    });
}

function leftOver(fleet: Fleet, need: Need, index: number, { no, unknown }: Found): void {
  if (need.whole === null) return;
  const { catalog } = fleet;
  const counted = catalog.rowWhere((f) => f.merge !== 'never' && f.libvirt !== null);
  const [has, known] = [fleet.narrow(fleet.has(index)), fleet.narrow(fleet.known(index))];
  const more = catalog.names(minus(meet(has, counted), need.whole));
  const open = catalog.names(minus(minus(counted, known), need.whole));
  if (more.length > 0)
    no.push({
      code: 'left-over',
      message: `it must match strictly, and the host also has ${more.join(', ')}`,
    });
  else if (open.length > 0)
    unknown.push({
      code: 'left-over',
      message: `it must match strictly, and it is not known whether the host also has ${open.join(', ')}`,
    });
}
