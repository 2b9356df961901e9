// Errors that people cause, and what is made of others: the message is a full sentence for the person who meets it.

/** Input that cannot be answered: which input, what is wrong, what would work. */
export class QueryError extends Error {
  override name = 'QueryError';
}

/** What was thrown while an input was read, as that input's problem, whatever it is: others are read without it. */
export function problemOf(input: string, error: unknown): QueryError {
  if (error instanceof QueryError) return error;
  const why = error instanceof Error ? error.message.split('\n')[0]! : String(error);
  return new QueryError(
    error instanceof RangeError
      ? `${input} is more than can be read as one (${why}); split it`
      : `${input} cannot be read, which is a bug in plimsoll; report it with the input if you may (${why})`,
    { cause: error },
  );
}
