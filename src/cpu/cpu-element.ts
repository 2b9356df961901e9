// A libvirt <cpu> element as it was written: names in libvirt's spelling, nothing resolved, order kept.

export type CpuMode = 'custom' | 'host-model' | 'host-passthrough' | 'maximum';
export type CpuMatch = 'minimum' | 'exact' | 'strict';
export type CpuCheck = 'none' | 'partial' | 'full';

/** What a guest definition asks of a feature. */
export type Policy = 'force' | 'require' | 'optional' | 'disable' | 'forbid';

export interface LibvirtCpu {
  /** A host's CPU has an <arch> child and features without policy; a guest's has modes and policies. */
  readonly type: 'host' | 'guest';
  readonly arch: string | null;
  readonly mode: CpuMode;
  readonly match: CpuMatch;
  readonly check: CpuCheck | null;
  readonly migratable: boolean | null;
  readonly model: string | null;
  readonly fallback: 'allow' | 'forbid' | null;
  readonly vendor: string | null;
  readonly vendorId: string | null;
  /** null policy: the attribute is absent. */
  readonly features: readonly { readonly name: string; readonly policy: Policy | null }[];
  readonly signature: {
    readonly family: number;
    readonly model: number;
    readonly stepping: number;
  } | null;
  readonly microcode: string | null;
  readonly maxphysaddr: {
    readonly mode: 'passthrough' | 'emulate';
    readonly bits: number | null;
    readonly limit: number | null;
  } | null;
  readonly topology: {
    readonly sockets: number;
    readonly dies: number;
    readonly clusters: number;
    readonly cores: number;
    readonly threads: number;
  } | null;
  /** 1-based line of the element in its file. */
  readonly line: number;
}

/** A definition in which nothing is said yet. */
export const UNSAID: LibvirtCpu = {
  type: 'guest',
  arch: null,
  mode: 'custom',
  match: 'exact',
  check: null,
  migratable: null,
  model: null,
  fallback: null,
  vendor: null,
  vendorId: null,
  features: [],
  signature: null,
  microcode: null,
  topology: null,
  maxphysaddr: null,
  line: 0,
};
