// OpenStack Nova: what its API says of hypervisors (the CPU of the physical host, in libvirt's words, as JSON within
// JSON), and nova.conf, which is also what is written.
import type { Catalog } from '../cpu/catalog.ts';
import { QueryError } from '../cpu/errors.ts';
import type { Description } from '../cpu/host.ts';
import { askedOfLibvirt } from './asked.ts';
import { wholeNumber } from './described.ts';
import { type Dialect, type Input, orSkip } from './dialect.ts';
import { at, decodeText, objectOf, readDocuments, textOf, textsOf } from './documents.ts';
import { readIni } from './ini.ts';
import { isObject, parseJson } from './json.ts';
import { hostDescription } from './libvirt.ts';
import { quote } from './lines.ts';
import { definitionFor, libvirtSwitches } from './written.ts';

/** What cpu_mode takes. */
const MODES = ['none', 'host-model', 'host-passthrough', 'maximum', 'custom'];

export const nova: Dialect = {
  name: 'nova',
  recognises: (head) =>
    /"cpu_info"\s*:/.test(head) ||
    /^\s*\{\s*"hypervisors?"\s*:/.test(head) ||
    (/^\[libvirt\]\s*$/m.test(head) && /^cpu_(?:mode|models?)\s*=/m.test(head)),
  proves: [
    {
      document: 'cpu_info of a hypervisor',
      view: 'hardware',
      words: 'libvirt',
      unlisted: 'absent',
      leavesOut:
        'registers of which nothing is shown, and words younger than the libvirt that can have written it',
    },
  ],
  async read(input, catalog, skip) {
    if (/^\[libvirt\]\s*$/m.test(decodeText(input))) return readConf(input, catalog);
    const out: Description[] = [];
    for (const { value, line } of await readDocuments(input, skip))
      for (const hypervisor of hypervisorsOf(value))
        out.push(
          ...orSkip(skip, () => describe(catalog, hypervisor, `${input.name}:${line}`, line)),
        );
    return out;
  },
  words: 'libvirt',
  use: 'merge into nova.conf of every compute node, then restart nova-compute; guests change when they are started anew',
  write(cpu, catalog) {
    const definition = definitionFor(cpu, 'libvirt', 'Nova');
    // A bare name is required; every Nova takes that, and a minus since Stein.
    const flags = libvirtSwitches(catalog, definition).map(({ name, on }) =>
      on ? name : `-${name}`,
    );
    return [
      '[libvirt]',
      'virt_type = kvm',
      'cpu_mode = custom',
      `cpu_models = ${definition.name}`,
      ...(flags.length > 0 ? [`cpu_model_extra_flags = ${flags.join(', ')}`] : []),
      '',
    ].join('\n');
  },
  notes: ({ physBits }) =>
    physBits === null
      ? []
      : [
          {
            code: 'beside',
            message: `physical address bits belong to the flavor: openstack flavor set FLAVOR --property hw:maxphysaddr_mode=emulate --property hw:maxphysaddr_bits=${physBits}`,
          },
        ],
};

function hypervisorsOf(value: unknown): readonly unknown[] {
  const list = at(value, 'hypervisors') ?? at(value, 'hypervisor') ?? value;
  return Array.isArray(list) ? list : [list];
}

function describe(catalog: Catalog, hypervisor: unknown, input: string, line: number): Description {
  const name = at(hypervisor, 'hypervisor_hostname') ?? at(hypervisor, 'service', 'host');
  const where = typeof name === 'string' ? `${input}: ${name}` : input;
  const info = at(hypervisor, 'cpu_info');
  if (info === undefined || info === null || info === '')
    throw new QueryError(
      `${where} has no "cpu_info": Nova gives it before microversion 2.88 only, so ask with --os-compute-api-version 2.87, or give virsh domcapabilities of the node`,
    );
  const cpu = objectOf(
    typeof info === 'string' ? parseJson(info, where.split(': ')[0]!, 1) : info,
    where,
    '"cpu_info"',
  );
  const arch = typeof cpu.arch === 'string' ? cpu.arch : 'x86_64';
  const model = textOf(cpu.model, where, '"cpu_info.model"');
  const description = hostDescription(catalog, {
    type: 'host',
    arch,
    mode: 'custom',
    match: 'exact',
    check: null,
    migratable: null,
    model,
    fallback: null,
    vendor: typeof cpu.vendor === 'string' ? cpu.vendor : null,
    vendorId: null,
    features: [...new Set(textsOf(cpu.features, where, '"cpu_info.features"'))].map((feature) => ({
      name: feature,
      policy: null,
    })),
    signature: null,
    microcode: null,
    maxphysaddr: null,
    topology: null,
    line,
  });
  const closed = at(hypervisor, 'status') === 'disabled' || at(hypervisor, 'state') === 'down';
  return {
    ...description,
    dialect: 'nova',
    element: null,
    host: typeof name === 'string' ? name : null,
    limits: {
      physBits: isObject(cpu.maxphysaddr)
        ? wholeNumber(cpu.maxphysaddr.bits, where, '"maxphysaddr.bits"')
        : null,
    },
    keys: closed ? { unschedulable: true } : {},
  };
}

/** The CPU that guests get: the first of several models that a guest's traits allow, so each is one. */
function readConf(input: Input, catalog: Catalog): Description[] {
  const section = readIni(input.name, decodeText(input)).get('libvirt')!;
  const mode = section.get('cpu_mode');
  const models = section.get('cpu_models') ?? section.get('cpu_model');
  const type = section.get('virt_type');
  const accelerator = type?.value === 'qemu' ? 'tcg' : 'kvm';
  const place = (line: number) => ({ dialect: 'nova', line, where: `${input.name}:${line}` });
  // Models are looked at in the mode custom alone, and a mode that is not said is host-model.
  const said = mode?.value || (models ? 'custom' : 'host-model');
  const line = (mode ?? models ?? type)?.line ?? 1;
  if (!MODES.includes(said))
    throw new QueryError(
      `${input.name}:${line}: cpu_mode ${quote(said)} is none of ${MODES.join(', ')}`,
    );
  if (said === 'custom' && !models?.value)
    throw new QueryError(
      `${input.name}:${line}: cpu_mode custom without cpu_models, with which nova-compute does not start; name a model`,
    );
  if (said !== 'custom' || !models) {
    const model = said === 'none' ? null : said;
    return [askedOfLibvirt(catalog, { model, features: [], accelerator }, place(line))];
  }
  const flags = section.get('cpu_model_extra_flags');
  const words = (text: string) => text.split(/[,\s]+/).filter(Boolean);
  return words(models.value).map((model) =>
    askedOfLibvirt(
      catalog,
      {
        model,
        accelerator,
        features: words(flags?.value ?? '').map((flag) => ({
          name: flag.replace(/^[+-]/, '').toLowerCase(),
          policy: flag.startsWith('-') ? 'disable' : 'require',
        })),
      },
      place(models.line),
    ),
  );
}
