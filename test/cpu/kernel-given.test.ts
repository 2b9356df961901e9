// One Zen 2 in every language that shows a processor: what KVM of a kernel gives of it is the same, as far as each tells.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { hasBit } from '../../src/core/rows.ts';
import { loadCatalog } from '../../src/cpu/catalog/catalog.ts';
import { offer } from '../../src/cpu/proven/offer.ts';
import { namedProcessor } from '../../src/dialects/records/processor-by-name.ts';
import { readDescriptions } from '../../src/reading/read.ts';
import { feed } from '../support/command.ts';
import { AMD, dump, INTEL } from '../support/dump.ts';

const test = suite('what guests are given, language by language');
const catalog = await loadCatalog();
const encode = (text: string) => new TextEncoder().encode(text);

const FLAGS =
  'fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 ht syscall nx mmxext fxsr_opt pdpe1gb rdtscp lm constant_tsc rep_good nopl nonstop_tsc cpuid pni pclmulqdq ssse3 fma cx16 sse4_1 sse4_2 movbe popcnt aes xsave avx f16c rdrand lahf_lm svm abm sse4a misalignsse 3dnowprefetch ibrs ibpb stibp ssbd vmmcall fsgsbase bmi1 avx2 smep bmi2 rdseed adx smap clflushopt clwb sha_ni xsaveopt xsavec xgetbv1 clzero xsaveerptr wbnoinvd rdpid umip';
const CPUINFO = `processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 23\nmodel\t\t: 49\nstepping\t: 0\nflags\t\t: ${FLAGS}\naddress sizes\t: 48 bits physical, 48 bits virtual\n\n`;
const LIBVIRT =
  'x2apic ht xsaves topoext invtsc ibpb ibrs amd-stibp amd-ssbd clwb umip rdpid wbnoinvd'.split(
    ' ',
  );

const BY_KERNEL: Readonly<Record<string, string>> = {
  cpuinfo: CPUINFO,
  lscpu: `Architecture:        x86_64\nCPU op-mode(s):      32-bit, 64-bit\nCPU(s):              1\nVendor ID:           AuthenticAMD\nCPU family:          23\nModel:               49\nStepping:            0\nFlags:               ${FLAGS}\n`,
  node_exporter: [
    'node_cpu_info{cpu="0",family="23",model="49",stepping="0",vendor="AuthenticAMD"} 1\n',
    ...FLAGS.split(' ').map((flag) => `node_cpu_flag_info{flag="${flag}"} 1\n`),
  ].join(''),
  Ansible: JSON.stringify({
    ansible_facts: { ansible_hostname: 'rome' },
    content: btoa(CPUINFO),
    encoding: 'base64',
    source: '/proc/cpuinfo',
  }),
};
const BY_HARDWARE: Readonly<Record<string, string>> = {
  capabilities: `<capabilities><host><cpu><arch>x86_64</arch><model>EPYC</model><vendor>AMD</vendor><signature family='23' model='49' stepping='0'/>${LIBVIRT.map((name) => `<feature name='${name}'/>`).join('')}</cpu></host></capabilities>`,
  // Without a signature, so what depends on the model is open.
  Nova: JSON.stringify({
    hypervisors: [
      {
        hypervisor_hostname: 'rome',
        cpu_info: JSON.stringify({
          arch: 'x86_64',
          model: 'EPYC',
          vendor: 'AMD',
          features: LIBVIRT,
        }),
      },
    ],
  }),
};

/** What is given of each: yes, no, or not known. */
async function given(text: string, kernel: string | null, names: readonly string[]) {
  const { read } = await readDescriptions(catalog, [{ name: 'rome', bytes: encode(text) }], {
    ...(kernel === null ? {} : { kernel }),
  });
  const { has, known } = offer(catalog, read[0]!.description);
  return names
    .map((name) => {
      const { id } = catalog.feature(name);
      return `${name} ${hasBit(has, id) ? 'yes' : hasBit(known, id) ? 'no' : '?'}`;
    })
    .join(', ');
}
const ASKED = ['spec-ctrl', 'stibp', 'ssbd', 'xsaves', 'x2apic', 'umip'];

test('by the flags of a kernel', async () => {
  for (const [language, text] of Object.entries(BY_KERNEL)) {
    const is = (kernel: string | null) => given(text, kernel, ASKED);
    // The flag ssbd may stand for a register of AMD's that guests are not given.
    assert.is(
      await is('6.8.0'),
      'spec-ctrl yes, stibp yes, ssbd ?, xsaves no, x2apic yes, umip yes',
      language,
    );
    assert.is(
      await is('6.14.0'),
      'spec-ctrl no, stibp yes, ssbd ?, xsaves no, x2apic yes, umip yes',
      language,
    );
    assert.is(
      await is(null),
      'spec-ctrl ?, stibp ?, ssbd ?, xsaves no, x2apic yes, umip yes',
      language,
    );
  }
});

