// The public library: bytes in, answers as plain data out. It opens no files and runs in Node and in browsers.

export type { Identity } from './cpu/arch/arch.ts';
export { needOfAsked, newestSoftware } from './cpu/asked.ts';
export { Catalog, loadCatalog, loadCatalogWith } from './cpu/catalog.ts';
export type { Definition, Definitions, GuestCpu } from './cpu/definition.ts';
export { QueryError } from './cpu/errors.ts';
export type { Expansion, Surroundings } from './cpu/expand.ts';
export type {
  Feature,
  LibvirtModel,
  Merge,
  Place,
  Product,
  QemuModel,
  Vendor,
} from './cpu/feature.ts';
export type { Asked, AskedOfLibvirt, AskedOfQemu } from './cpu/guest.ts';
export type { Description, View } from './cpu/host.ts';
export type { LearntQemu } from './cpu/learnt.ts';
export type { LibvirtCpu } from './cpu/libvirt.ts';
export { catalogMap, type LibvirtMap } from './cpu/libvirt-map.ts';
export type { Need, Software } from './cpu/need.ts';
export { parseStack, type Stack, type StackEntry, stackNames } from './cpu/stack.ts';
export { expandCpu, type Realized, realizeTcg } from './cpu/start.ts';
export type { Dialect, Input, Stream } from './dialects/dialect.ts';
export { dialectByName, dialectNames } from './dialects/index.ts';
export { readLearntQemu } from './dialects/learnt.ts';
export { readLibvirtCpus } from './dialects/libvirt-element.ts';
export { type ReadFile, readLibvirtMap } from './dialects/libvirt-map.ts';
export { writeLibvirtCpu } from './dialects/libvirt-write.ts';
export type { Unreadable } from './dialects/problems.ts';
export { type Read, type ReadOptions, readDescriptions, readFleet } from './dialects/read.ts';
export { type Merged, type MergeOptions, mergeSummaries } from './dialects/summary.ts';
export { writeArrow } from './fleet/arrow.ts';
export { Fleet, type HostList, type Skipped } from './fleet/fleet.ts';
export { type SummaryOptions, writeSummary } from './fleet/summary.ts';
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
export { asker, askerOf, type GivenSoftware, softwareOf } from './solve/asker.ts';
export { baseline, baselinesBy } from './solve/baseline.ts';
export { type BlameOptions, blame } from './solve/blame.ts';
export { check } from './solve/check.ts';
export { compare } from './solve/compare.ts';
export { decode } from './solve/decode.ts';
export { type Drift, type DriftOptions, drift, type Move } from './solve/drift.ts';
export { type Explained, type Explanation, explain } from './solve/explain.ts';
export { type Asker, asking, type Fit, Fits, type FitVerdict, type Reason } from './solve/fit.ts';
export { type GroupsOptions, groups } from './solve/groups.ts';
export { guestCpu } from './solve/guest-cpu.ts';
export {
  type BaselineOptions as LibvirtOptions,
  libvirtBaseline,
} from './solve/libvirt/baseline.ts';
export { libvirtCompare, partialCheck } from './solve/libvirt/compare.ts';
export {
  type CpuData,
  type CpuInput,
  dataOfWords,
  expandFeatures,
  guestStub,
  hostStub,
  type ModelList,
} from './solve/libvirt/data.ts';
export { decode as libvirtDecode } from './solve/libvirt/decode.ts';
export { type Hypervisor, hypervisorOf } from './solve/libvirt/hypervisor.ts';
export { startCheck, startedCpu } from './solve/libvirt/start.ts';
export { type Live, translateCpu, updateCpu, updateLiveCpu } from './solve/libvirt/update.ts';
export type { LibvirtVerdict } from './solve/libvirt/verdict.ts';
export type { BaselineOptions } from './solve/line.ts';
export { type MatrixRow, matrix } from './solve/matrix.ts';
export { type Named, type Names, names } from './solve/names.ts';
export { type LibvirtPin, type Pin, pin, pinForLibvirt } from './solve/pin.ts';
export { type Guest, guestsOf, type PlaceOptions, place } from './solve/place.ts';
export type { HostChange, LineChange, Upgrade } from './solve/upgrade.ts';
