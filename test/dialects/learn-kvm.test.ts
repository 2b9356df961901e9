// What KVM gives, read from sources made up for this in both forms that kernels have; and a kernel taken into the table.
import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadCatalog } from '../../src/cpu/catalog/catalog.ts';
import type { KvmFile, KvmModule, KvmRow, LearntKvm, LearntKvmRow } from '../../src/cpu/schema.ts';
import { plainSource, statementsOf } from '../../src/dialects/kvm-source/c.ts';
import { learnKvm } from '../../src/dialects/kvm-source/kvm-source.ts';
import { withColumn } from '../../src/learn/kvm-data.ts';
import { columnOf, essenceOf, heldAgainst } from '../support/kvm-column.ts';
import { assertProperty } from '../support/property.ts';

const test = suite('the source of KVM');
const catalog = await loadCatalog();
const { kvm } = catalog;
const MODULES: readonly KvmModule[] = ['Intel', 'AMD'];

const FEATURES = `
#define X86_FEATURE_XMM3 (4*32+ 0) /* a comment */
#define X86_FEATURE_VMX (4*32+ 5)
#define X86_FEATURE_X2APIC (4*32+21)
#define X86_FEATURE_IBPB ( 7*32+26)
#define X86_FEATURE_IBRS ( 7*32+25)
#define X86_FEATURE_SGX (9*32+ 2)
#define X86_FEATURE_PKU (16*32+ 3)
#define X86_FEATURE_OSPKE (16*32+ 4)
#define X86_FEATURE_LA57 (16*32+16)
#define X86_FEATURE_SPEC_CTRL (18*32+26)
#define X86_FEATURE_AMD_IBPB (13*32+12)
#define X86_FEATURE_AMD_IBRS (13*32+14)
#define X86_FEATURE_SVM (6*32+ 2)
#define X86_FEATURE_NPT (15*32+ 0)
#define X86_FEATURE_VMCBCLEAN (15*32+ 5)
#define X86_FEATURE_SGX1 (11*32+ 8)
#define X86_FEATURE_RTM (9*32+11)
#define X86_FEATURE_INTEL_PT (9*32+25)
#define X86_FEATURE_RDPID (16*32+22)
#define X86_FEATURE_UMIP (16*32+ 2)
`;
const WORDS = [
  ...['CPUID_1_EDX', 'CPUID_8000_0001_EDX', 'CPUID_8086_0001_EDX', 'CPUID_LNX_1', 'CPUID_1_ECX'],
  ...['CPUID_C000_0001_EDX', 'CPUID_8000_0001_ECX', 'CPUID_LNX_2', 'CPUID_LNX_3', 'CPUID_7_0_EBX'],
  ...['CPUID_D_1_EAX', 'CPUID_LNX_4', 'CPUID_7_1_EAX', 'CPUID_8000_0008_EBX', 'CPUID_6_EAX'],
  ...['CPUID_8000_000A_EDX', 'CPUID_7_ECX', 'CPUID_8000_0007_EBX', 'CPUID_7_EDX'],
];
const REVERSE = `
#define KVM_X86_FEATURE_SGX1 KVM_X86_FEATURE(CPUID_12_EAX, 0)
static const struct cpuid_reg reverse_cpuid[] = {
  [CPUID_1_ECX] = { 1, 0, CPUID_ECX}, [CPUID_7_0_EBX] = { 7, 0, CPUID_EBX},
  [CPUID_7_ECX] = { 7, 0, CPUID_ECX}, [CPUID_7_EDX] = { 7, 0, CPUID_EDX},
  [CPUID_8000_0001_ECX] = {0x80000001, 0, CPUID_ECX},
  [CPUID_8000_0008_EBX] = {0x80000008, 0, CPUID_EBX},
  [CPUID_8000_000A_EDX] = {0x8000000a, 0, CPUID_EDX}, [CPUID_12_EAX] = {0x12, 0, CPUID_EAX},
};`;
/** Which words are handed out, and KVM's own. */
const CASES = `
static inline int __do_cpuid_func(struct kvm_cpuid_array *array, u32 function)
{
	switch (function) {
	case 1: cpuid_entry_override(entry, CPUID_1_ECX); break;
	case 6: entry->eax = 0x4; break;
	case 7:
		cpuid_entry_override(entry, CPUID_7_0_EBX); cpuid_entry_override(entry, CPUID_7_ECX);
		cpuid_entry_override(entry, CPUID_7_EDX); break;
	case 0x12:
		if (!kvm_cpu_cap_has(X86_FEATURE_SGX)) {
			entry->eax = entry->ebx = 0;
			break;
		}
		cpuid_entry_override(entry, CPUID_12_EAX);
		entry->ebx &= SGX_MISC_EXINFO;
		break;
	case KVM_CPUID_FEATURES: entry->eax = (1 << KVM_FEATURE_CLOCKSOURCE); break;
	case 0x80000001: cpuid_entry_override(entry, CPUID_8000_0001_ECX); break;
	case 0x80000008: cpuid_entry_override(entry, CPUID_8000_0008_EBX); break;
	case 0x8000000A:
		if (!kvm_cpu_cap_has(X86_FEATURE_SVM)) {
			entry->eax = 0;
			break;
		}
		cpuid_entry_override(entry, CPUID_8000_000A_EDX);
		break;
	}
}`;
const OLD_CAPS = `
void kvm_set_cpu_caps(void)
{
#ifdef CONFIG_X86_64
	unsigned int f_la57 = F(LA57);
#else
	unsigned int f_la57 = 0;
#endif
	kvm_cpu_cap_mask(CPUID_1_ECX, F(XMM3) | 0 /* VMX */ | F(X2APIC));
	kvm_cpu_cap_set(X86_FEATURE_X2APIC);
	kvm_cpu_cap_mask(CPUID_7_0_EBX, F(SGX) | F(RTM) | 0 /* INTEL_PT */);
	kvm_cpu_cap_mask(CPUID_7_ECX, f_la57 | F(PKU));
	if (cpuid_ecx(7) & F(LA57))
		kvm_cpu_cap_set(X86_FEATURE_LA57);
	if (!tdp_enabled || !boot_cpu_has(X86_FEATURE_OSPKE))
		kvm_cpu_cap_clear(X86_FEATURE_PKU);
	kvm_cpu_cap_mask(CPUID_7_EDX, F(SPEC_CTRL));
	if (boot_cpu_has(X86_FEATURE_IBPB) && boot_cpu_has(X86_FEATURE_IBRS))
		kvm_cpu_cap_set(X86_FEATURE_SPEC_CTRL);
	kvm_cpu_cap_init_kvm_defined(CPUID_12_EAX, SF(SGX1));
	kvm_cpu_cap_mask(CPUID_8000_0008_EBX, F(AMD_IBPB) | F(AMD_IBRS));
	kvm_cpu_cap_mask(CPUID_8000_000A_EDX, 0);
}`;
const NEW_CAPS = `
void kvm_initialize_cpu_caps(void)
{
	kvm_cpu_cap_init(CPUID_1_ECX, F(XMM3), VENDOR_F(VMX), EMULATED_F(X2APIC),);
	kvm_cpu_cap_init(CPUID_7_0_EBX, F(SGX), F(RTM), VENDOR_F(INTEL_PT),);
	kvm_cpu_cap_init(CPUID_7_ECX, PASSTHROUGH_F(LA57), F(PKU), RUNTIME_F(OSPKE));
	if (!tdp_enabled || !boot_cpu_has(X86_FEATURE_OSPKE))
		kvm_cpu_cap_clear(X86_FEATURE_PKU);
	kvm_cpu_cap_init(CPUID_7_EDX, F(SPEC_CTRL));
	if (boot_cpu_has(X86_FEATURE_IBPB) && boot_cpu_has(X86_FEATURE_IBRS))
		kvm_cpu_cap_set(X86_FEATURE_SPEC_CTRL);
	kvm_cpu_cap_init(CPUID_12_EAX, SCATTERED_F(SGX1));
	kvm_cpu_cap_init(CPUID_8000_0008_EBX, F(AMD_IBPB), F(AMD_IBRS));
	kvm_cpu_cap_init(CPUID_8000_000A_EDX, VENDOR_F(NPT));
}`;
const tree = (caps: string): Record<string, string> => ({
  Makefile: '# x\nVERSION = 6\nPATCHLEVEL = 99\nSUBLEVEL = 3\nEXTRAVERSION =\nNAME = None\n',
  'arch/x86/include/asm/cpufeatures.h': FEATURES,
  'arch/x86/include/asm/cpufeature.h': `enum cpuid_leafs { ${WORDS.join(', ')} };`,
  'arch/x86/include/asm/msr-index.h':
    '#define ARCH_CAP_RDCL_NO BIT(0)\n#define ARCH_CAP_PSCHANGE_MC_NO BIT(6)\n#define ARCH_CAP_SSB_NO BIT(4)\n',
  'arch/x86/include/asm/sgx.h': '#define SGX_MISC_EXINFO BIT(0)\n',
  'arch/x86/include/uapi/asm/kvm_para.h': '#define KVM_FEATURE_CLOCKSOURCE 0\n',
  'arch/x86/kernel/cpu/common.c': `static void init_speculation_control(struct cpuinfo_x86 *c)
{
	if (cpu_has(c, X86_FEATURE_SPEC_CTRL)) {
		set_cpu_cap(c, X86_FEATURE_IBRS);
		set_cpu_cap(c, X86_FEATURE_IBPB);
	}
	if (cpu_has(c, X86_FEATURE_AMD_IBRS))
		set_cpu_cap(c, X86_FEATURE_IBRS);
	if (cpu_has(c, X86_FEATURE_AMD_IBPB))
		set_cpu_cap(c, X86_FEATURE_IBPB);
}`,
  'arch/x86/kvm/reverse_cpuid.h': REVERSE,
  'arch/x86/kvm/cpuid.c': caps + CASES,
  'arch/x86/kvm/x86.c': `#define KVM_SUPPORTED_ARCH_CAP \\
	(ARCH_CAP_RDCL_NO | \\
	 ARCH_CAP_SSB_NO)
static u64 kvm_get_arch_capabilities(void)
{
	u64 data = 0;
	data |= ARCH_CAP_PSCHANGE_MC_NO;
	if (!boot_cpu_has_bug(X86_BUG_CPU_MELTDOWN))
		data |= ARCH_CAP_RDCL_NO;
	return data;
}`,
  'arch/x86/kvm/vmx/vmx.c': `static __init void vmx_set_cpu_caps(void)
{
	kvm_set_cpu_caps();
	if (nested)
		kvm_cpu_cap_set(X86_FEATURE_VMX);
	if (vmx_pt_mode_is_host_guest())
		kvm_cpu_cap_check_and_set(X86_FEATURE_INTEL_PT);
	if (!enable_sgx) {
		kvm_cpu_cap_clear(X86_FEATURE_SGX);
		kvm_cpu_cap_clear(X86_FEATURE_SGX1);
	}
}`,
  'arch/x86/kvm/svm/svm.c': `static __init void svm_set_cpu_caps(void)
{
	kvm_set_cpu_caps();
	if (nested) {
		kvm_cpu_cap_set(X86_FEATURE_SVM);
		kvm_cpu_cap_set(X86_FEATURE_VMCBCLEAN);
		if (npt_enabled)
			kvm_cpu_cap_set(X86_FEATURE_NPT);
	}
	if (boot_cpu_has(X86_FEATURE_AMD_IBRS) && boot_cpu_has(X86_FEATURE_AMD_IBPB))
		kvm_cpu_cap_set(X86_FEATURE_SPEC_CTRL);
	if (boot_cpu_has(X86_FEATURE_AMD_IBPB) && !boot_cpu_has_bug(X86_BUG_ODD))
		kvm_cpu_cap_set(X86_FEATURE_RDPID);
	if (boot_cpu_has(X86_FEATURE_AMD_IBPB) || !boot_cpu_has_bug(X86_BUG_ODD))
		kvm_cpu_cap_set(X86_FEATURE_UMIP);
	if (phase_of_the_moon(3))
		kvm_cpu_cap_clear(X86_FEATURE_RTM);
}`,
});
const learn = (files: Readonly<Record<string, string>>): LearntKvm =>
  learnKvm(catalog, (path) => files[path] ?? null);

