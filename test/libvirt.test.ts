import { existsSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { hasBit, join, meet, minus, rowOf } from '../src/core/rows.ts';
import { loadCatalog } from '../src/cpu/catalog.ts';
import type { GuestCpu } from '../src/cpu/definition.ts';
import { QueryError } from '../src/cpu/errors.ts';
import type { Description } from '../src/cpu/host.ts';
import { closeDependencies } from '../src/cpu/qemu.ts';
import { expandCpu } from '../src/cpu/start.ts';
import { recogniseDialect } from '../src/dialects/index.ts';
import { libvirt } from '../src/dialects/libvirt.ts';
import { readLibvirtCpus } from '../src/dialects/libvirt-element.ts';
import { writeLibvirtCpu } from '../src/dialects/libvirt-write.ts';
import { SHARED, sayMissing } from './support/places.ts';
import { assertProperty } from './support/property.ts';

const test = suite('libvirt');
const catalog = await loadCatalog();
const named = (name: string) => catalog.feature(name).id;

const input = (text: string) => ({ name: 'f.xml', bytes: new TextEncoder().encode(text) });
const readAll = async (text: string): Promise<Description[]> => libvirt.read!(input(text), catalog);
const read = async (text: string): Promise<Description> => {
  const found = await readAll(text);
  assert.is(found.length, 1);
  return found[0]!;
};

async function refusal(work: () => Promise<unknown>): Promise<string> {
  try {
    await work();
  } catch (error) {
    if (error instanceof QueryError) return error.message;
    throw error;
  }
  return 'was taken';
}

/** yes, no or unknown. */
const says = (d: Description, feature: string): string =>
  !hasBit(d.known, named(feature)) ? 'unknown' : hasBit(d.has, named(feature)) ? 'yes' : 'no';

const codes = (d: Description): string[] => d.notes.map((n) => n.code);

const CAPABILITIES = `<capabilities>
  <host>
    <uuid>0e0c4a82-457e-b0e8-2345-be0b08f60000</uuid>
    <cpu>
      <arch>x86_64</arch>
      <model>Skylake-Server</model>
      <vendor>Intel</vendor>
      <microcode version='83898371'/>
      <signature family='6' model='85' stepping='4'/>
      <counter name='tsc' frequency='2392225000' scaling='no'/>
      <topology sockets='1' dies='1' cores='4' threads='1'/>
      <maxphysaddr mode='emulate' bits='46'/>
      <feature name='ssbd'/>
      <feature name='mbm_local'/>
      <pages unit='KiB' size='4'/>
    </cpu>
    <topology><cells num='1'><cell id='0'><cpus num='2'>
      <cpu id='0' socket_id='0' core_id='0' siblings='0'/><cpu id='1' socket_id='0' core_id='1' siblings='1'/>
    </cpus></cell></cells></topology>
  </host>
  <guest><os_type>hvm</os_type><arch name='x86_64'>
    <machine maxCpus='255'>pc-i440fx-7.2</machine><machine canonical='pc-q35-7.2' maxCpus='288'>q35</machine>
    <domain type='qemu'/></arch></guest>
</capabilities>`;

const domainCapabilities = (mode: string, models: string, domain = 'kvm') => `<domainCapabilities>
  <path>/usr/bin/qemu-system-x86_64</path><domain>${domain}</domain>
  <machine>pc-q35-8.2</machine><arch>x86_64</arch>
  <cpu>
    <mode name='host-passthrough' supported='yes'/>
    ${mode}
    <mode name='custom' supported='yes'>${models}</mode>
  </cpu>
</domainCapabilities>`;

const hostModel = (model: string, features: string) =>
  `<mode name='host-model' supported='yes'><model fallback='forbid'>${model}</model><vendor>Intel</vendor>
   <maxphysaddr mode='passthrough' limit='46'/>${features}</mode>`;

test('host capabilities are the hardware, relative to a model', async () => {
  const d = await read(CAPABILITIES);
  const { view, host, arch, vendor, limits, signature, microcode, qemu, machine, line } = d;
  assert.equal(
    { view, host, arch, vendor, limits, signature, microcode, qemu, machine, line },
    {
      view: 'hardware',
      host: null,
      arch: 'x86_64',
      vendor: 'Intel',
      limits: { physBits: 46 },
      signature: { family: 6, model: 85, stepping: 4 },
      microcode: '0x5003003',
      qemu: '7.2',
      machine: null,
      line: 4,
    },
  );
  assert.equal(
    ['avx512f', 'ssbd', 'svm', 'umip'].map((f) => says(d, f)),
    ['yes', 'yes', 'no', 'no'],
  );
});

test('a register of which host capabilities show nothing may not have been read', async () => {
  const without = await read(CAPABILITIES);
  assert.equal([says(without, 'mds-no'), says(without, 'rdctl-no')], ['unknown', 'unknown']);
  const one = await read(CAPABILITIES.replace("'ssbd'/>", "'ssbd'/><feature name='rdctl-no'/>"));
  assert.equal([says(one, 'mds-no'), says(one, 'rdctl-no')], ['no', 'yes']);
});

test('a bit on which libvirts differ is unknown unless it is written', async () => {
  assert.is(says(await read(CAPABILITIES), 'mpx'), 'unknown');
  const cpu = (features: string) =>
    `<cpu match='exact'><model>Skylake-Server</model>${features}</cpu>`;
  // A guest is what the QEMU that starts it makes of it, and libvirt switches off what it took from the model.
  assert.is(says(await read(cpu('')), 'mpx'), 'no');
  assert.is(says(await read(cpu("<feature policy='disable' name='mpx'/>")), 'mpx'), 'no');
  assert.is(says(await read(cpu("<feature policy='require' name='mpx'/>")), 'mpx'), 'yes');
  // A newer libvirt calls hosts by versioned names, and their models have no mpx.
  assert.is(
    says(await read(CAPABILITIES.replace('>Skylake-Server<', '>Skylake-Server-v1<')), 'mpx'),
    'no',
  );
  // A newer libvirt would have written mpx here, one way or the other.
  assert.is(
    says(await read(domainCapabilities(hostModel('Skylake-Server', ''), '')), 'mpx'),
    'yes',
  );
});

test('what the libvirt that wrote it has no name for is unknown, not absent', async () => {
  const old = "<model usable='yes' vendor='Intel'>Skylake-Server</model>";
  const recent =
    "<model usable='yes' canonical='Skylake-Server-v1'>Skylake-Server</model><model usable='yes'>Skylake-Server-v1</model>";
  const on = (name: string) => `<feature policy='require' name='${name}'/>`;
  const gates = `<feature policy='disable' name='mpx'/>${on('vmx')}${on('arch-capabilities')}`;
  const told = async (features: string, models: string) => {
    const d = await read(domainCapabilities(hostModel('Skylake-Server', features), models));
    return ['fb-clear', 'vmx-ept', 'its-no', 'gfni'].map((f) => says(d, f));
  };
  assert.equal(await told(gates, old), ['unknown', 'unknown', 'unknown', 'no']);
  assert.equal(await told(gates, recent), ['no', 'no', 'unknown', 'no']);
  assert.equal(await told(gates + on('its-no'), old), ['no', 'no', 'yes', 'no']);
  // What QEMU knows to hang on a feature that is off is off, whoever has a name for it.
  const shut = await told("<feature policy='disable' name='mpx'/>", old);
  assert.equal(shut, ['no', 'no', 'unknown', 'no']);
});

test('what a guest leaves out is not asked for, and what QEMU adds to its model is', async () => {
  const cpu = (features: string) =>
    read(`<cpu match='exact'><model>Skylake-Server</model>${features}</cpu>`);
  const plain = await cpu('');
  assert.equal(
    ['fb-clear', 'its-no', 'vmx-ept', 'vmx-mbec', 'x2apic', 'kvmclock'].map((f) => says(plain, f)),
    ['no', 'no', 'no', 'no', 'yes', 'yes'],
  );
  const nested = await cpu("<feature policy='require' name='vmx'/>");
  assert.equal(
    ['vmx-ept', 'vmx-mbec'].map((f) => says(nested, f)),
    ['yes', 'no'],
  );
});

test('domain capabilities are what the hypervisor offers, with its models', async () => {
  const d = await read(
    domainCapabilities(
      hostModel(
        'Broadwell-IBRS',
        "<feature policy='require' name='pclmuldq'/><feature policy='disable' name='rtm'/>",
      ),
      `<model usable='yes' vendor='unknown' canonical='qemu64-v1'>qemu64</model>
       <model usable='no' deprecated='yes' vendor='AMD'>phenom</model>
       <blockers model='phenom'><feature name='3dnow'/><feature name='lahf_lm'/><feature name='from-the-future'/></blockers>
       <model usable='no'>Opteron_G2</model><model usable='unknown'>486</model><model>fake</model>`,
    ),
  );
  const { view, arch, vendor, limits, machine, qemu, model } = d;
  assert.equal(
    { view, arch, vendor, limits, machine, qemu, model },
    {
      view: 'hypervisor',
      arch: 'x86_64',
      vendor: 'Intel',
      limits: { physBits: 46 },
      machine: 'pc-q35-8.2',
      qemu: null,
      model: { name: 'Broadwell-IBRS', known: true },
    },
  );
  assert.equal(
    [...d.models!],
    [
      ['qemu64', []],
      ['phenom', ['3dnow', 'lahf-lm', 'from-the-future']],
      // A no, or no word, that names no feature leaves it to the features.
      ['Opteron_G2', ['hypervisor', 'vme']],
      ['486', ['hypervisor', 'vme']],
    ],
  );
  assert.equal(
    ['pclmulqdq', 'rtm', 'hle', 'svm', 'kvm-pv-eoi'].map((f) => says(d, f)),
    ['yes', 'no', 'yes', 'no', 'unknown'],
  );
  assert.equal(codes(d), []);
});

test('a libvirt that writes no blockers has those that its QEMU must have found', async () => {
  const off = [
    'arch-capabilities',
    'ibrs-all',
    'mds-no',
    'rdctl-no',
    'skip-l1dfl-vmentry',
    'avx512f',
  ]
    .map((name) => `<feature policy='disable' name='${name}'/>`)
    .join('');
  const list = `<model usable='no'>Cascadelake-Server-noTSX</model><model usable='no'>Haswell-noTSX</model>
    <model usable='no'>no-such-model</model><model usable='yes'>Penryn</model>`;
  const mode = hostModel(
    'Cascadelake-Server-noTSX',
    `<feature policy='require' name='hypervisor'/>${off}`,
  );
  const d = await read(domainCapabilities(mode, list));
  const blockers = d.models!.get('Cascadelake-Server-noTSX')!;
  // What needs arch-capabilities goes off with it.
  assert.equal(
    blockers.filter((name) => !['mpx', 'xsaves', 'pku'].includes(name)),
    ['arch-capabilities', 'avx512f'],
  );
  assert.ok(blockers.every((name) => says(d, name) !== 'yes'));
  assert.equal(
    ['Haswell-noTSX', 'no-such-model', 'Penryn'].map((name) => d.models!.get(name)),
    // A no that names no feature, where none lacks either, is no verdict.
    [[], null, []],
  );
});

test('domain capabilities of emulation say so, and have nothing of KVM', async () => {
  const d = await read(
    domainCapabilities(hostModel('Westmere', ''), "<model usable='yes'>qemu64</model>", 'qemu'),
  );
  assert.equal([codes(d), says(d, 'kvm-pv-eoi')], [['emulated'], 'no']);
});

test('domain capabilities without a host-model, or without usability, say what is not known', async () => {
  const d = await read(
    domainCapabilities(
      "<mode name='host-model' supported='no'/>",
      "<model usable='unknown'>qemu64</model>",
    ),
  );
  assert.equal(
    [codes(d), d.models, says(d, 'sse2')],
    [['no-host-model', 'usability-unknown'], null, 'unknown'],
  );
  const e = await read(
    domainCapabilities(
      hostModel('Westmere', '').replace('forbid', 'allow'),
      "<model usable='yes'>qemu64</model>",
    ),
  );
  assert.equal(codes(e), ['approximate-model']);
});

test('a domain is a guest by its name; policies and the match decide what is known', async () => {
  const domain = (cpu: string) =>
    `<domain type='kvm' id='3'><name>web-1</name><os><type arch='x86_64' machine='pc-q35-8.2'>hvm</type></os>
     <metadata><cpu><model>Penryn</model></cpu></metadata>${cpu}</domain>`;
  const milan = (features: string) =>
    read(
      domain(`<cpu mode='custom' match='exact' check='partial'><model fallback='forbid'>EPYC-Milan</model><vendor>AMD</vendor>
      <maxphysaddr mode='emulate' bits='42'/>
      <feature policy='require' name='x2apic'/><feature policy='force' name='umip'/><feature policy='optional' name='la57'/>
      <feature policy='disable' name='svm'/><feature policy='forbid' name='avx2'/>${features}</cpu>`),
    );
  const d = await milan('');
  assert.equal(
    [d.host, d.view, d.machine, d.limits.physBits, d.vendor],
    ['web-1', 'guest', 'pc-q35-8.2', 42, 'AMD'],
  );
  assert.equal(
    ['x2apic', 'umip', 'la57', 'svm', 'avx2', 'avx', 'avx512f'].map((f) => says(d, f)),
    ['yes', 'yes', 'unknown', 'no', 'no', 'yes', 'no'],
  );
  assert.equal(codes(d), []);
  // What libvirt refuses is read as far as it is written.
  const refused = await milan(
    "<feature policy='require' name='novel'/><feature policy='disable' name='novel2'/><feature policy='optional' name='novel3'/>",
  );
  assert.equal(
    [refused.unnamed, refused.unnamedUnknown, codes(refused)],
    [['novel'], ['novel3'], ['refused']],
  );
  for (const mode of ['host-model', 'host-passthrough', 'maximum']) {
    const open = await read(
      domain(`<cpu mode='${mode}'><feature policy='disable' name='vmx'/></cpu>`),
    );
    assert.equal([codes(open), says(open, 'sse2')], [['host-cpu'], 'unknown']);
  }
  const minimum = await read(domain("<cpu match='minimum'><model>Penryn</model></cpu>"));
  assert.equal([codes(minimum), says(minimum, 'avx2')], [['host-cpu'], 'unknown']);
  // Without a model it is QEMU's own.
  for (const cpu of ['', '<cpu/>', "<cpu><topology sockets='1' cores='2' threads='1'/></cpu>"]) {
    const open = await read(domain(cpu));
    assert.equal(
      [codes(open), open.host, open.model!.name, says(open, 'sse2')],
      [[], 'web-1', 'qemu64', 'yes'],
    );
  }
});

test('a model that the catalog does not know leaves unknown what is not written', async () => {
  const d = await read(
    "<cpu><arch>x86_64</arch><model>Lake-of-2031</model><vendor>Intel</vendor><feature name='avx2'/></cpu>",
  );
  assert.equal(
    [codes(d), d.model, says(d, 'avx2'), says(d, 'sse2')],
    [['unknown-model'], { name: 'Lake-of-2031', known: false }, 'yes', 'unknown'],
  );
  assert.match(d.notes[0]!.message, /relative to Lake-of-2031, .*plimsoll learn .* settles/);
});

test('names of another architecture are no x86 features', async () => {
  const d = await read(
    "<cpu><arch>aarch64</arch><model>cortex-a57</model><feature name='aes'/></cpu>",
  );
  assert.equal([codes(d), d.arch, d.unnamed, says(d, 'aes')], [[], 'aarch64', ['aes'], 'unknown']);
});

test('descriptions are found wherever they are, and copies beside them are not', async () => {
  const cpu = '<cpu><arch>x86_64</arch><model>Penryn</model></cpu>';
  const domain = (name: string) =>
    `<domain><name>${name}</name><os/><cpu><model>Westmere</model></cpu></domain>`;
  const found = await readAll(
    `<fleet><a><b>${cpu}</b></a>${cpu}</fleet>\n<domainsnapshot>${domain('s')}<inactiveDomain><os/><cpu><model>Penryn</model></cpu></inactiveDomain>
     <cookie>${cpu}</cookie></domainsnapshot><?xml version='1.0'?><domstatus><cpu><model>Penryn</model></cpu>${domain('t')}</domstatus>
     <network><domain name='example.org'/></network>`,
  );
  assert.equal(
    found.map((d) => [d.host, d.view, d.model!.name, d.line]),
    [
      [null, 'hardware', 'Penryn', 1],
      [null, 'hardware', 'Penryn', 1],
      ['s', 'guest', 'Westmere', 2],
      ['t', 'guest', 'Westmere', 3],
    ],
  );
});

test('dumps of CPUID words are hardware', async () => {
  const d = await read(`<!-- a comment --><cpudata arch='x86'>
    <cpuid eax_in='0x00000000' ecx_in='0x00' eax='0x0000000d' ebx='0x756e6547' ecx='0x6c65746e' edx='0x49656e69'/>
    <cpuid eax_in='0x00000001' ecx_in='0x00' eax='0x00040651' ebx='0x02100800' ecx='0x7ffafbff' edx='0xbfebfbff'/>
    <cpuid eax_in='0x00000007' ecx_in='0x00' eax='0x00000000' ebx='0x000027ab' ecx='0x00000000' edx='0x00000000'/>
    <cpuid eax_in='0x80000000' ecx_in='0x00' eax='0x80000008' ebx='0x00000000' ecx='0x00000000' edx='0x00000000'/>
    <cpuid eax_in='0x80000008' ecx_in='0x00' eax='0x00003027' ebx='0x00000000' ecx='0x00000000' edx='0x00000000'/>
    <msr index='0x10a' eax='0x00000001' edx='0x00000000'/></cpudata>`);
  assert.equal(
    [d.view, d.vendor, d.signature, d.limits.physBits],
    ['hardware', 'Intel', { family: 6, model: 69, stepping: 1 }, 39],
  );
  assert.equal(
    ['avx2', 'avx512f', 'rdctl-no', 'mds-no', 'amx-tile'].map((f) => says(d, f)),
    ['yes', 'no', 'yes', 'no', 'no'],
  );
});

test('what libvirt refuses to parse is refused, with file, line and a sentence', async () => {
  const host = (inner: string) => `<cpu>\n<arch>x86_64</arch>${inner}</cpu>`;
  const guest = (inner: string, attributes = '') => `<cpu${attributes}>${inner}</cpu>`;
  const model = '<model>Penryn</model>';
  const table: [string, RegExp][] = [
    [
      guest(`${model}\n<feature name='vmx'/>\n<feature name='vmx'/>`),
      /^f\.xml:3: feature "vmx" is listed twice, first on line 2/,
    ],
    [guest('<vendor>Intel</vendor>'), /^f\.xml:1: <vendor>Intel<\/vendor> without a <model>/],
    [guest("<feature name='vmx'/>"), /^f\.xml:1: features without the <model>/],
    [guest(`${model}<feature policy='require'/>`), /a <feature> without a name/],
    [guest(`${model}<feature name=''/>`), /a <feature> without a name/],
    [
      guest(`${model}<feature policy='want' name='vmx'/>`),
      /policy "want" of <feature> is none of force, require/,
    ],
    [guest(model, " mode='best'"), /mode "best" of <cpu> is none of custom, host-model/],
    [guest(model, " match='about'"), /match "about" of <cpu> is none of minimum, exact, strict/],
    [guest(model, " check='some'"), /check "some" of <cpu> is none of/],
    [
      guest(model, " mode='custom' migratable='on'"),
      /migratable is only for host-passthrough and maximum/,
    ],
    [
      guest("<model fallback='maybe'>Penryn</model>"),
      /fallback "maybe" of <model> is none of allow, forbid/,
    ],
    [
      guest("<model vendor_id='Short'>Penryn</model>"),
      /vendor_id "Short" has not exactly 12 characters/,
    ],
    [
      guest("<model vendor_id='Twelve,chars'>Penryn</model>"),
      /vendor_id "Twelve,chars" holds a comma/,
    ],
    [guest(`${model}<cache mode='disable'/><cache mode='disable'/>`), /more than one <cache>/],
    [guest(`${model}<cache level='4' mode='emulate'/>`), /cache level 4 is not 1, 2 or 3/],
    [
      guest(`${model}<maxphysaddr mode='emulate' limit='40'/>`),
      /with a limit must have the mode passthrough/,
    ],
    [
      guest(`${model}<maxphysaddr mode='emulate' bits='many'/>`),
      /bits "many" of <maxphysaddr> is no whole number/,
    ],
    [
      guest(`${model}<topology sockets='1' cores='0' threads='1'/>`),
      /a <topology> needs cores of at least 1/,
    ],
    [host('<vendor>Intel</vendor>'), /a host <cpu> without a <model> says nothing/],
    [host(model).replace('<cpu', "<cpu mode='custom'"), /mode is only for the <cpu> of a guest/],
    [
      host(model).replace('<cpu', "<cpu match='exact'"),
      /<arch> is of a host and the attribute match of a guest/,
    ],
    [
      host(`${model}<signature family='0' model='1' stepping='1'/>`),
      /a <signature> needs a family above 0/,
    ],
    [host(`${model}<microcode version='0x1'/>`), /version "0x1" of <microcode> is no whole number/],
    [
      guest(`${model}<topology sockets='4294967296' cores='1' threads='1'/>`),
      /sockets "4294967296" of <topology> is no whole number of 32 bits/,
    ],
    [
      `<cpu>\n<arch>x86-64</arch>${model}</cpu>`,
      /^f\.xml:2: <arch>x86-64<\/arch> is no architecture that libvirt knows/,
    ],
    [host(`${model}<counter name='tsc'/>`), /a <counter> of the TSC needs a frequency in Hz/],
    [
      host(`${model}<counter name='tsc' frequency='1' scaling='maybe'/>`),
      /scaling "maybe" of <counter> is none of yes, no/,
    ],
    ['<network><name>n</name></network>', /^f\.xml holds no <cpu> element/],
  ];
  for (const [text, sentence] of table) {
    assert.match(await refusal(() => readLibvirtCpus(input(text))), sentence);
    // The reader of hosts refuses the same.
    assert.match(
      await refusal(() => readAll(text)),
      sentence.source.includes('holds no') ? /^f\.xml is XML without a CPU/ : sentence,
    );
  }
  assert.match(
    await refusal(() => readLibvirtCpus(input(guest(model)), 'host')),
    /a host <cpu> must have an <arch>/,
  );
  assert.match(
    await refusal(() => readAll('<capabilities><host/></capabilities>')),
    /describe no host CPU; virsh domcapabilities does/,
  );
  assert.match(
    await refusal(() => readAll("<cpudata arch='arm'/>")),
    /<cpudata> of "arm" is not taken/,
  );
  assert.match(
    await refusal(() => readAll("<cpudata arch='x86'><msr index='ten'/></cpudata>")),
    /index "ten" is no 32-bit word/,
  );
});

test('elements are read as written', async () => {
  const text = `<x>${CAPABILITIES}${domainCapabilities(hostModel('Westmere', "<feature policy='require' name='lahf_lm'/>"), '')}
    <cpu mode='host-passthrough' migratable='off' check='none'/></x>`;
  const [host, mode, guest] = await readLibvirtCpus(input(text));
  assert.equal(
    [host!.type, host!.arch, host!.microcode, host!.features[0]],
    ['host', 'x86_64', '83898371', { name: 'ssbd', policy: null }],
  );
  assert.equal(
    [mode!.type, mode!.model, mode!.fallback, mode!.maxphysaddr, mode!.features],
    [
      'guest',
      'Westmere',
      'forbid',
      { mode: 'passthrough', bits: null, limit: 46 },
      [{ name: 'lahf_lm', policy: 'require' }],
    ],
  );
  assert.equal(
    [guest!.mode, guest!.migratable, guest!.check, guest!.model],
    ['host-passthrough', false, 'none', null],
  );
});

test('what libvirt reads past is read past, and written as libvirt writes it', async () => {
  const written = async (text: string) => writeLibvirtCpu((await readLibvirtCpus(input(text)))[0]!);
  const model = '<model>Penryn</model>';
  for (const [text, expected] of [
    [
      `<cpu><arch>x86_64</arch>${model}<microcode/><counter name='tsx'/></cpu>`,
      /^<cpu>\n.*Penryn/s,
    ],
    [`<cpu><model fallback='' vendor_id=''>Penryn</model></cpu>`, /fallback='allow'>Penryn/],
    [`<cpu>${model}<counter name='tsc' frequency='x'/></cpu>`, /Penryn/],
    // A host that is passed through has no other name, and a custom CPU without one is none.
    [`<cpu mode='maximum'>${model}<vendor>Intel</vendor></cpu>`, /^<cpu mode='maximum'\/>\n$/],
    [
      "<cpu match='minimum' check='none'><topology sockets='1' cores='2' threads='1'/></cpu>",
      /^<cpu check='none'>\n {2}<topology sockets='1' dies='1' clusters='1' cores='2' threads='1'\/>\n<\/cpu>\n$/,
    ],
  ] as const)
    assert.match(await written(text), expected);
});

test('libvirt is recognised by its first letters, in any encoding', () => {
  for (const head of [
    CAPABILITIES,
    `\ufeff\n ${CAPABILITIES}`,
    '<\0c\0p\0u\0',
    '\ufffd\ufffd<\0c\0',
    "<?xml version='1.0'?>",
    '<!-- x --><cpu/>',
  ])
    assert.is(recogniseDialect(head)?.name, 'libvirt', head.slice(0, 20));
  for (const head of ['{"a":"<cpu>"}', 'flags : fpu', '------[ Logical CPU #0 ]------', '< 3', ''])
    assert.is(libvirt.recognises!(head), false, head);
});

const cpuOf = (
  name: string,
  require: string[],
  disable: string[],
  physBits: number | null,
): GuestCpu => ({
  arch: 'x86_64',
  vendor: catalog.libvirtModels.get(name)!.vendor,
  definitions: { libvirt: { name, require, disable } },
  features: [],
  physBits,
});

test('a definition is written as one element in the spelling of libvirt', async () => {
  assert.is(
    libvirt.write!(cpuOf('Skylake-Server', ['ssbd', 'pclmulqdq', 'lahf-lm'], ['mpx'], 42), catalog),
    `<cpu mode='custom' match='exact' check='partial'>
  <model fallback='forbid'>Skylake-Server</model>
  <vendor>Intel</vendor>
  <maxphysaddr mode='emulate' bits='42'/>
  <feature policy='require' name='lahf_lm'/>
  <feature policy='require' name='pclmuldq'/>
  <feature policy='require' name='ssbd'/>
  <feature policy='disable' name='mpx'/>
</cpu>
`,
  );
  const none = { ...cpuOf('Penryn', [], [], null), definitions: {} };
  assert.throws(() => libvirt.write!(none, catalog), /this CPU has no definition for libvirt/);
  assert.throws(
    () => libvirt.write!(cpuOf('Penryn', ['rrsba'], [], null), catalog),
    /libvirt has no name for feature "rrsba"/,
  );
});

test('every model of the catalog, with any features on or off, is read as QEMU takes what libvirt makes of it', async () => {
  const features = catalog.features.filter((f) => f.libvirt && f.qemu).map((f) => f.name);
  const words = fc.uniqueArray(fc.constantFrom(...features), { maxLength: 30 });
  const where = { machine: 'q35', qemu: '10.0', accelerator: 'kvm' } as const;
  for (const model of catalog.libvirtModels.values()) {
    if (!catalog.hasQemuModel(model.name, '10.0')) continue;
    await assertProperty(
      fc.asyncProperty(words, fc.nat(), async (some, cut) => {
        const [require, disable] = [some.slice(0, cut % 31), some.slice(cut % 31)];
        const d = await read(libvirt.write!(cpuOf(model.name, require, disable, null), catalog));
        const items = [
          ...model.removed.map((id) => `${catalog.features[id]!.name}=off`),
          ...require.map((name) => `${name}=on`),
          ...disable.map((name) => `${name}=off`),
        ];
        const e = expandCpu(catalog, [model.name, ...items].join(','), where);
        assert.equal(catalog.names(d.has), catalog.names(e.features), model.name);
        assert.equal([d.model!.name, d.vendor, d.unnamed], [model.name, model.vendor, []]);
      }),
      { numRuns: 3 },
    );
  }
});

test('no document crashes the reader', async () => {
  const piece = fc.constantFrom(
    '<cpu>',
    '</cpu>',
    '<cpu mode="custom" match="exact">',
    '<arch>x86_64</arch>',
    '<model>Penryn</model>',
    '<model/>',
    '<model usable="no">',
    '<vendor>AMD</vendor>',
    "<feature name='vmx'/>",
    "<feature policy='x'/>",
    '<capabilities><host>',
    '</host></capabilities>',
    '<domainCapabilities>',
    '</domainCapabilities>',
    "<mode name='host-model' supported='yes'>",
    '</mode>',
    '<domain><os/>',
    '</domain>',
    "<cpudata arch='x86'>",
    '</cpudata>',
    "<cpuid eax_in='0x0' ebx='0x756e6547'/>",
    "<msr index='0x10a' eax='0xffffffff'/>",
    "<maxphysaddr mode='emulate' bits='9999999999'/>",
    '<topology/>',
    "<signature family='x'/>",
    '<blockers><feature/></blockers>',
    'text',
    '&amp;',
    '__proto__',
    "<feature name='__proto__'/>",
    '<constructor/>',
  );
  const document = fc
    .array(fc.oneof(piece, fc.string({ maxLength: 5 })), { maxLength: 30 })
    .map((parts) => parts.join(''));
  const closed = document.map(
    (text) =>
      `<x>${text.replace(/<\/[^>]*>/g, '').replace(/<([a-z]+)([^>/]*)>(?!<\/)/gi, '<$1$2/>')}</x>`,
  );
  await assertProperty(
    fc.asyncProperty(fc.oneof(document, closed), async (text) => {
      await refusal(() => readAll(text));
      await refusal(() => readLibvirtCpus(input(text)));
    }),
    { numRuns: 3000 },
  );
});

// Cases of libvirt 11.3's own suite, read where they lie.
interface Document {
  readonly path: string;
  readonly text: string;
}
const path = SHARED && `${SHARED}/cases/libvirt.json`;
const cases: Record<string, unknown>[] =
  path && existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')).cases : [];
if (cases.length === 0) sayMissing("libvirt's own cases", 'cases/libvirt.json');

function documentsIn(value: unknown): Document[] {
  if (typeof value !== 'object' || value === null) return [];
  const { text } = value as Partial<Document>;
  return typeof text === 'string' && text.includes('<')
    ? [value as Document]
    : Object.values(value).flatMap(documentsIn);
}

test('every document of the cases is read', async () => {
  let count = 0;
  for (const { text } of cases.flatMap(documentsIn)) {
    assert.is((await readAll(text)).length, 1, text);
    if (!text.includes('<cpudata')) assert.is((await readLibvirtCpus(input(text))).length, 1, text);
    count++;
  }
  if (cases.length > 0) assert.ok(count > 400, `${count} documents`);
});

const NAMED_BY_11_3 = rowOf(
  catalog.bits,
  catalog.features
    .filter((f) => f.libvirt && catalog.isSince('libvirt', '11.3', f.libvirt.since))
    .map((f) => f.id),
);

const NAMED_BY_QEMU = rowOf(
  catalog.bits,
  catalog.features.filter((f) => f.qemu).map((f) => f.id),
);

/** What QEMU gives or takes of every guest, and what stands on it: a guest's definition is what QEMU makes of it. */
const { on, off } = catalog.accelerators.kvm;
const ALL = catalog.rowWhere(() => true);
const QEMUS_OWN = [
  on,
  catalog.row(['hypervisor']),
  minus(ALL, closeDependencies(catalog, minus(ALL, off))),
].reduce(join);

test('words and definition of one processor agree wherever both speak', async () => {
  let compared = 0;
  for (const c of cases.filter((c) => c.kind === 'decode-host' || c.kind === 'decode-guest')) {
    const data = await read((c.data as Document).text);
    const definition = await read((c.expected_file as Document).text);
    // What this libvirt has no name for it cannot have written.
    const isGuest = c.kind === 'decode-guest';
    const own = isGuest ? minus(NAMED_BY_11_3, QEMUS_OWN) : NAMED_BY_11_3;
    const has = isGuest ? closeDependencies(catalog, meet(data.has, NAMED_BY_QEMU)) : data.has;
    const known = meet(meet(data.known, definition.known), own);
    const differ = catalog.features
      .filter((f) => hasBit(known, f.id) && hasBit(has, f.id) !== hasBit(definition.has, f.id))
      .map((f) => f.name);
    assert.equal(differ, [], c.id as string);
    compared += catalog.features.filter((f) => hasBit(known, f.id)).length;
  }
  if (cases.length > 0) assert.ok(compared > 5000, `${compared} bits`);
});

test.run();
