// The public library: bytes in, answers as plain data out. It opens no files and runs in Node and in browsers.

export type { Identity } from './cpu/arch/arch.ts';
export { needOfAsked, newestSoftware } from './cpu/asked/asked.ts';
export { Catalog, loadCatalog, loadCatalogWith } from './cpu/catalog/catalog.ts';
export type { LearntQemu } from './cpu/catalog/learnt-qemu.ts';
export { catalogMap, type LibvirtMap } from './cpu/catalog/libvirt-map.ts';
export { parseStack, type Stack, type StackEntry, stackNames } from './cpu/catalog/software.ts';
export type { LibvirtCpu } from './cpu/cpu-element.ts';
export type { Definition, Definitions, GuestCpu } from './cpu/definition.ts';
export type { Description, View } from './cpu/description.ts';
export { QueryError } from './cpu/errors.ts';
export type {
  BitPlace as Place,
  Feature,
  LibvirtModel,
  Merge,
  Product,
  QemuModel,
  Vendor,
} from './cpu/feature.ts';
export type { Asked, AskedOfLibvirt, AskedOfQemu } from './cpu/guest.ts';
export type { ModelList } from './cpu/model-lists.ts';
export type { Need, Software } from './cpu/need.ts';
export type { Expansion, Surroundings } from './cpu/qemu/expand.ts';
export { expandCpu, type Realized, realizeTcg } from './cpu/qemu/qemu-start.ts';
export type { Dialect, Input, Stream } from './dialects/dialect.ts';
export { dialectByName, dialectNames } from './dialects/index.ts';
export { readLearntQemu } from './dialects/learnt/learnt-catalog.ts';
export { type ReadFile, readLibvirtMap } from './dialects/learnt/libvirt-map-folder.ts';
export { readLibvirtCpus } from './dialects/libvirt/libvirt-element.ts';
export { writeLibvirtCpu } from './dialects/libvirt/libvirt-write.ts';
export { type Merged, type MergeOptions, mergeSummaries } from './dialects/records/summary-line.ts';
export { writeArrow } from './fleet/arrow.ts';
export { Fleet, type HostList, type Skipped } from './fleet/fleet.ts';
export { type SummaryOptions, writeSummary } from './fleet/summary.ts';
export type { Unreadable } from './reading/problems.ts';
export { type Read, type ReadOptions, readDescriptions, readFleet } from './reading/read.ts';
export { admit } from './solve/admit.ts';
export type {
  Baseline,
  Baselines,
  Check,
  Comparison,
  Decoded,
  Finding,
  Hold,
  Lost,
  Severity,
  Verdict,
} from './solve/answer.ts';
export type { Admit, Blame, Groups, Placement } from './solve/answer-plan.ts';
export { baseline, baselinesBy } from './solve/baseline.ts';
export { type BlameOptions, blame } from './solve/blame/blame.ts';
export { check } from './solve/check.ts';
export { compare } from './solve/compare.ts';
export { decode } from './solve/decode.ts';
export { type Drift, type DriftOptions, drift, type Move } from './solve/drift/drift.ts';
export { type MatrixRow, matrix } from './solve/drift/matrix.ts';
export type { HostChange, LineChange, Upgrade } from './solve/drift/upgrade.ts';
export { type Explained, type Explanation, explain } from './solve/explain.ts';
export { asker, askerOf, type GivenSoftware, softwareOf } from './solve/fit/asker.ts';
export {
  type Asker,
  asking,
  type Fit,
  Fits,
  type FitVerdict,
  type Reason,
} from './solve/fit/fit.ts';
export { startCheck, startedCpu } from './solve/libvirt/guest-start.ts';
export { type Live, translateCpu, updateCpu, updateLiveCpu } from './solve/libvirt/guest-update.ts';
export { type Hypervisor, hypervisorOf } from './solve/libvirt/hypervisor.ts';
export {
  type LibvirtBaselineOptions as LibvirtOptions,
  libvirtBaseline,
} from './solve/libvirt/libvirt-baseline.ts';
export { libvirtCompare, partialCheck } from './solve/libvirt/libvirt-compare.ts';
export { libvirtDecode } from './solve/libvirt/libvirt-decode.ts';
export type { LibvirtVerdict } from './solve/libvirt/libvirt-verdict.ts';
export {
  type CpuData,
  type CpuInput,
  dataOfWords,
  expandFeatures,
  guestStub,
  hostStub,
} from './solve/libvirt/spelt-out.ts';
export { guestCpu } from './solve/line/guest-cpu.ts';
export type { BaselineOptions } from './solve/line/line.ts';
export { type Named, type Names, names } from './solve/look-up.ts';
export { type LibvirtPin, type Pin, pin, pinForLibvirt } from './solve/pin.ts';
export { type Guest, guestsOf, type PlaceOptions, place } from './solve/place.ts';
export { type GroupsOptions, groups } from './solve/pools/groups.ts';
