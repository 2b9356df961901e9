// The safe rules and libvirt's beside each other: for every difference in the answers, which rule makes it, about
// which features, because of which hosts, and why the safe rules decide so.
import { hasBit } from '../../core/rows.ts';
import type { Catalog, Feature } from '../../cpu/catalog/catalog.ts';
import type { Definition } from '../../cpu/definition.ts';
import type { HostList } from '../../fleet/fleet.ts';
import type { Baseline } from '../answer.ts';
import type { LibvirtAnswer } from './libvirt-answer.ts';

/** One rule on which the two decide differently. */
export interface Step extends Partial<HostList> {
  readonly rule: string;
  readonly safe: string;
  readonly libvirt: string;
  /** Why the safe rules decide so. */
  readonly why: string;
  readonly features: readonly string[];
}

export interface ExplainedRules {
  readonly schema: 'plimsoll.explain-rules/1';
  readonly stacks: { readonly safe: readonly string[]; readonly libvirt: string };
  readonly safe: { readonly definition: Definition | null; readonly features: number };
  readonly libvirt: {
    readonly definition: Definition | null;
    readonly features: number;
    readonly refused: string | null;
  };
  readonly steps: readonly Step[];
}

/** What libvirt's rules gave, and what each model would have cost by them. */
export interface LibvirtOutcome {
  readonly stack: string;
  readonly answer: LibvirtAnswer | null;
  readonly refused: string | null;
  readonly names: readonly string[];
  readonly costs: ReadonlyMap<string, number>;
}

interface Reason {
  readonly rule: string;
  readonly safe: string;
  readonly libvirt: string;
  readonly why: string;
}

export function explainRules(
  catalog: Catalog,
  safe: Baseline,
  libvirt: LibvirtOutcome,
): ExplainedRules {
  const definition = safe.definitions.libvirt ?? null;
  const own = libvirt.answer?.definitions.libvirt ?? null;
  return {
    schema: 'plimsoll.explain-rules/1',
    stacks: { safe: safe.stack, libvirt: libvirt.stack },
    safe: { definition, features: safe.features.length },
    libvirt: {
      definition: own,
      features: libvirt.answer?.features.length ?? 0,
      refused: libvirt.refused,
    },
    steps: [
      ...refusals(safe, libvirt),
      ...(definition && own && definition.name !== own.name
        ? [modelStep(catalog, safe.stack, definition, own, libvirt)]
        : []),
      ...(libvirt.answer && safe.features.length > 0
        ? featureSteps(catalog, safe, libvirt.answer)
        : []),
      ...numbers(safe, libvirt),
    ],
  };
}

function refusals(safe: Baseline, { refused }: LibvirtOutcome): Step[] {
  const steps: Step[] = [];
  if (refused !== null)
    steps.push({
      rule: 'refusal',
      safe:
        safe.features.length > 0
          ? 'there is an answer'
          : 'there is no answer, and what each side could have',
      libvirt: `refuses: ${refused}`,
      why: 'a description that one libvirt cannot take says something all the same, and findings name what it leaves open',
      features: [],
    });
  if (safe.sides)
    steps.push({
      rule: 'split',
      safe: `no CPU is common to hosts that differ in ${safe.sides[0]!.because}`,
      libvirt: refused === null ? 'mixes them' : 'refuses too',
      why: 'a guest cannot move between them, whatever features both sides list',
      features: [],
      count: safe.hosts,
      hosts: safe.sides.flatMap((side) => side.hosts).slice(0, 20),
    });
  return steps;
}

function modelStep(
  catalog: Catalog,
  stack: readonly string[],
  safe: Definition,
  own: Definition,
  { names, costs }: LibvirtOutcome,
): Step {
  const stranger = stack
    .filter((name) => name.startsWith('libvirt@'))
    .find((name) => catalog.libvirtFeatures(own.name, name.slice('libvirt@'.length)) === null);
  if (stranger !== undefined)
    return {
      rule: 'model',
      safe: `${safe.name}, which all software of the stack knows`,
      libvirt: `${own.name}, which it knows itself; ${stranger} does not`,
      why: `the answer is for ${stack.join(' and ')}; where these are newer, --stack says so`,
      features: [],
    };
  const price = (name: string) =>
    costs.has(name) ? `${name} (cost ${costs.get(name)})` : `${name} (not among its candidates)`;
  const isOnly = names.length === 1 && names[0] === own.name;
  return {
    rule: 'model',
    safe: `${safe.name}, the name that needs the fewest words: ${safe.require.length} on, ${safe.disable.length} off`,
    libvirt: isOnly
      ? `${own.name}, because every host is called so: kept at any price, here ${own.disable.length} off`
      : `${price(own.name)} against ${price(safe.name)}; it charges only half of what is switched off`,
    why: 'what a name means differs between versions, and every feature that is switched off is one that guests of an honest name would have',
    features: [],
  };
}

