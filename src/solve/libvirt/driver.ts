// Which of libvirt's CPU drivers speaks for an architecture: the rules differ by driver.
import { QueryError } from '../../cpu/errors.ts';

export type Driver = 'x86' | 'ppc64' | 'arm' | 's390x' | 'riscv64' | 'loongarch64';

const DRIVERS: ReadonlyMap<string, Driver> = new Map([
  ['i686', 'x86'],
  ['x86_64', 'x86'],
  ['ppc64', 'ppc64'],
  ['ppc64le', 'ppc64'],
  ['armv6l', 'arm'],
  ['armv7b', 'arm'],
  ['armv7l', 'arm'],
  ['aarch64', 'arm'],
  ['s390', 's390x'],
  ['s390x', 's390x'],
  ['riscv64', 'riscv64'],
  ['loongarch64', 'loongarch64'],
]);

export const findDriver = (arch: string): Driver | undefined => DRIVERS.get(arch);

/** @throws QueryError for an architecture that libvirt has no CPU driver for. */
export function driverOf(where: string, arch: string): Driver {
  const driver = findDriver(arch);
  if (!driver)
    throw new QueryError(
      `${where}: libvirt decides nothing about CPUs of "${arch}"; it knows ${[...DRIVERS.keys()].join(', ')}`,
    );
  return driver;
}
