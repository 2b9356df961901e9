// A whole -cpu argument for QEMU's command line: strict, so that a host that lacks something refuses to start.
import { QueryError } from '../cpu/errors.ts';
import type { Dialect } from './dialect.ts';

export const qemu: Dialect = {
  name: 'qemu',
  write: ({ definitions, physBits }) => {
    const definition = definitions.qemu;
    if (!definition)
      throw new QueryError(
        'the answer has no QEMU definition; name a QEMU in --stack, like --stack qemu@10.0',
      );
    const { name, require, disable } = definition;
    const parts = [
      name,
      'enforce',
      ...require.map((feature) => `${feature}=on`),
      ...disable.map((feature) => `${feature}=off`),
      // QEMU takes the host's own number unless told otherwise for the models that say so.
      ...(physBits === null ? [] : ['host-phys-bits=off', `phys-bits=${physBits}`]),
    ];
    // A comma within a value is written twice (QEMU's option parser).
    return `-cpu ${shellQuote(parts.map((part) => part.replaceAll(',', ',,')).join(','))}\n`;
  },
};

/** A word as any POSIX shell takes it; quotes only where one is needed. */
function shellQuote(word: string): string {
  return /^[\w.,=+:@%/-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
