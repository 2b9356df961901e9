// The one error for bad input: its message is a full sentence for the person who gave it.

/** Input that cannot be answered: which input, what is wrong, what would work. */
export class QueryError extends Error {
  override name = 'QueryError';
}
