// What is asked of readers of inputs, and the problems that inputs have.
import { problemOf, QueryError } from '../cpu/errors.ts';
import { byBytes } from '../cpu/order.ts';
import type { Input, Other, Skip, Stream } from '../dialects/dialect.ts';
import { kindsText } from '../fleet/aside.ts';
import type { Skipped } from '../fleet/fleet.ts';

export interface ReadOptions {
  /** Read every input in this dialect instead of recognising it. */
  readonly from?: string;
  /** Go on without inputs that cannot be read, and list them. */
  readonly skipUnreadable?: boolean;
  /** Look for no two documents of one host, and list no hosts by id. */
  readonly noIds?: boolean;
  /** The keys of host records that questions will be about; all of them where absent, which takes longer. */
  readonly keep?: readonly string[];
  /** Of these keys those without which the question has no answer: a summary must have kept them. */
  readonly asked?: readonly string[];
  /**
   * What is asked for: hosts (the default), guests, or any CPU. A guest may be one that its software refuses, which is
   * an answer; and a saved answer is a guest, but no host.
   */
  readonly takes?: 'hosts' | 'guests' | 'cpus';
  /** What is in no dialect is a line a guest: all that stands after a -cpu. */
  readonly lines?: boolean;
  /** The kernel of hosts that do not tell theirs, as uname -r prints it: what KVM gives there depends on it. */
  readonly kernel?: string;
  /** Whether what hosts were described by is kept, so that they can be asked as if they ran another kernel. */
  readonly keepDescribed?: boolean;
  /** Guests among hosts are the CPUs of hosts, too; else they are left aside, unless there is nothing else. */
  readonly asHosts?: boolean;
  /** A fleet without hosts is an answer, too. */
  readonly mayBeEmpty?: boolean;
}

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
  /** Documents that describe no CPU and are no error, by their kinds. */
  readonly others: string[] = [];
  readonly #goesOn: boolean;
  readonly #takes: NonNullable<ReadOptions['takes']>;

  constructor(options: ReadOptions) {
    this.#takes = options.takes ?? 'hosts';
    this.#goesOn = options.skipUnreadable ?? false;
  }

  /** Takes a problem of an input whose other hosts are read; undefined where none is to be left out. */
  skip(input: string): Skip | undefined {
    return this.#goesOn ? (problem) => this.#add(input, problem) : undefined;
  }

  readonly other: Other = (kind) => {
    this.others.push(kind);
  };

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
  settle(hosts: boolean): Skipped[] {
    if (this.list.length > 0 && !(this.#goesOn && hosts))
      throw new QueryError(this.list.map((p) => p.reason).join('\n'));
    if (!hosts && this.others.length > 0)
      throw new QueryError(
        `the inputs describe no CPU, only documents of other kinds (${kindsText(this.others)}); give nodes (kubectl get nodes -o json) or virtual machines`,
      );
    const wanted = this.#takes === 'cpus' ? 'CPUs' : this.#takes;
    if (!hosts) throw new QueryError(`no ${wanted}: the inputs describe none`);
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
