// A description as a host record: the one language that can say all that is known of a host. What is read of it
// again answers every question as the description does; test/dialects/record-law.test.ts holds each dialect to that.
import { join, meet, minus, type Row } from '../core/rows.ts';
import type { Catalog } from '../cpu/catalog.ts';
import { OS_STATE } from '../cpu/cpuid.ts';
import { archOf, floorOf } from '../cpu/floor.ts';
import { type Description, isOfKvm, isShown, isX86 } from '../cpu/host.ts';
import { bitsOfKvm } from '../cpu/kvm.ts';
import { UNLISTED } from '../cpu/offer.ts';
import { byBytes } from '../cpu/order.ts';
import { listerOf, listerOfRecord } from '../cpu/usable.ts';
import { meaningOf, RECORD_KEYS } from './records.ts';

/** One line of JSON, without its end; `host` is the name that the host goes by. */
export function writeRecord(catalog: Catalog, d: Description, host: string): string {
  const arch = archOf(catalog, d);
  const { physBits } = d.limits;
  const all = Object.entries(d.keys);
  // A label of a node may be called as what a record says itself.
  const apart = all.filter(([key]) => RECORD_KEYS.has(key));
  return JSON.stringify({
    host,
    ...(arch === 'x86_64' ? {} : { arch }),
    ...told('vendor', d.vendor),
    view: d.view,
    ...told('virttype', d.keys.virttype),
    ...told('signature', d.signature),
    ...told('microcode', d.microcode),
    ...listed('software', softwareOf(d)),
    ...(d.machine === null ? {} : { machines: [d.machine] }),
    ...Object.fromEntries(all.filter(([key]) => !RECORD_KEYS.has(key))),
    ...listed('keys', Object.fromEntries(apart)),
    ...(physBits === null ? {} : { limits: { physBits } }),
    ...(d.tsc ? { tsc: d.tsc.scaling === null ? { hz: d.tsc.hz } : d.tsc } : {}),
    ...(d.midr ? { midr: d.midr.length === 1 ? d.midr[0] : d.midr } : {}),
    ...(d.registers ? { registers: d.registers } : {}),
    ...(d.sve ? { sve: d.sve } : {}),
    ...told('xsave', d.xsave),
    ...modelsOf(d),
    ...listed('bits', isX86(d) && (d.words || d.bits) ? bitsOfKvm(catalog, d) : {}),
    ...rowsOf(catalog, d, arch),
    ...listed('findings', d.notes),
  });
}

/** What there is, under its key. */
const told = (key: string, value: unknown) =>
  value === null || value === undefined ? {} : { [key]: value };

/** The same of what may be empty. */
const listed = (key: string, value: object) =>
  Object.keys(value).length === 0 ? {} : { [key]: value };

/** The versions that a host tells of. */
const softwareOf = ({ qemu, libvirt, kernel }: Description) =>
  Object.fromEntries(
    Object.entries({ qemu, libvirt, kernel }).filter(([, version]) => version != null),
  );

/** The model by whose name other architectures call a host, and those that its software lists. */
function modelsOf(d: Description) {
  const lister = listerOf(d);
  return {
    ...(d.model === null || isX86(d) ? {} : { cpuModel: d.model.name }),
    ...(d.models === null
      ? {}
      : { models: Object.fromEntries([...d.models].sort(([a], [b]) => byBytes(a, b))) }),
    ...(d.models === null || lister === listerOfRecord(d) ? {} : { listedBy: lister }),
  };
}

/** What it has, leaves open and denies, as far as one does not follow from the others. */
function rowsOf(catalog: Catalog, d: Description, arch: string) {
  const ofX86 = isX86(d) ? rowNames(catalog, d, arch) : { features: [], unknown: [], absent: [] };
  const isItself = (name: string) => meaningOf(catalog, name, isX86(d), d.vendor) === 'itself';
  return {
    features: [...ofX86.features, ...d.unnamed.filter(isItself)].sort(byBytes),
    ...listed('unnamed', [...d.unnamed.filter((name) => !isItself(name))].sort(byBytes)),
    ...listed('unknown', [...ofX86.unknown, ...d.unnamedUnknown].sort(byBytes)),
    ...listed('absent', ofX86.absent),
  };
}

function rowNames(catalog: Catalog, d: Description, arch: string) {
  const features = catalog.names(d.has);
  const kvm = catalog.rowWhere((f) => f.isKvm);
  // A record of KVM that lists none of its own features leaves these open by itself.
  const isKvmOpen = isOfKvm(d) && !features.some((name) => catalog.feature(name).isKvm);
  const none = catalog.row([]);
  // So it does with what every 64-bit guest needs, what most hypervisors do not list, and what a system switches on.
  const open = [
    isKvmOpen ? kvm : none,
    arch === 'x86_64' && d.view !== 'guest' ? floorOf(catalog).all : none,
    d.listsUnmigratable ? catalog.row(UNLISTED) : none,
    isShown(d) ? catalog.row(OS_STATE) : none,
  ].reduce<Row>(join, none);
  const all = catalog.rowWhere(() => true);
  const untold = minus(minus(all, d.known), d.has);
  return {
    features,
    unknown: catalog.names(isKvmOpen ? minus(untold, kvm) : untold),
    absent: catalog.names(minus(meet(d.known, open), d.has)),
  };
}
