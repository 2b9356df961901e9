// What pin and drift ask of a guest: its -cpu argument, its machine type, and the QEMU that runs it.
import { type Command, Option } from 'commander';
import { type Catalog, loadCatalogWith } from '../../cpu/catalog/catalog.ts';
import type { LearntQemu } from '../../cpu/catalog/learnt-qemu.ts';
import { compareVersions } from '../../cpu/catalog/software.ts';
import { QueryError } from '../../cpu/errors.ts';
import type { Accelerator } from '../../cpu/qemu/model.ts';
import { readLearntQemu } from '../../dialects/learnt/learnt-catalog.ts';
import type { Io } from '../io.ts';
import { repeated } from '../options.ts';
import { readOne } from './inputs.ts';

export interface QemuOptions {
  readonly cpu?: string;
  readonly machine?: string;
  readonly qemu?: string;
  readonly accel: Accelerator;
  readonly catalog?: readonly string[];
}

export const qemuOptions = (command: Command): Command =>
  command
    .optionsGroup('Guest:')
    .option('--cpu <cpu>', 'a whole -cpu argument: Skylake-Server,+pcid,mpx=off')
    .option('--machine <type>', 'its machine type: pc-q35-9.2, or pc and q35 for the newest')
    .option(
      '--qemu <version>',
      'the QEMU that runs it (default: that of --catalog, else the newest known)',
    )
    .option('--catalog <file>', 'what plimsoll learn wrote of a QEMU (repeatable)', repeated)
    .addOption(
      new Option('--accel <accelerator>', 'kvm, or tcg for plain emulation')
        .choices(['kvm', 'tcg'])
        .default('kvm'),
    );

/** The catalog, with the QEMUs that the options bring. */
export async function catalogOf(
  { catalog: files = [] }: Pick<QemuOptions, 'catalog'>,
  io: Io,
): Promise<Catalog> {
  const learnt: LearntQemu[] = [];
  for (const file of files) learnt.push(readLearntQemu(await readOne(file, io)));
  return loadCatalogWith(learnt);
}

/**
 * The catalog's version of a QEMU: 10.0 for 10.0.13, whatever its patch level.
 * @throws QueryError for one that the catalog does not describe: another QEMU has other CPUs.
 */
export function qemuVersion(catalog: Catalog, text: string | undefined): string {
  const known = catalog.versions.qemu;
  if (text === undefined) return [...catalog.learnt.keys()].at(-1) ?? known.at(-1)!;
  // A learnt release is not what the catalog has of its version: asked for in full it is meant.
  if (catalog.learnt.has(text)) return text;
  const [, wanted] = /^(\d+\.\d+)(?:\.\d+)?$/.exec(text) ?? [];
  if (wanted === undefined)
    throw new QueryError(`QEMU "${text}" is no version of QEMU; write it like ${known.at(-1)}`);
  if (known.includes(wanted)) return wanted;
  const learnt = [...catalog.learnt.keys()].find((v) => compareVersions(v, wanted) === 0);
  if (learnt !== undefined) return learnt;
  throw new QueryError(
    `QEMU "${text}" is not known, and another version has other CPUs; known are ${known.join(' and ')}`,
  );
}

/** The value of an option without which there is no question. */
export function required(value: string | undefined, option: string, example: string): string {
  if (value === undefined)
    throw new QueryError(`${option} is missing; give one like ${option} ${example}`);
  return value;
}
