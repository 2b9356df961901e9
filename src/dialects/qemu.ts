// A whole -cpu argument for QEMU's command line: strict, so that a host that lacks something refuses to start. Read,
// a line is a guest.
import { QueryError } from '../cpu/errors.ts';
import type { Description } from '../cpu/host.ts';
import { askedOfQemu } from './asked.ts';
import type { Dialect } from './dialect.ts';
import { linesOf } from './lines.ts';
import { shellWord } from './pinned.ts';
import { argumentsOf } from './shell.ts';

export const qemu: Dialect = {
  name: 'qemu',
  use: 'on the command line of qemu-system-x86_64, with -accel kvm',
  proves: [],
  read(input, catalog) {
    const guests: Description[] = [];
    for (const { number, text } of linesOf(input)) {
      if (text.trim() === '' || text.startsWith('#')) continue;
      const where = `${input.name}:${number}`;
      const words = argumentsOf(text);
      const after = (flag: string) => {
        const at = words.indexOf(flag);
        return at < 0 ? undefined : words[at + 1];
      };
      const cpu = after('-cpu') ?? (words.length === 1 ? words[0] : undefined);
      if (cpu === undefined)
        throw new QueryError(
          `${where}: this line has no -cpu; give a command line of QEMU, or what stands after its -cpu`,
        );
      const machine = after('-machine') ?? after('-M');
      guests.push({
        ...askedOfQemu(
          catalog,
          cpu,
          { dialect: 'qemu', line: number, where },
          machine?.split(',')[0]?.replace(/^type=/, '') ?? null,
        ),
        host:
          after('-name')
            ?.split(',')[0]
            ?.replace(/^guest=/, '') ?? null,
      });
    }
    return guests;
  },
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
    // QEMU splits at every comma, doubled or not; no name or number here holds one.
    return `-cpu ${shellWord(parts.join(','))}\n`;
  },
};
