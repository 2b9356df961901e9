// What is told of inputs beside their hosts: lists of who is meant, and what took no part.

/** So many of a list are named; the count tells how many there are. */
export const LISTED = 20;

/** Hosts by id: the first 20 in byte order, and how many there are. */
export interface HostList {
  readonly count: number;
  readonly hosts: readonly string[];
}

/** An input that was left out because it could not be read. */
export interface Skipped {
  readonly input: string;
  readonly line?: number;
  readonly reason: string;
}

/** What took no part because it is something else than was asked for; reads as a finding. */
export interface LeftAside extends HostList {
  readonly code: 'guests-aside' | 'guests-as-hosts' | 'hosts-aside' | 'other-kinds';
  readonly severity: 'warning' | 'info';
  readonly message: string;
}
