// What the conditions of KVM's source ask: a bit of the processor, or somebody whom no description tells of.
import { splitAt } from './c.ts';
import type { KvmNames } from './kernel-names.ts';

/** yes and no are for certain, with default options; else what makes it true. */
export interface Condition {
  readonly is: 'yes' | 'no' | 'some';
  /** Places of bits; all of one list are enough. */
  readonly lists: readonly (readonly string[])[];
  /** Also true for reasons that no description tells. */
  readonly isOpen: boolean;
  /** An option of the host, its firmware or a driver decides. */
  readonly isOption: boolean;
  /** True by default where the processor has the very bit that stands under it. */
  readonly isTied: boolean;
  /** The feature that an option is about. */
  readonly root: string | null;
  /** The part that was not understood. */
  readonly unread: string | null;
}

const some = (part: Partial<Condition>): Condition => ({
  is: 'some',
  lists: [],
  isOpen: false,
  isOption: false,
  isTied: false,
  root: null,
  unread: null,
  ...part,
});
export const YES: Condition = { ...some({}), is: 'yes' };
const NO: Condition = { ...some({}), is: 'no' };

/** Options that are on, and what VMX of all processors of today has. */
const USUAL =
  /^(?:tdp_enabled|enable_pmu|sched_info_on\(\)|IS_ENABLED\(\w+\)|cpu_has_vmx_(?:rdtscp|invpcid|xsaves|waitpkg)\(\)|l1tf_vmx_mitigation != VMENTER_L1D_FLUSH_NEVER|boot_cpu_has\(X86_FEATURE_OSPKE\))$/;
/** On where the processor has it, unless somebody switches it off. */
const TIED = /^(?:npt_enabled|nrips|tsc_scaling|vls|vgif|vnmi|lbrv|x2avic_enabled|gmet_enabled)$/;
const OPTIONS =
  /^(?:nested|enable_sgx|vmx_pt_mode_is_host_guest\(\)|vmx_pebs_supported\(\)|kvm_mpx_supported\(\)|sev\w*_enabled|cpu_has_load_cet_ctrl\(\)|enable_unrestricted_guest|cpu_has_vmx_basic_no_hw_errcode_cc\(\))$/;
const ROOTS: Readonly<Record<string, string>> = { __proto__: null as never, enable_sgx: 'SGX' };
const OPEN = /^gds_ucode_mitigated\(\)$/;
/** What the kernel finds out about the processor, past any bit of it. */
const FOUND_OUT = /^(?:LFENCE_RDTSC|LS_CFG_SSBD)$/;
/** A kernel that finds one of these false has a fault. */
const SANITY = /^WARN_ON/;
const HAS =
  /^(?:(?:boot|static|this)_cpu_has|cpu_feature_enabled|kvm_cpu_cap_has)\(X86_FEATURE_(\w+)\)$/;
const IMMUNE_TO = /^!\s*(?:boot|static)_cpu_has_bug\(X86_BUG_(\w+)\)$/;
/** Linux counts no processor of AMD or Hygon as affected. */
const NEVER_ON_AMD = new Set(['CPU_MELTDOWN', 'MDS', 'GDS', 'RFDS', 'ITS', 'L1TF']);
/** The words of immunity that Linux looks at beside its list of processors. */
const IMMUNE: Readonly<Record<string, readonly string[]>> = {
  __proto__: null as never,
  SPEC_STORE_BYPASS: ['msr.10a.4', 'AMD_SSB_NO'],
};
/** Made by KVM where VMX tells of accesses to descriptor tables. */
const DESCRIPTORS = /^vmx_umip_emulated\(\)$/;
const DESC_EXIT = 'msr.48b.34';

export class Conditions {
  readonly #names: KvmNames;
  readonly #module: 'Intel' | 'AMD';

  constructor(names: KvmNames, module: 'Intel' | 'AMD') {
    this.#names = names;
    this.#module = module;
  }

  read(text: string): Condition {
    const whole = text.trim();
    if (SANITY.test(whole)) return NO;
    const either = splitAt(whole, /^\|\|/);
    if (either.length > 1) return either.map((part) => this.read(part)).reduce(or);
    const both = splitAt(whole, /^&&/);
    if (both.length > 1) return both.map((part) => this.read(part)).reduce(and);
    const bug = IMMUNE_TO.exec(whole)?.[1];
    if (bug !== undefined) return this.#immune(bug);
    if (whole.startsWith('!')) return not(this.read(whole.slice(1)));
    const inner = /^\((.*)\)$/.exec(whole)?.[1];
    return inner === undefined ? this.#atom(whole) : this.read(inner);
  }

  #atom(text: string): Condition {
    if (USUAL.test(text)) return YES;
    if (TIED.test(text)) return some({ isTied: true });
    if (OPTIONS.test(text)) return some({ isOption: true, root: ROOTS[text] ?? null });
    if (OPEN.test(text)) return some({ isOpen: true });
    if (DESCRIPTORS.test(text)) return some({ lists: [[DESC_EXIT]], isOpen: true });
    const name = HAS.exec(text)?.[1];
    return name === undefined ? some({ unread: text }) : this.#feature(name, text);
  }

  #feature(name: string, text: string): Condition {
    if (FOUND_OUT.test(name))
      return this.#module === 'AMD' || name !== 'LS_CFG_SSBD' ? some({ isOpen: true }) : NO;
    const place = this.#names.place(name);
    const isOpen = this.#names.isForced(name, this.#module);
    if (place !== null) return some({ lists: [[place]], isOpen });
    const lists = this.#names.madeOf(name);
    return lists === null ? some({ unread: text }) : some({ lists });
  }

  /** Where Linux does not count the processor as affected. */
  #immune(bug: string): Condition {
    if (this.#module === 'AMD' && NEVER_ON_AMD.has(bug)) return YES;
    const lists = (IMMUNE[bug] ?? []).map((word) => [this.#names.place(word) ?? word]);
    return some({ lists, isOpen: true });
  }
}

export function and(a: Condition, b: Condition): Condition {
  if (a.is === 'no' || b.is === 'no') return NO;
  if (a.is === 'yes') return b;
  if (b.is === 'yes') return a;
  // What is open leaves nothing certain; an option leaves what stands beside it.
  const says = (c: Condition) => c.lists.length > 0 || c.isOpen;
  const both = a.lists.flatMap((x) => b.lists.map((y) => [...new Set([...x, ...y])]));
  return some({
    lists: !says(a) ? b.lists : !says(b) ? a.lists : both,
    isOpen: a.isOpen || b.isOpen,
    isOption: a.isOption || b.isOption,
    isTied: a.isTied || b.isTied,
    root: a.root ?? b.root,
    unread: a.unread ?? b.unread,
  });
}

function or(a: Condition, b: Condition): Condition {
  if (a.is === 'yes' || b.is === 'yes') return YES;
  if (a.is === 'no') return b;
  if (b.is === 'no') return a;
  return some({
    lists: [...a.lists, ...b.lists],
    isOpen: a.isOpen || b.isOpen,
    isOption: a.isOption || b.isOption,
    isTied: a.isTied || b.isTied,
    root: a.root ?? b.root,
    unread: a.unread ?? b.unread,
  });
}

/** Of the absence of bits no row tells. */
export const not = (c: Condition): Condition =>
  c.is === 'some'
    ? { ...c, lists: [], isOpen: c.isOpen || c.lists.length > 0 }
    : c.is === 'yes'
      ? NO
      : YES;