test('what the model of the processor decides counts where nobody tells of it', async () => {
  const like = (family: number, model: number, more = '') =>
    given(
      CPUINFO.replace(': 23', `: ${family}`).replace(': 49', `: ${model}`).replace(' umip', more),
      '6.14.0',
      ['spec-ctrl'],
    );
  assert.is(await like(25, 17), 'spec-ctrl yes', 'Zen 4');
  assert.is(await like(26, 2), 'spec-ctrl yes', 'Zen 5');
  assert.is(await like(25, 1), 'spec-ctrl no', 'Zen 3');
  assert.is(await like(25, 80), 'spec-ctrl no', 'Zen 3 of notebooks');
  assert.is(await like(25, 200), 'spec-ctrl ?', 'a model that nobody has seen');
  // A host that is a guest may have been given it.
  assert.is(await like(23, 49, ' hypervisor'), 'spec-ctrl ?');
});

test('by the hardware, as libvirt shows it', async () => {
  for (const [language, text] of Object.entries(BY_HARDWARE)) {
    const is = (kernel: string | null) => given(text, kernel, ASKED);
    const [spec, hidden] = language === 'Nova' ? ['?', '?'] : ['no', 'no'];
    assert.is(
      await is('6.2.0'),
      'spec-ctrl yes, stibp yes, ssbd yes, xsaves yes, x2apic yes, umip yes',
      language,
    );
    assert.is(
      await is('6.8.0'),
      `spec-ctrl yes, stibp yes, ssbd yes, xsaves ${hidden}, x2apic yes, umip yes`,
      language,
    );
    assert.is(
      await is('6.14.0'),
      `spec-ctrl ${spec}, stibp yes, ssbd yes, xsaves ?, x2apic yes, umip yes`,
      language,
    );
  }
});

test('a processor by name', async () => {
  const text = new TextDecoder().decode(namedProcessor(catalog, 'EPYC-Rome')!.bytes);
  const asked = ['spec-ctrl', 'stibp', 'ssbd', 'x2apic', 'umip'];
  assert.is(
    await given(text, '6.8.0', asked),
    'spec-ctrl yes, stibp yes, ssbd yes, x2apic yes, umip yes',
  );
  assert.is(await given(text, null, asked), 'spec-ctrl ?, stibp ?, ssbd ?, x2apic yes, umip yes');
});

/** Words of leaf 0x80000008: ibpb, ibrs, amd-stibp and amd-ssbd. */
const ROME = dump(AMD, 0x00830f10, {
  '00000001': '00830f10-00000000-7ed8320b-178bfbff',
  '0000000d.01': '0000000f-00000000-00000000-00000000',
  '80000008': '00003030-0100d000-00000000-00000000',
});

test('a guest with the words that domain capabilities require runs on the hardware below', async () => {
  const guest = '486,+spec-ctrl,+stibp,+ssbd,+virt-ssbd';
  const place = (text: string, ...more: string[]) =>
    feed(text, 'place', '--cpu', guest, '--json', ...more, '-');
  for (const text of [ROME, BY_HARDWARE.capabilities!]) {
    const runs = await place(text, '--kernel', '6.12.118');
    assert.is(runs.status, 0, runs.stdout);
    // Which kernel it is decides, and no host lacks what its kernel may give.
    const open = await place(text);
    assert.is(open.status, 2, open.stdout);
    assert.equal(JSON.parse(open.stdout).guests[0].missing, []);
  }
});

test('Haswell of the client has no TSX for guests, and Zen 2 no xsaves', async () => {
  const haswell = dump(INTEL, 0x000306c3, {
    '00000007.00': '00000000-00000810-00000000-00000000',
  });
  for (const kernel of [null, '4.19.108', '6.12.118'])
    assert.is(await given(haswell, kernel, ['hle', 'rtm']), 'hle no, rtm no', `${kernel}`);
  assert.is(await given(ROME, '6.1.192', ['xsaves']), 'xsaves no');
  assert.is(await given(ROME, null, ['xsaves']), 'xsaves ?');
});

test('decode says who decides, in a few lines', async () => {
  const said = async (...more: string[]) => {
    const { stdout } = await feed(ROME, 'decode', ...more, '-');
    const lines = stdout.split('\n');
    assert.ok(lines.every((line) => line.length <= 80));
    const from = lines.findIndex((line) => /^ +offers guests/.test(line));
    const to = lines.findIndex((line) => /^ +\d+ unknown/.test(line));
    assert.ok(to - from <= 8, lines.slice(from, to).join('\n'));
    return lines.slice(from, to).join(' ').replace(/ +/g, ' ');
  };
  assert.match(await said('--kernel', '6.8.0'), /not given xsaves \(Linux hides it\)/);
  assert.match(await said(), /xsaves \(Linux may hide it\)/);
  assert.not.match(await said('--kernel', '6.2.0'), /xsaves/);
});

test.run();