/** The row of a feature, or the reason why there is none. */
function said(learnt: LearntKvm, vendor: KvmModule, name: string): LearntKvmRow | string {
  const is = (r: { vendor: string; features: string[] }) =>
    r.vendor === vendor && r.features.includes(name);
  return learnt.rules.find(is)?.row ?? learnt.unread.find(is)?.why ?? 'nothing';
}

test('both forms that kernels have say the same', () => {
  for (const [form, caps] of [
    ['masks', OLD_CAPS],
    ['macros', NEW_CAPS],
  ] as const) {
    const learnt = learn(tree(caps));
    assert.is(learnt.kernel, '6.99.3');
    const expected: [string, LearntKvmRow, LearntKvmRow?][] = [
      ['pni', { when: 'hardware' }],
      ['x2apic', { when: 'always' }],
      ['monitor', { when: 'never' }],
      ['arat', { when: 'always' }],
      ['pku', { when: 'hardware' }],
      ['la57', { when: 'hardware', raw: true }],
      [
        'spec-ctrl',
        { when: 'hardware' },
        { when: 'made-up', of: [['spec-ctrl'], ['ibpb', 'ibrs']] },
      ],
      ['vmx', { when: 'conditional', hardware: 'needed' }, { when: 'never' }],
      ['intel-pt', { when: 'conditional', hardware: 'needed' }, { when: 'never' }],
      ['sgx', { when: 'conditional', hardware: 'needed' }, { when: 'never' }],
      ['sgx1', { when: 'conditional', hardware: 'needed', needs: ['sgx'] }, { when: 'never' }],
      [
        'sgx-exinfo',
        { when: 'conditional', hardware: 'needed', needs: ['sgx'] },
        { when: 'never' },
      ],
      ['svm', { when: 'never' }, { when: 'conditional', hardware: 'needed' }],
      ['npt', { when: 'never' }, { when: 'conditional', hardware: 'needed', needs: ['svm'] }],
      ['vmcb-clean', { when: 'never' }, { when: 'conditional', hardware: 'any', needs: ['svm'] }],
      ['pschange-mc-no', { when: 'always' }],
      ['rdctl-no', { when: 'conditional', hardware: 'enough' }, { when: 'always' }],
      ['ssb-no', { when: 'hardware' }, { when: 'never' }],
      ['rtm', { when: 'hardware' }],
      // Of what Linux finds out, nothing is certain but what is enough by itself.
      ['rdpid', { when: 'never' }, { when: 'conditional', hardware: 'enough' }],
      ['umip', { when: 'never' }, { when: 'conditional', hardware: 'enough', of: [['ibpb']] }],
      // QEMU gives it, whatever KVM says.
      ['hypervisor', { when: 'always' }],
    ];
    for (const [name, intel, amd = intel] of expected) {
      assert.equal(said(learnt, 'Intel', name), intel, `${form}: ${name} on Intel`);
      if (name !== 'rtm') assert.equal(said(learnt, 'AMD', name), amd, `${form}: ${name} on AMD`);
    }
    // What cannot be read says where it stands, and nothing else comes of it.
    assert.is(
      said(learnt, 'AMD', 'rtm'),
      'arch/x86/kvm/svm/svm.c: svm_set_cpu_caps: cleared if (phase_of_the_moon(3))',
    );
    assert.match(said(learnt, 'Intel', 'vmx-ept') as string, /register 48b is made in .*vmx\.c/);
    assert.equal(said(learnt, 'AMD', 'vmx-ept'), { when: 'never' });
    assert.equal(said(learnt, 'AMD', 'kvm-asyncpf'), { when: 'never' });
  }
});

