// A whole -cpu argument for QEMU's command line: strict, so that a host that lacks something refuses to start. Read,
// a line is a guest.
import { archRecord } from '../../cpu/arch/index.ts';
import { QueryError } from '../../cpu/errors.ts';
import type { Dialect } from '../dialect.ts';
import { shellWord } from '../pinned.ts';
import { hasCommand, readCommands } from './qemu-command.ts';

export const qemu: Dialect = {
  name: 'qemu',
  words: 'qemu',
  use: 'on the command line of qemu-system-x86_64, with -accel kvm',
  recognises: hasCommand,
  proves: [],
  read: (input, catalog, skip) => readCommands(input, catalog, skip, 'qemu'),
  writesAll: true,
  write: ({ arch, definitions, physBits }) => {
    const definition = definitions.qemu;
    if (!definition)
      throw new QueryError(
        'the answer has no QEMU definition; name a QEMU in --stack, like --stack qemu@10.0',
      );
    const record = archRecord(arch);
    if (!record.isX86) return `${record.toQemu(definition)}\n`;
    const { name, require, disable } = definition;
    const parts = [
      name,
      'enforce',
      ...require.map((feature) => `${feature}=on`),
      ...disable.map((feature) => `${feature}=off`),
      // QEMU takes the host's own number unless told otherwise for the models that say so.
      ...(physBits === null ? [] : [`phys-bits=${physBits}`, 'host-phys-bits=off']),
    ];
    // QEMU splits at every comma, doubled or not; no name or number here holds one.
    return `-cpu ${shellWord(parts.join(','))}\n`;
  },
};
