// What the documents of a dialect prove of a feature that they do not list: each reader says it of each kind of
// document about hosts, and test/dialects/proves.test.ts holds the reader to it.
import type { View } from '../cpu/description.ts';

/** Whose words a document is written in: a feature for which these have no word is never listed, so it is unknown. */
type Words = 'linux' | 'libvirt' | 'qemu' | 'cpuid' | 'nfd' | 'records' | 'models';

export interface Proves {
  /** The document, as those who have it call it. */
  readonly document: string;
  /** What it speaks for; null where the document says so itself. */
  readonly view: View | null;
  readonly words: Words;
  /** What a feature is that there is a word for and that is not listed: absent from a whole list, else unknown. */
  readonly unlisted: 'absent' | 'unknown';
  /** Of a whole list what may be left out of it though it is there; always unknown. */
  readonly leavesOut?: string;
}

/** The kernel's flags, whatever quotes them. */
export const kernelFlags = (document: string): Proves => ({
  document,
  view: 'kernel',
  words: 'linux',
  unlisted: 'absent',
  leavesOut:
    'vmx, svm and sgx where firmware or policy has them off, la57 and cet where the kernel does without, words younger than the kernel',
});

/** What a hypervisor lists of what guests can have, if it keeps to what can migrate. */
export const MIGRATABLE = 'what cannot migrate: invtsc, ht, topoext, kvm-hint-dedicated';
