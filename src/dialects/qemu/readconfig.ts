// QEMU's -readconfig file beside a -cpu that names the model alone: the features as properties of every CPU.
import type { GuestCpu } from '../../cpu/definition.ts';
import type { Settings } from '../../cpu/qemu/properties.ts';
import type { Dialect } from '../dialect.ts';
import { writeReadconfig } from '../pinned.ts';
import { definitionFor } from '../words/product-definitions.ts';

/** The switches of a definition as properties. */
export function settingsOf(cpu: GuestCpu): Settings {
  const { require, disable } = definitionFor(cpu, 'qemu', 'this language');
  return [
    ...require.map((name) => [name, true] as const),
    ...disable.map((name) => [name, false] as const),
    ...(cpu.physBits === null
      ? []
      : ([
          ['host-phys-bits', false],
          ['phys-bits', cpu.physBits],
        ] as const)),
  ];
}

export const readconfig: Dialect = {
  name: 'readconfig',
  words: 'qemu',
  use: 'qemu-system-x86_64 -readconfig FILE -cpu MODEL,enforce, with the model that the first line names',
  write: (cpu) =>
    writeReadconfig(
      settingsOf(cpu),
      `beside -cpu ${definitionFor(cpu, 'qemu', 'a readconfig file').name},enforce`,
    ),
};