test('another form is told by its file and its function', () => {
  const refused = (change: (files: Record<string, string>) => void): string => {
    const files = tree(OLD_CAPS);
    change(files);
    try {
      learn(files);
    } catch (error) {
      return (error as Error).message;
    }
    return 'nothing was refused';
  };
  const replaced = (path: string, from: string, to: string) =>
    refused((files) => {
      assert.ok(files[path]!.includes(from), from);
      files[path] = files[path]!.replace(from, to);
    });
  const cpuid = 'arch/x86/kvm/cpuid.c';
  const cases: [string, RegExp][] = [
    [
      refused((files) => {
        delete files[cpuid];
      }),
      /^there is no arch\/x86\/kvm\/cpuid\.c below it; give the top folder/,
    ],
    [
      replaced(cpuid, 'void kvm_set_cpu_caps(', 'void set_caps('),
      /cpuid\.c has no function kvm_set_cpu_caps or/,
    ],
    [
      replaced(cpuid, 'F(XMM3)', 'NEW_F(XMM3)'),
      /cpuid\.c: kvm_set_cpu_caps has NEW_F\(XMM3\), which is not understood/,
    ],
    [
      replaced(cpuid, 'F(XMM3)', 'F(XMM9)'),
      /cpuid\.c: kvm_set_cpu_caps names X86_FEATURE_XMM9, which no header defines/,
    ],
    [
      replaced(
        cpuid,
        'kvm_cpu_cap_set(X86_FEATURE_X2APIC)',
        'kvm_cpu_cap_toggle(X86_FEATURE_X2APIC)',
      ),
      /does what is not understood: kvm_cpu_cap_toggle/,
    ],
    [
      replaced(cpuid, 'case KVM_CPUID_FEATURES', 'case KVM_WORDS'),
      /__do_cpuid_func has no case KVM_CPUID_FEATURES/,
    ],
    [
      replaced('arch/x86/kvm/svm/svm.c', 'svm_set_cpu_caps', 'svm_caps'),
      /svm\/svm\.c has no function svm_set_cpu_caps/,
    ],
    [
      replaced('arch/x86/kvm/x86.c', 'kvm_get_arch_capabilities', 'arch_caps'),
      /x86\.c: kvm_get_arch_capabilities or KVM_SUPPORTED_ARCH_CAP is not there/,
    ],
    [replaced('Makefile', 'VERSION = 6', 'X = 6'), /its Makefile does not say which kernel it is/],
    [
      refused((files) => {
        files['arch/x86/kvm/reverse_cpuid.h'] = '';
      }),
      /has no table reverse_cpuid that could be read/,
    ],
  ];
  for (const [message, expected] of cases) assert.match(message, expected);
});

