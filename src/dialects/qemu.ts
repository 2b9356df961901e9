// A whole -cpu argument for QEMU's command line: strict, so that a host that lacks something refuses to start. Read,
// a line is a guest.

import { archOfTarget, archRecord, elementOfArgument } from '../cpu/arch/index.ts';
import type { Catalog } from '../cpu/catalog.ts';
import { QueryError } from '../cpu/errors.ts';
import type { Description } from '../cpu/host.ts';
import { askedOfQemu } from './asked.ts';
import { type Dialect, orSkip } from './dialect.ts';
import { guestOfArch } from './libvirt-guest.ts';
import { linesOf } from './lines.ts';
import { shellWord } from './pinned.ts';
import { argumentsOf } from './shell.ts';

export const qemu: Dialect = {
  name: 'qemu',
  words: 'qemu',
  use: 'on the command line of qemu-system-x86_64, with -accel kvm',
  // Only a command is told from any other text; what stands after -cpu alone has to be said to be it.
  recognises: (head) =>
    head
      .split('\n')
      .some(
        (line) =>
          (/\s--?cpu\s/.test(line) && /^(?!#)(?:\S*\/)?(?:qemu|kvm)/.test(line.trim())) ||
          STARTS.test(line.trim()),
      ),
  proves: [],
  read(input, catalog, skip) {
    const guests: Description[] = [];
    for (const { number, text } of linesOf(input)) {
      if (text.trim() === '' || text.startsWith('#')) continue;
      const where = `${input.name}:${number}`;
      guests.push(...orSkip(skip, () => readLine(catalog, text, where, number)));
    }
    return guests;
  },
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

/** Such a command by its name alone, where it has options. */
const STARTS = /^(?:\S*\/)?(?:qemu-system-x86_64|qemu-system-i386|qemu-kvm)\s+-/;
/** A command that starts an x86 guest, and what it asks for without -cpu. */
const COMMAND = /^(?:\S*\/)?(?:qemu-system-x86_64|qemu-system-i386|qemu-kvm|kvm)$/;
const DEFAULT = 'qemu64';

/** A guest by a command line of QEMU, or by what stands after its -cpu. */
function readLine(catalog: Catalog, text: string, where: string, line: number): Description {
  const words = argumentsOf(text);
  const after = (...flags: string[]) => {
    const at = words.findIndex((word) => flags.includes(word));
    return at < 0 ? undefined : words[at + 1];
  };
  const isBare = words.length === 1 && !words[0]!.startsWith('-');
  const isCommand = COMMAND.test(words[0] ?? '') && words.length > 1;
  const cpu = isBare ? words[0] : (after('-cpu', '--cpu') ?? (isCommand ? DEFAULT : undefined));
  if (cpu === undefined)
    throw new QueryError(
      `${where}: no guest is recognised; give domain XML, a line of QEMU's command (with -cpu), or what stands after -cpu`,
    );
  const [type, ...more] = after('-machine', '-M', '--machine')?.split(',') ?? [];
  const machine = type?.replace(/^type=/, '') ?? null;
  const arch = archOfProgram(words[0]!) ?? archOfMachine(machine);
  const isTcg = more.includes('accel=tcg') || after('-accel')?.split(',')[0] === 'tcg';
  const accelerator = isTcg ? 'tcg' : 'kvm';
  if (arch !== null && !archRecord(arch).isX86) {
    const compat = more.find((word) => word.startsWith('max-cpu-compat='))?.split('=')[1];
    const element = { ...elementOfArgument(cpu, compat), line };
    return {
      ...guestOfArch(catalog, { element, accelerator }, arch),
      dialect: 'qemu',
      machine,
      host: nameOf(after('-name', '--name')),
    };
  }
  return {
    ...askedOfQemu(
      catalog,
      cpu,
      { dialect: 'qemu', line, where },
      { machine, accelerator, ...(arch === null ? { anyArch: true as const } : {}) },
    ),
    host: nameOf(after('-name', '--name')),
  };
}

/** The architecture of the program of a command line; null where its name does not tell. */
function archOfProgram(program: string): string | null {
  const target = /(?:^|\/)qemu-system-(\w+)$/.exec(program)?.[1];
  return target === undefined ? null : archOfTarget(target);
}

/** Machine types that only one architecture has. */
const archOfMachine = (machine: string | null): string | null =>
  /^pseries/.test(machine ?? '') ? 'ppc64' : /^s390-ccw/.test(machine ?? '') ? 's390x' : null;

/** The guest's name in QEMU's -name: web-1, or guest=web-1,debug-threads=on in any order. */
function nameOf(argument: string | undefined): string | null {
  if (argument === undefined) return null;
  const parts = argument.split(',');
  const named = parts.find((part) => part.startsWith('guest='))?.slice('guest='.length);
  return named ?? parts.find((part) => !part.includes('=')) ?? null;
}
