// The CPUID and MSR words that a document states of one processor, uninterpreted.
import type { Register } from './feature.ts';

export type LeafRegisters = Readonly<Record<Register, number>>;

/** The words that a document states of one processor. */
export class Words {
  readonly #leaves = new Map<number, LeafRegisters>();
  readonly #msrs = new Map<number, bigint>();

  setLeaf(leaf: number, subleaf: number, registers: LeafRegisters): void {
    this.#leaves.set(leaf * 0x10000 + subleaf, registers);
  }

  setMsr(msr: number, value: bigint): void {
    this.#msrs.set(msr, value);
  }

  leaf(leaf: number, subleaf = 0): LeafRegisters | undefined {
    return this.#leaves.get(leaf * 0x10000 + subleaf);
  }

  msr(msr: number): bigint | undefined {
    return this.#msrs.get(msr);
  }

  get leaves(): number {
    return this.#leaves.size;
  }

  get hasMsrs(): boolean {
    return this.#msrs.size > 0;
  }

  /** Takes over the MSRs of another processor. */
  borrowMsrs(other: Words): void {
    for (const [msr, value] of other.#msrs) this.#msrs.set(msr, value);
  }
}
