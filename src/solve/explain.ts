// plimsoll explain: what an error of virtualization software means, which features it is about, and with hosts at hand
// which of them lack those.
import { hasBit } from '../core/rows.ts';
import type { Catalog, Feature } from '../cpu/catalog/catalog.ts';
import { renamedTo } from '../cpu/catalog/products.ts';
import { didYouMean } from '../cpu/catalog/suggest.ts';
import type { Fleet, HostList } from '../fleet/fleet.ts';
import { inOwnWords } from '../fleet/words.ts';
import { MESSAGES, type Message } from './messages.ts';

/** A feature that a message names, and on which hosts it is missing. */
export interface Concerned {
  /** As the message spells it, and as the catalog calls it; null where it knows none of that name. */
  readonly spelling: string;
  readonly feature: string | null;
  readonly lack?: HostList;
  readonly unknown?: HostList;
}

export interface Explanation {
  readonly code: string;
  /** The part of the text that was recognised. */
  readonly matched: string;
  readonly means: string;
  readonly features: readonly Concerned[];
  readonly remedies: readonly string[];
}

export interface Explained {
  readonly schema: 'plimsoll.explain/1';
  readonly explanations: readonly Explanation[];
}

/** Words between the names of a list. */
const SEPARATORS = /[\s,;]+|\band\b/;

/** What a text of one or more messages means; nothing where none is recognised. */
export function explain(known: Catalog, text: string, hosts?: Fleet): Explained {
  // With hosts of another architecture than x86 at hand the message is about names of theirs.
  const fleet = hosts && inOwnWords(hosts);
  const catalog = fleet && !fleet.catalog.arch.isX86 ? fleet.catalog : known;
  // Terminals and logs break lines anywhere.
  const flat = text.replace(/\s+/g, ' ').trim();
  const explanations: Explanation[] = [];
  for (const message of MESSAGES) {
    const match = foundIn(flat, message.patterns);
    if (!match) continue;
    const names = match.features
      .split(SEPARATORS)
      // A dot at the end is the sentence's.
      .flatMap((name) => /^[\w.+-]*[\w+-]/.exec(name)?.[0] ?? [])
      .filter((name) => !name.startsWith('model_'));
    const bits = match.bit === undefined ? [] : [bitName(match.bit)];
    const spellings = [...new Set([...names, ...bits].filter((name) => name !== ''))];
    const features = spellings.map((spelling) => concerned(catalog, spelling, fleet));
    explanations.push({
      code: message.code,
      matched: match.text.length > 200 ? `${match.text.slice(0, 197)}...` : match.text,
      means: message.means,
      features,
      remedies: [
        ...featureRemedies(catalog, features),
        ...message.remedies,
        ...modelRemedies(catalog, match.model),
      ],
    });
    if (message.last) break;
  }
  return { schema: 'plimsoll.explain/1', explanations };
}

/** A part of a text in which a message was recognised, and what it names. */
interface Match {
  readonly text: string;
  readonly features: string;
  readonly bit: string | undefined;
  readonly model: string | undefined;
}

/** The first place where one of the patterns is found. */
function foundIn(text: string, patterns: Message['patterns']): Match | undefined {
  let found: { readonly start: number; readonly last: RegExpExecArray; end: number } | undefined;
  for (const pattern of patterns) {
    const [one, other] = pattern instanceof RegExp ? [pattern] : pattern;
    const first = one.exec(text);
    if (!first || (found && found.start <= first.index)) continue;
    const behind = first.index + first[0].length;
    const last = other ? other.exec(text.slice(behind)) : first;
    if (!last) continue;
    const end = (other ? behind : 0) + last.index + last[0].length;
    found = { start: first.index, last, end };
  }
  if (!found) return undefined;
  const { start, last, end } = found;
  const { features = '', bit, model } = last.groups ?? {};
  const isList = features !== '' && last[0].endsWith(features);
  const more = isList ? endOfList(text, end) : end;
  return {
    text: text.slice(start, more),
    features: features + text.slice(end, more),
    bit,
    model,
  };
}

/** One more name of a list. */
const NEXT = / ?, ?[\w.+-]+/y;

/** Where a list ends of which one name ends at `at`. One expression for all of it would run out of stack. */
function endOfList(text: string, at: number): number {
  NEXT.lastIndex = at;
  let end = at;
  while (NEXT.test(text)) end = NEXT.lastIndex;
  return end;
}

