// Command lines that start QEMU, read as guests: one a line, or broken with backslashes as `qm showcmd --pretty` and
// libvirt's log of a domain have them, there behind variables of the environment and among other messages.
import {
  archOfMachine,
  archOfTarget,
  archRecord,
  elementOfArgument,
} from '../../cpu/arch/index.ts';
import type { Catalog } from '../../cpu/catalog/catalog.ts';
import { UNSAID } from '../../cpu/cpu-element.ts';
import type { Description } from '../../cpu/description.ts';
import { QueryError } from '../../cpu/errors.ts';
import { type Input, orSkip, type Skip } from '../dialect.ts';
import { askedOfQemu } from '../guests/guest-by-model.ts';
import { guestOfArch } from '../guests/libvirt-guest.ts';
import { linesOf } from '../text/lines.ts';
import { argumentsOf } from '../text/shell.ts';

const PROGRAM = /^(?:\S*\/)?(?:qemu-system-(\w+)|qemu-kvm|kvm)$/;
/** Such a command by its name alone, where it has options. */
const STARTS = /^(?:\w+=\S*\s+)*(?:\S*\/)?(?:qemu-system-\w+|qemu-kvm|kvm)\s+-/;
const BEGINS = /^(?:qemu|kvm)/;
const HAS_CPU = /\s--?cpu\s/;
/** What libvirt writes into the log of a domain before each start. */
const LOG = /^\S+ \S+: starting up libvirt version: /m;
const CONTINUED = /\\\s*$/;

/** Whether a text has a command of QEMU's. What stands after -cpu alone has to be said to be it. */
export const hasCommand = (head: string): boolean =>
  /qemu|kvm/.test(head) &&
  head
    .replace(/\\[ \t]*\r?\n/g, '')
    .split('\n')
    .some((line) => isCommand(line.trim()));

function isCommand(line: string): boolean {
  const [program = ''] = line.split(/\s/, 1);
  const name = program.slice(program.lastIndexOf('/') + 1);
  return (BEGINS.test(name) && HAS_CPU.test(line)) || STARTS.test(line);
}

interface Command {
  readonly number: number;
  readonly text: string;
}

/** The commands of a text, each with the number of its first line. */
function* commandsOf(input: Input, isLog: boolean): Generator<Command> {
  let begun: Command | null = null;
  for (const { number, text } of linesOf(input)) {
    if (begun === null && (text.trim() === '' || text.startsWith('#'))) continue;
    const { number: first, text: before }: Command = begun ?? { number, text: '' };
    begun = { number: first, text: before + text.replace(CONTINUED, '') };
    if (CONTINUED.test(text)) continue;
    if (!isLog || STARTS.test(begun.text)) yield begun;
    begun = null;
  }
  if (begun !== null && (!isLog || STARTS.test(begun.text))) yield begun;
}

/** The guests of a text of commands. A log tells of the same guest again and again: there the last start counts. */
export function readCommands(
  input: Input,
  catalog: Catalog,
  skip: Skip | undefined,
  dialect: string,
): Description[] {
  const isLog = LOG.test(new TextDecoder().decode(input.bytes.subarray(0, 64 * 1024)));
  const guests: Description[] = [];
  for (const { number, text } of commandsOf(input, isLog))
    guests.push(
      ...orSkip(skip, () => readCommand(catalog, text, dialect, number, `${input.name}:${number}`)),
    );
  if (!isLog) return guests;
  const last = new Map(guests.map((guest) => [guest.host, guest]));
  return [...last].map(([host, guest]) => {
    const starts = guests.filter((g) => g.host === host).length;
    if (starts === 1) return guest;
    const message = `its log tells of ${starts} starts, of which the last one counts (line ${guest.line})`;
    return { ...guest, notes: [...guest.notes, { code: 'last-start', message }] };
  });
}

/** QEMU's model where none is asked for. Only Proxmox's QEMU has -id, and another model with it. */
const defaultModel = (words: readonly string[]) => (words.includes('-id') ? 'kvm64' : 'qemu64');

/** A guest by a command line, or by what stands after its -cpu. */
function readCommand(
  catalog: Catalog,
  text: string,
  dialect: string,
  line: number,
  where: string,
): Description {
  const words = argumentsOf(text);
  // Of an option that comes twice, QEMU takes the last.
  const all = (...flags: string[]) =>
    words.flatMap((word, i) => (flags.includes(word) ? [words[i + 1] ?? ''] : []));
  const options = words.findIndex((word) => word.startsWith('-'));
  const program = words.slice(0, Math.max(0, options)).findLast((word) => PROGRAM.test(word));
  const said =
    words.length === 1 && !words[0]!.startsWith('-') ? words[0] : all('-cpu', '--cpu').at(-1);
  if (said === undefined && program === undefined)
    throw new QueryError(
      `${where}: no guest is recognised; give domain XML, a line of QEMU's command (with -cpu), or what stands after -cpu`,
    );
  const parts = all('-machine', '-M', '--machine').flatMap((value) => {
    const [type = '', ...more] = value.split(',');
    return [/=/.test(type) ? type : `type=${type}`, ...more];
  });
  const told = (key: string) =>
    parts.findLast((part) => part.startsWith(`${key}=`))?.slice(key.length + 1);
  const machine = told('type')?.replace(/\+pve\d+$/, '') ?? null;
  const target = PROGRAM.exec(program ?? '')?.[1];
  const arch = target === undefined ? archOfMachine(machine) : archOfTarget(target);
  const accel = all('-accel')[0]?.split(',')[0] ?? told('accel')?.split(':')[0];
  const accelerator = accel === 'tcg' ? 'tcg' : 'kvm';
  const host = nameOf(all('-name', '--name').at(-1));
  if (arch !== null && !archRecord(arch).isX86) {
    const element = said === undefined ? UNSAID : elementOfArgument(said, told('max-cpu-compat'));
    const guest = guestOfArch(catalog, { element: { ...element, line }, accelerator }, arch);
    return { ...guest, dialect, machine, host };
  }
  const place = { dialect, line, where };
  const anyArch = arch === null ? { anyArch: true as const } : {};
  const asks = { machine, accelerator, ...anyArch } as const;
  return { ...askedOfQemu(catalog, said ?? defaultModel(words), place, asks), host };
}

/** The guest's name in QEMU's -name: web-1, or guest=web-1,debug-threads=on in any order. */
function nameOf(argument: string | undefined): string | null {
  const parts = (argument ?? '').split(',').filter(Boolean);
  const named = parts.find((part) => part.startsWith('guest='))?.slice('guest='.length);
  return named ?? parts.find((part) => !part.includes('=')) ?? null;
}
