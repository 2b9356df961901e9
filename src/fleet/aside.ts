// What is among the inputs of a question and is something else than was asked for: left aside, and said.
import type { Description } from '../cpu/description.ts';
import { byBytes } from '../cpu/order.ts';
import type { Fleet, Kind } from './fleet.ts';
import { type HostList, type LeftAside, LISTED } from './told.ts';

const isGuest = ({ view }: Kind): boolean => view === 'guest';

/** Whether it is the definition of a whole guest, and no CPU that somebody wrote down by itself. */
const isDefinition = ({ asked }: Kind): boolean =>
  asked !== null && (asked.by !== 'libvirt' || asked.machine !== null || asked.byName !== null);

/** The hosts of a fleet without guests that were read among them; where guests are all there is, they are its CPUs. */
export function withoutGuests(fleet: Fleet): Fleet {
  const guests = fleet.hostsWhere(isGuest);
  if (guests.length === 0) return fleet;
  const list = fleet.list(guests);
  if (guests.length < fleet.hosts)
    return fleet.subset(
      fleet.hostsWhere((kind) => !isGuest(kind)),
      [...fleet.left, guestsAside(list)],
    );
  if (!fleet.kinds.some(isDefinition)) return fleet;
  return fleet.subset(guests, [...fleet.left, guestsAsHosts(list)]);
}

const guestsAside = (list: HostList): LeftAside => ({
  code: 'guests-aside',
  severity: 'warning',
  ...list,
  message: `${guestsText(list)} among the inputs of hosts ${list.count === 1 ? 'is' : 'are'} left aside (${named(list)}); questions about guests take ${list.count === 1 ? 'it' : 'them'} with --guests, and --as-hosts takes ${list.count === 1 ? 'it' : 'them'} as the CPUs of hosts`,
});

const guestsAsHosts = (list: HostList): LeftAside => ({
  code: 'guests-as-hosts',
  severity: 'warning',
  ...list,
  message: `${guestsText(list)} ${list.count === 1 ? 'is taken as the CPU of a host' : 'are taken as the CPUs of hosts'} (${named(list)}), for no host is among the inputs; questions about guests take ${list.count === 1 ? 'it' : 'them'} with --guests`,
});

/** Guests without hosts that were read among them; a CPU by its record is a guest, too, where it is given as one. */
export function withoutHosts<T extends { readonly id: string; readonly description: Description }>(
  read: readonly T[],
): { readonly guests: readonly T[]; readonly left: readonly LeftAside[] } {
  const isHost = ({ description: d }: T) => d.view !== 'guest' && d.dialect !== 'records';
  const hosts = read.filter(isHost);
  if (hosts.length === 0 || !read.some(({ description }) => description.view === 'guest'))
    return { guests: read, left: [] };
  const { length: count } = hosts;
  const ids = hosts.map(({ id }) => id).sort(byBytes);
  const list = { count, hosts: ids.slice(0, LISTED) };
  return {
    guests: read.filter((one) => !isHost(one)),
    left: [
      {
        code: 'hosts-aside',
        severity: 'warning',
        ...list,
        message: `${count === 1 ? 'the description of 1 host' : `the descriptions of ${count} hosts`} among the guests ${count === 1 ? 'is' : 'are'} left aside (${named(list)})`,
      },
    ],
  };
}

/** Documents of a container that describe no CPU; `kinds` names each by its kind. */
export function otherKinds(kinds: readonly string[]): LeftAside[] {
  if (kinds.length === 0) return [];
  const { length: count } = kinds;
  return [
    {
      code: 'other-kinds',
      severity: 'info',
      count,
      hosts: [],
      message: `${count === 1 ? '1 document describes' : `${count} documents describe`} no CPU and ${count === 1 ? 'is' : 'are'} left aside (${kindsText(kinds)})`,
    },
  ];
}

const guestsText = ({ count }: HostList): string =>
  count === 1 ? 'the definition of 1 guest' : `the definitions of ${count} guests`;

const NAMED = 3;

/** The first few, and how many more. */
const named = ({ count, hosts }: HostList): string => {
  const first = hosts.slice(0, NAMED);
  if (first.length === 0) return count === 1 ? '1 guest' : `${count} guests`;
  return `${first.join(', ')}${count > first.length ? ` and ${count - first.length} more` : ''}`;
};

/** Each kind once, in byte order. */
export const kindsText = (kinds: readonly string[]): string => {
  const distinct = [...new Set(kinds)].sort(byBytes);
  return named({ count: distinct.length, hosts: distinct });
};