/** The feature in QEMU's "CPUID.07H:EBX.erms [bit 9]", "CPUID[eax=07h].EBX.erms [bit 9]" or "MSR(10AH).rdctl-no [bit 0]". */
const bitName = (bit: string): string =>
  /(?:[:\]]\.?E[A-D]X|\))\.([\w.-]+) \[/.exec(bit)?.[1] ?? '';

function concerned(catalog: Catalog, spelling: string, fleet: Fleet | undefined): Concerned {
  const now = renamedTo(spelling)?.name ?? spelling;
  const feature = catalog.findLibvirt(now) ?? catalog.find(now);
  if (!feature) return { spelling, feature: null };
  return { spelling, feature: feature.name, ...(fleet ? onHosts(fleet, feature) : {}) };
}

function onHosts(fleet: Fleet, { id }: Feature): { lack: HostList; unknown: HostList } {
  const isKnown = (i: number) => hasBit(fleet.known(i), id);
  const where = (keep: (i: number) => boolean) => fleet.list(fleet.membersOf(keep));
  return {
    lack: where((i) => isKnown(i) && !hasBit(fleet.has(i), id)),
    unknown: where((i) => !isKnown(i)),
  };
}

/** Advice that depends on the kind of feature, once for each kind. */
const KINDS: readonly { readonly test: RegExp; readonly remedy: string }[] = [
  {
    test: /^(?:vmx|svm)$|^vmx-|^(?:npt|nrip-save|vgif|vnmi|lbrv|pause-filter|tsc-scale|decodeassists|flushbyasid|vmcb-clean|svme-addr-chk)$/,
    remedy:
      'these are for guests that run guests: they depend on the kernel and on nested=1 of kvm_intel or kvm_amd, and new software lists more of them; leave them out of guests that need none (vmx or svm off), or draw the line with --nested',
  },
  {
    test: /^(?:hle|rtm|taa-no|tsx-ctrl)$/,
    remedy:
      'TSX goes away with microcode, BIOS or the kernel option tsx=off: take a model without it (-noTSX, or hle and rtm off), for processors of one kind differ in it',
  },
  {
    test: /^mpx$/,
    remedy: 'MPX was taken out of QEMU models and of kernels: switch mpx off in the definition',
  },
  {
    test: /^(?:erms|fsrm)$/,
    remedy:
      'erms and fsrm are a switch in the BIOS of EPYC servers, so two of the same kind may differ: switch it on there, or off in the definition',
  },
  {
    test: /^(?:ht|pdcm|acpi|ss|monitor|waitpkg)$/,
    remedy:
      'it comes and goes with versions of QEMU and libvirt, not with the processor: write it out, on or off, in the definition (plimsoll pin shows what a version adds)',
  },
  {
    test: /^(?:spec-ctrl|stibp|ssbd|md-clear|ibrs|ibpb|amd-ssbd|amd-stibp|virt-ssbd|arch-capabilities|.*-no|.*-clear|skip-l1dfl-vmentry)$/,
    remedy:
      'it belongs to the mitigations: microcode and kernel of the host decide, so bring the hosts to one level before taking it from guests, who lose protection without it',
  },
  {
    test: /^invtsc$/,
    remedy:
      'an invariant TSC keeps a guest where it is, unless its tsc-frequency is written out too: switch invtsc off, or pin the frequency',
  },
  {
    test: /^(?:pku|ospke|avx512.*|amx.*|xsave.*|xgetbv1|xfd)$/,
    remedy:
      'it is part of the XSAVE state, whose layout must be the same on both sides: it differs between Intel and AMD',
  },
];

function featureRemedies(catalog: Catalog, features: readonly Concerned[]): string[] {
  const named = features.flatMap((f) => f.feature ?? []);
  const remedies = KINDS.filter(({ test }) => named.some((name) => test.test(name))).map(
    ({ remedy }) => remedy,
  );
  for (const { spelling, feature } of features) {
    const renamed = renamedTo(spelling);
    if (renamed) remedies.push(`"${spelling}" is called ${renamed.name} today: ${renamed.why}`);
    else if (feature === null)
      remedies.push(
        `"${spelling}" is no feature that the catalog knows${didYouMean(
          spelling,
          catalog.features.map((f) => f.name),
        )}`,
      );
  }
  for (const { feature, lack } of features)
    if (lack && lack.count > 0)
      remedies.push(
        `${feature} is missing on ${lack.hosts.slice(0, 3).join(', ')}${lack.count > 3 ? ` and ${lack.count - 3} more` : ''}: keep guests that have it off ${lack.count === 1 ? 'that host' : 'these hosts'}, or leave it out of the definition`,
      );
  return remedies;
}

function modelRemedies(catalog: Catalog, model: string | undefined): string[] {
  if (model === undefined) return [];
  const name = model.replace(/-x86_64-cpu$/, '');
  const known = [...catalog.qemuModels.keys(), ...catalog.libvirtModels.keys()];
  if (!known.includes(name))
    return [`"${name}" is no model of the catalog${didYouMean(name, known)}`];
  const { since, until } = catalog.qemuModels.get(name) ?? { since: null, until: null };
  const libvirt = catalog.libvirtModels.get(name)?.since;
  return [
    `${name}: QEMU ${since === null ? 'has no such model' : `has it since ${since}${until === null ? '' : `, until ${until}`}`}, libvirt ${libvirt === undefined ? 'has no such model' : `since ${libvirt}`} (of the versions known)`,
  ];
}
