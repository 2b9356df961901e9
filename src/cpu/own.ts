// Look-ups by names that come from outside.

/**
 * What an object itself has under a name: a host may call a key `constructor`, which every object answers to.
 * Undefined where it has nothing.
 */
export const own = <T>(table: Readonly<Record<string, T>>, name: string): T | undefined =>
  Object.hasOwn(table, name) ? table[name] : undefined;
