// Inputs as they are opened, and what is wrong with them: noted as it comes, and judged at the end.
import { problemOf, QueryError } from '../cpu/errors.ts';
import { byBytes } from '../cpu/order.ts';
import type { Skipped } from '../fleet/fleet.ts';
import type { Input, Skip, Stream } from './dialect.ts';

/** An input that could not even be opened; the place where files are opened throws it in the file's stead. */
export interface Unreadable {
  readonly name: string;
  readonly error: QueryError;
}

/** What was typed, opened: whole, piece by piece, or not at all. */
export type Opened = Input | Stream | Unreadable;

/** Problems of inputs, as they come. */
export class Problems {
  readonly list: Skipped[] = [];
  readonly #goesOn: boolean;

  constructor(options: { readonly skipUnreadable?: boolean }) {
    this.#goesOn = options.skipUnreadable ?? false;
  }

  /** Takes a problem of an input whose other hosts are read; undefined where none is to be left out. */
  skip(input: string): Skip | undefined {
    return this.#goesOn ? (problem) => this.#add(input, problem) : undefined;
  }

  has(input: string): boolean {
    return this.list.some((problem) => problem.input === input);
  }

  /** Reads an input; what it throws is noted. */
  async attempt(input: Opened, read: () => Promise<void>): Promise<void> {
    try {
      if ('error' in input) throw input.error;
      await read();
    } catch (error) {
      this.#add(input.name, problemOf(input.name, error));
    }
  }

  /** @throws QueryError with one line a problem, unless they may be skipped and some hosts are there. */
  settle(hosts: boolean, takes: 'hosts' | 'guests' | 'cpus' = 'hosts'): Skipped[] {
    if (this.list.length > 0 && !(this.#goesOn && hosts))
      throw new QueryError(this.list.map((p) => p.reason).join('\n'));
    if (!hosts)
      throw new QueryError(`no ${takes === 'cpus' ? 'CPUs' : takes}: the inputs describe none`);
    return this.list.sort((a, b) => byBytes(a.input, b.input));
  }

  #add(input: string, error: QueryError): void {
    this.list.push(skippedFor(input, error));
  }
}

/** An input that is left out, with the line that its problem names. */
export function skippedFor(input: string, { message }: QueryError): Skipped {
  const line = message.match(/:(\d+)(?::\d+)?: /)?.[1];
  return { input, ...(line ? { line: Number(line) } : {}), reason: message };
}