test('statements, conditions and the branches of a preprocessor', () => {
  const source = plainSource(
    'a; // no\n#ifdef CONFIG_X\nb;\n#else\nc;\n#endif\n#if 0\nd;\n#endif\n/* e; */ f;\n',
  );
  assert.equal(source.replace(/\s+/g, ''), 'a;b;f;');
  assert.equal(statementsOf('if (x && (y)) { a(1, 2); } else if (z) b; c = d;'), [
    {
      kind: 'if',
      condition: 'x && (y)',
      body: [{ kind: 'plain', text: 'a(1, 2)' }],
      otherwise: [
        { kind: 'if', condition: 'z', body: [{ kind: 'plain', text: 'b' }], otherwise: [] },
      ],
    },
    { kind: 'plain', text: 'c = d' },
  ]);
});

/** The table without a kernel of the mainline, as if nobody had read it. */
function withoutKernel(
  file: KvmFile,
  kernel: string,
  columns: ReadonlyMap<string, ReadonlyMap<string, KvmRow>>,
): KvmFile {
  const kernels = file.kernels.filter((k) => k !== kernel);
  const all = [...kernels, ...file.distributions];
  const rules = file.rules.flatMap(({ features }) =>
    features.map((name) => ({
      features: [name],
      rows: MODULES.flatMap((vendor) =>
        all.map((k) => {
          const { vendor: _, kernels: __, ...row } = columns.get(`${vendor} ${k}`)!.get(name)!;
          return { vendor, kernels: [k], ...row };
        }),
      ),
    })),
  );
  return { ...file, kernels, rules, hides: [], qemu: [] };
}

