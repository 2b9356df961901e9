// A CPU as QEMU starts it: what it refuses then, whatever the host, and what a guest finds under tcg.
import { hasBit, join, meet, minus, type Row, size } from '../../core/rows.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { parseCpuString } from '../cpu-string.ts';
import { QueryError } from '../errors.ts';
import { DEFAULT_PHYS_BITS, MAX_PHYS_BITS } from '../processor-facts.ts';
import { tcgRow } from './accelerators.ts';
import { type Expansion, expandItems, type Surroundings } from './expand.ts';
import { AUTO } from './levels.ts';
import {
  forcedValues,
  maxStartValues,
  type Properties,
  tcgRefuses,
  widerAddresses,
} from './properties.ts';

/** What a guest finds of an expansion on tcg, where the accelerator is all that decides. */
export interface Realized {
  readonly exposed: Row;
  readonly unavailable: Row;
  readonly properties: Properties;
}

/**
 * The meaning of a -cpu argument.
 * @throws QueryError for whatever this QEMU would refuse to start with.
 */
export function expandCpu(catalog: Catalog, cpu: string, where: Surroundings): Expansion {
  try {
    const expansion = expandItems(catalog, parseCpuString(cpu), where);
    checkStart(catalog, expansion);
    return expansion;
  } catch (error) {
    if (!(error instanceof QueryError)) throw error;
    throw new QueryError(cpu === '' ? error.message : `-cpu "${cpu}": ${error.message}`);
  }
}

/** What the guest sees when it starts under tcg. */
export function realizeTcg(catalog: Catalog, expansion: Expansion): Realized {
  const { features, orphaned, properties } = expansion;
  const refused = minus(features, tcgRow(catalog, expansion.qemu));
  const exposed = properties['x-force-features'] === true ? features : minus(features, refused);
  return {
    exposed,
    unavailable: join(orphaned, refused),
    properties: startedProperties(catalog, expansion, exposed),
  };
}

/** Whether the CPU is one with 64 bits; phys-bits is a matter of those alone. */
const hasLongMode = (catalog: Catalog, features: Row): boolean =>
  hasBit(features, catalog.feature('lm').id);

const MIN_PHYS_BITS = 32;

/** What a start would refuse, host or no host. */
function checkStart(catalog: Catalog, expansion: Expansion): void {
  const { properties: p, resolved, accelerator, qemu } = expansion;
  if (expansion.model === 'host')
    throw new QueryError('host needs KVM; it cannot be had under tcg');
  const tcg = accelerator === 'tcg' ? realizeTcg(catalog, expansion) : null;
  const exposed = tcg?.exposed ?? expansion.features;
  if (tcg && p.enforce === true && size(tcg.unavailable) > 0)
    throw new QueryError(
      `enforce asks for all or nothing, and tcg of QEMU ${qemu} has no ${catalog.names(tcg.unavailable).join(', ')}`,
    );
  const refused = tcg && tcgRefuses(catalog, qemu).find((name) => p[name] === true);
  if (refused) throw new QueryError(`${refused} needs KVM in QEMU ${qemu}; leave it out under tcg`);
  const physBits = Number(p['phys-bits']);
  const guestBits =
    p['guest-phys-bits'] === undefined || p['guest-phys-bits'] === AUTO
      ? 0
      : Number(p['guest-phys-bits']);
  if (hasLongMode(catalog, exposed)) {
    if (physBits !== 0 && (physBits < MIN_PHYS_BITS || physBits > MAX_PHYS_BITS))
      throw new QueryError(`phys-bits takes ${MIN_PHYS_BITS} to ${MAX_PHYS_BITS}, not ${physBits}`);
    const most = physBits || DEFAULT_PHYS_BITS;
    if (guestBits !== 0 && (guestBits < MIN_PHYS_BITS || guestBits > most))
      throw new QueryError(
        `guest-phys-bits takes ${MIN_PHYS_BITS} to phys-bits (${most}), not ${guestBits}`,
      );
  } else {
    if (physBits !== 0)
      throw new QueryError('phys-bits needs a 64-bit CPU, and this one has no lm');
    if (guestBits !== 0)
      throw new QueryError('guest-phys-bits needs a 64-bit CPU, and this one has no lm');
  }
  const cache = catalog.qemuModels.get(resolved)!.cache;
  if (p['legacy-cache'] === false && (cache === null || cache === 'legacy'))
    throw new QueryError(
      `legacy-cache=off needs a model with a cache table, and ${expansion.model} has none`,
    );
}

/** What max says it is where no family was given, whatever it says of model and stepping. */
export const filledAtStart = (
  catalog: Catalog,
  { model, properties, qemu }: Expansion,
): Properties => (model === 'max' && properties.family === 0 ? maxStartValues(catalog, qemu) : {});

/**
 * The properties as they read once the CPU has started.
 * @param exposed what is left of the features then
 */
export function startedProperties(
  catalog: Catalog,
  expansion: Expansion,
  exposed: Row,
): Properties {
  const p = { ...expansion.properties, ...forcedValues(expansion.machine) };
  if (!hasLongMode(catalog, exposed))
    p['phys-bits'] =
      size(meet(exposed, catalog.row(widerAddresses(catalog, expansion.qemu)))) > 0
        ? 36
        : MIN_PHYS_BITS;
  else if (p['phys-bits'] === 0) p['phys-bits'] = DEFAULT_PHYS_BITS;
  Object.assign(p, filledAtStart(catalog, expansion));
  if (p['guest-phys-bits'] === AUTO) p['guest-phys-bits'] = 0;
  if (!expansion.named.has('hv-vendor-id')) p['hv-vendor-id'] = 'Microsoft Hv';
  if (p['ucode-rev'] === 0) p['ucode-rev'] = p.vendor === 'AuthenticAMD' ? 0x01000065 : 0x100000000;
  return p;
}
