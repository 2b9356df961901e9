// One language CPUs are written in: how it is recognised, read and written. Dialects take bytes and open no files.
import type { BlockKeys } from '../core/blocks.ts';
import type { RecordKeys } from '../core/scan.ts';
import type { Catalog, Product } from '../cpu/catalog/catalog.ts';
import type { GuestCpu } from '../cpu/definition.ts';
import type { Description, Note } from '../cpu/description.ts';
import { QueryError } from '../cpu/errors.ts';
import type { Arrival } from '../fleet/gather.ts';
import type { Proves } from './proves.ts';

export interface Input {
  /** How the input is called in messages: its path as given, or stdin. */
  readonly name: string;
  readonly bytes: Uint8Array;
  /** It lies in a folder of many kinds of files, so one that nobody recognises is no host that cannot be read. */
  readonly contained?: true;
  /** The bytes are others when the next input is asked for. */
  readonly passes?: true;
}

/** Bytes of an input by which its dialect is recognised. */
export const HEAD = 64 * 1024;

/** A line that a thread did not judge, by its number within its segment. */
export interface OtherLine {
  readonly line: Uint8Array;
  readonly number: number;
}

/** What a thread found in the segments of an input that it took. */
export interface ThreadScan {
  /**
   * The first record of each kind that it met, or of which kind it is a variant: then its names, by number, are in
   * `lists`, from where those of the variant before end.
   */
  readonly kinds: readonly (
    | (OtherLine & { readonly segment: number })
    | { readonly of: number; readonly end: number }
  )[];
  readonly lists: Uint16Array;
  /** By number: how names are spelled. */
  readonly spellings: readonly string[];
  /** Hosts, with the thread's numbers for kinds, and other lines, in the order of the text. */
  readonly segments: readonly {
    readonly segment: number;
    readonly lines: number;
    readonly pieces: readonly (Arrival | OtherLine)[];
  }[];
  /** Hosts of each kind, where no ids are wanted. */
  readonly counts: readonly number[];
  /** Further keys that had a plain value. */
  readonly keys: readonly string[];
  /** The line that was too long to go on. */
  readonly tooLong: { readonly segment: number; readonly number: number } | null;
}

/** What a thread found in the segments of an input of blocks that it took. */
export interface BlockScan {
  /** The first block of each kind that it met, and whether a processor's number is in it. */
  readonly kinds: readonly { readonly text: Uint8Array; readonly hasNumber: boolean }[];
  /** Runs of processors, with the thread's numbers for kinds, in the order of the text; a segment begins a host. */
  readonly segments: readonly { readonly segment: number; readonly runs: readonly Uint32Array[] }[];
  /** Whether it met what is out of the ordinary. */
  readonly unusual: boolean;
}

/** An input that is too large to hold, or has no end yet: `read`, a scan or `whole` is called, one of them. */
export interface Stream {
  readonly name: string;
  /** As of an Input. */
  readonly contained?: true;
  /** How it begins: 64 KiB, or all of it. */
  readonly head: Uint8Array;
  /** Fills an array from the input's beginning on; answers how many bytes came, 0 at the end. */
  read(into: Uint8Array): number | Promise<number>;
  /** Whether `whole` may still be called when some of it was read; else it answers what is left. */
  readonly again: boolean;
  /** Scans all of it for records, on several threads; absent where that would not pay. */
  scan?(keys: RecordKeys, ids: boolean): Promise<ThreadScan[]>;
  /** The same for blocks of lines; `read` may still be called afterwards. */
  scanBlocks?(keys: BlockKeys): Promise<BlockScan[]>;
  /** All of it, or what is behind so many bytes. */
  whole(from?: number): Promise<Uint8Array>;
}

/** Takes a host that cannot be read; what else is in the input is read without it. */
export type Skip = (problem: QueryError) => void;

/** Takes note of a document that is no description of a CPU, by its kind: in a container of many kinds it is no error. */
export type Other = (kind: string) => void;

export type Dialect = Language & (Readable | Unreadable);

/** A language that is read says what its documents prove; of guests alone, nothing about hosts. */
interface Readable {
  readonly proves: readonly Proves[];
  /**
   * All CPUs of the input, in order; with `skip` those that can be read, where each stands by itself; with `other`
   * those that are there beside documents of other kinds.
   * @throws QueryError naming the input, the line where there is one, what is wrong and what would work.
   */
  read(
    input: Input,
    catalog: Catalog,
    skip?: Skip,
    other?: Other,
  ): Description[] | Promise<Description[]>;
}

interface Unreadable {
  readonly proves?: undefined;
  readonly read?: undefined;
}

interface Language {
  /** The word for it in --from and --to. */
  readonly name: string;
  /** Whether the beginning of a file (decoded leniently, at most 64 KiB) is written in this dialect. */
  recognises?(head: string): boolean;
  /** The CPU of a guest in this language, ending in a newline. */
  write?(cpu: GuestCpu, catalog: Catalog): string;
  /** Whether it is written of every architecture; of x86 alone where absent. */
  readonly writesAll?: true;
  /** What this language cannot say of the CPU, and what must be done beside it. */
  notes?(cpu: GuestCpu, catalog: Catalog): readonly Note[];
  /** How what is written is put to use, in one line. */
  readonly use?: string;
  /** The product whose definition is written. */
  readonly words?: Product;
  /** Where the product files CPUs by a name: which it is unless somebody chooses one, and which it may be. */
  readonly called?: {
    readonly name: string;
    readonly isValid: (name: string) => boolean;
    readonly rule: string;
  };
}

/** What is made of one host; nothing where it cannot be read and may be skipped. */
export function orSkip<T>(skip: Skip | undefined, read: () => T): T[] {
  try {
    return [read()];
  } catch (error) {
    if (!skip || !(error instanceof QueryError)) throw error;
    skip(error);
    return [];
  }
}
