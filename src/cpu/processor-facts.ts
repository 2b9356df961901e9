// What is told of a processor beside its features.

/** Physical address bits that QEMU gives a guest unless told otherwise. */
export const DEFAULT_PHYS_BITS = 40;
/** No x86 processor addresses more than its page tables can hold (Intel SDM volume 3, 4.1.4: 52). */
export const MAX_PHYS_BITS = 52;

export interface Signature {
  readonly family: number;
  readonly model: number;
  readonly stepping: number;
}

/** Where an XSAVE component lies in the standard-format area, in bytes. */
export interface XsaveComponent {
  readonly component: number;
  readonly size: number;
  readonly offset: number;
}

/** A time stamp counter: its frequency in Hz, and whether guests can be given another one (null: not told). */
export interface Tsc {
  readonly hz: number;
  readonly scaling: boolean | null;
}

/** Something that a person should know of what a document says; codes are listed in solve/line/findings.ts. */
export interface Note {
  readonly code: string;
  readonly message: string;
}