function featureSteps(catalog: Catalog, safe: Baseline, libvirt: LibvirtAnswer): Step[] {
  const [ours, theirs] = [new Set(safe.features), new Set(libvirt.features)];
  const told = new Map(
    [
      ...safe.unknown,
      ...safe.lost.map((l) => ({ feature: l.feature, count: l.lack, hosts: l.hosts })),
    ].map((u) => [u.feature, u]),
  );
  const steps = new Map<string, Step & { features: string[] }>();
  const add = (name: string, reason: Reason) => {
    const hosts = told.get(name);
    const key = `${reason.rule} ${hosts?.count} ${hosts?.hosts.join(' ')}`;
    const step = steps.get(key) ?? {
      ...reason,
      features: [],
      ...(hosts ? { count: hosts.count, hosts: hosts.hosts } : {}),
    };
    step.features.push(name);
    steps.set(key, step);
  };
  const archCapabilities = catalog.feature('arch-capabilities').id;
  const unknown = new Set(safe.unknown.map((u) => u.feature));
  for (const name of theirs)
    if (!ours.has(name))
      add(
        name,
        whyLeftOut(catalog.findQemu(name), archCapabilities, unknown.has(name), told.has(name)),
      );
  for (const name of ours)
    if (!theirs.has(name)) add(name, whyAdded(catalog, catalog.findQemu(name)));
  return [...steps.values()];
}

function whyLeftOut(
  feature: Feature | undefined,
  archCapabilities: number,
  isUnknown: boolean,
  isTold: boolean,
): Reason {
  const out = { safe: 'left out', libvirt: 'asked of every host' };
  if (!feature) return { ...out, rule: 'unknown name', why: 'the catalog does not know it' };
  if (feature.merge === 'never') return { ...out, rule: 'not a capability', why: feature.why };
  if (feature.merge === 'equal') return { ...out, rule: 'equal', why: feature.why };
  if (!feature.migratable)
    return { ...out, rule: 'migration', why: 'QEMU lets no guest that has it migrate' };
  if (/^(vmx|svm)(-|$)/.test(feature.name) || (feature.needs.length > 0 && feature.hostConditional))
    return {
      ...out,
      rule: 'nested',
      why: 'nested virtualization is asked for with --nested; a guest that has it is harder to move',
    };
  if (feature.needs.flat().some((id) => id === archCapabilities) || feature.id === archCapabilities)
    return {
      ...out,
      rule: 'arch-capabilities',
      why: 'KVM makes them up on AMD, newer QEMU takes them away from AMD guests again, and elsewhere only a hypervisor tells',
    };
  if (isUnknown)
    return {
      ...out,
      rule: 'offer',
      why: 'the descriptions list it, but they speak of processors: that a guest can have it only a hypervisor tells',
    };
  if (isTold)
    return { ...out, rule: 'host', why: 'these hosts are known not to give it to guests' };
  return {
    ...out,
    rule: 'expression',
    why: 'KVM gives it to no guest there, some software of the stack has no name for it, or it would be cleared in silence for want of what it depends on',
  };
}

function whyAdded(catalog: Catalog, feature: Feature | undefined): Reason {
  const in_ = { safe: 'given', libvirt: 'left out' };
  if (!feature)
    return {
      ...in_,
      rule: 'unknown name',
      why: 'every host lists it, and libvirt has no name for it',
    };
  if (hasBit(catalog.accelerators.kvm.on, feature.id) || feature.name === 'hypervisor')
    return {
      ...in_,
      rule: 'accelerator',
      why: 'KVM gives it to every guest, whatever the processor shows',
    };
  if (feature.merge === 'any') return { ...in_, rule: 'any', why: feature.why };
  if (!feature.libvirt) return { ...in_, rule: 'expression', why: 'libvirt has no name for it' };
  return {
    ...in_,
    rule: 'expansion',
    why: 'KVM gives it although no description lists it, or the model of the safe answer has it in every libvirt and QEMU of the stack',
  };
}

function numbers(safe: Baseline, { answer }: LibvirtOutcome): Step[] {
  const steps: Step[] = [];
  if (answer && safe.limits.physBits !== null)
    steps.push({
      rule: 'address bits',
      safe: `${safe.limits.physBits} physical address bits, which every host has`,
      libvirt: 'says nothing of them',
      why: 'a guest that sees more address bits than a host has stops there',
      features: [],
    });
  if (answer && answer.vendor === null && safe.vendor !== null)
    steps.push({
      rule: 'vendor',
      safe: safe.vendor,
      libvirt: 'no vendor, because one description has none',
      why: 'the models tell the vendor of a host whose description does not',
      features: [],
    });
  return steps;
}
