// A <cpu> element as libvirt prints it: the same order of children and attributes, so that answers can be compared.
import { archRecord } from '../cpu/arch/index.ts';
import type { Definition } from '../cpu/definition.ts';
import { type LibvirtCpu, UNSAID } from '../cpu/libvirt.ts';

/** One element, ending in a newline. */
export function writeLibvirtCpu(cpu: LibvirtCpu): string {
  const isHost = cpu.type === 'host';
  const open = isHost ? '<cpu' : `<cpu${guestAttributes(cpu)}`;
  const lines = [...(isHost ? hostLines(cpu) : guestLines(cpu)), ...commonLines(cpu)];
  return lines.length === 0
    ? `${open}/>\n`
    : `${open}>\n${lines.map((l) => `  ${l}\n`).join('')}</cpu>\n`;
}

/** The definition of a guest of another architecture than x86, on one line where it is short. */
export function writeLibvirtOfArch(arch: string, definition: Definition): string {
  const cpu = archRecord(arch).toLibvirt(definition);
  return writeLibvirtCpu({ ...UNSAID, ...cpu });
}

function guestAttributes({ mode, match, check, migratable, model }: LibvirtCpu): string {
  // Without a model a custom CPU asks for nothing, and is not called so.
  const isCustom = mode === 'custom';
  return [
    attribute('mode', isCustom && model === null ? null : mode),
    attribute('match', isCustom && model !== null ? match : null),
    attribute('check', check),
    attribute('migratable', migratable === null ? null : migratable ? 'on' : 'off'),
  ].join('');
}

function hostLines(cpu: LibvirtCpu): string[] {
  const { arch, model, vendor, microcode, signature } = cpu;
  return [
    ...(arch === null ? [] : [`<arch>${escaped(arch)}</arch>`]),
    ...(model === null ? [] : [`<model>${escaped(model)}</model>`]),
    ...(vendor === null ? [] : [`<vendor>${escaped(vendor)}</vendor>`]),
    ...(microcode === null ? [] : [`<microcode${attribute('version', microcode)}/>`]),
    ...(signature === null
      ? []
      : [
          `<signature${attribute('family', signature.family)}${attribute('model', signature.model)}${attribute('stepping', signature.stepping)}/>`,
        ]),
  ];
}

function guestLines({ mode, model, fallback, vendor, vendorId }: LibvirtCpu): string[] {
  // What a guest that passes its host through is called besides means nothing to libvirt.
  if (mode === 'host-passthrough' || mode === 'maximum') return [];
  return [
    ...(model === null
      ? []
      : [
          `<model${attribute('fallback', fallback ?? 'allow')}${attribute('vendor_id', vendorId)}>${escaped(model)}</model>`,
        ]),
    ...(vendor === null ? [] : [`<vendor>${escaped(vendor)}</vendor>`]),
  ];
}

function commonLines({ type, topology, maxphysaddr, features }: LibvirtCpu): string[] {
  return [
    ...(topology
      ? [
          `<topology${Object.entries(topology)
            .map(([name, n]) => attribute(name, n))
            .join('')}/>`,
        ]
      : []),
    ...(maxphysaddr === null
      ? []
      : [
          `<maxphysaddr${attribute('mode', maxphysaddr.mode)}${attribute('bits', maxphysaddr.bits)}${attribute('limit', maxphysaddr.limit)}/>`,
        ]),
    ...features.map(
      (f) =>
        `<feature${type === 'host' ? '' : attribute('policy', f.policy ?? 'require')}${attribute('name', f.name)}/>`,
    ),
  ];
}

const attribute = (name: string, value: string | number | null): string =>
  value === null ? '' : ` ${name}='${escaped(String(value))}'`;

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  "'": '&apos;',
  '"': '&quot;',
};
const escaped = (text: string): string => text.replace(/[&<>'"]/g, (c) => ENTITIES[c]!);
