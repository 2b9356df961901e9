// One language CPUs are written in: how it is recognised, read and written. Dialects take bytes and open no files.
import type { Catalog } from '../cpu/catalog.ts';
import type { GuestCpu } from '../cpu/definition.ts';
import type { Description } from '../cpu/host.ts';

export interface Input {
  /** How the input is called in messages: its path as given, or stdin. */
  readonly name: string;
  readonly bytes: Uint8Array;
}

export interface Dialect {
  /** The word for it in --from and --to. */
  readonly name: string;
  /** Whether the beginning of a file (decoded leniently, at most 64 KiB) is written in this dialect. */
  recognises?(head: string): boolean;
  /**
   * All CPUs of the input, in order.
   * @throws QueryError naming the input, the line where there is one, what is wrong and what would work.
   */
  read?(input: Input, catalog: Catalog): Description[] | Promise<Description[]>;
  /** The CPU of a guest in this language, ending in a newline. */
  write?(cpu: GuestCpu, catalog: Catalog): string;
}