test('a kernel that is taken into the table is there as it was read, and no other changes', async () => {
  const { kernels } = kvm;
  const columns = new Map(
    MODULES.flatMap((vendor) =>
      [...kernels, ...kvm.distributions].map(
        (k) => [`${vendor} ${k}`, columnOf(kvm, vendor, k)] as const,
      ),
    ),
  );
  await assertProperty(
    fc.property(
      fc.constantFrom(...kernels.slice(1).filter((k) => !k.includes('rc'))),
      fc.uniqueArray(fc.constantFrom(...kvm.rules.map((r) => r.features[0]!)), { maxLength: 5 }),
      (kernel, unread) => {
        const file = withoutKernel(kvm, kernel, columns);
        const learnt: LearntKvm = {
          schema: 'plimsoll-kvm-learnt/1',
          kernel,
          rules: MODULES.flatMap((vendor) =>
            [...columns.get(`${vendor} ${kernel}`)!]
              .filter(([name]) => !unread.includes(name))
              // A source does not tell what hybrid processors are barred from: that goes on from the kernel before.
              .map(([name, { vendor: _, kernels: __, barredBy: ___, ...row }]) => ({
                features: [name],
                vendor,
                row,
              })),
          ),
          unread: [],
        };
        const { file: wider, carried } = withColumn(file, learnt);
        assert.equal(wider.kernels, kernels);
        assert.is(carried.length, unread.length * 2);
        const before = kernels[kernels.indexOf(kernel) - 1]!;
        for (const vendor of MODULES)
          for (const k of [...kernels, ...kvm.distributions])
            for (const [name, row] of columnOf(wider, vendor, k)) {
              const from = k === kernel && unread.includes(name) ? before : k;
              const expected = columns.get(`${vendor} ${from}`)!.get(name)!;
              const told = ({ barredBy, ...rest }: KvmRow) =>
                essenceOf(k === kernel || barredBy === undefined ? rest : { ...rest, barredBy });
              assert.is(told(row), told(expected), `${name} of ${k} on ${vendor}`);
            }
      },
    ),
    { numRuns: 12 },
  );
});

test('what is read otherwise is counted', () => {
  const learnt = learn(tree(OLD_CAPS));
  const held = heldAgainst(learnt, 'Intel', columnOf(kvm, 'Intel', '6.1.192'));
  assert.ok(held.right > 0 && held.differing.length > 0 && held.unread > 0);
  assert.ok(held.differing.some((line) => line.startsWith('pclmulqdq: ["never"')));
});

test.run();
