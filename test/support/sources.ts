// One host in the shapes in which different tools show it, from the flags that its kernel prints.

export interface Kernel {
  readonly vendor: 'GenuineIntel' | 'AuthenticAMD';
  readonly flags: readonly string[];
  readonly family?: number;
  readonly model?: number;
  readonly stepping?: number;
  readonly physBits?: number;
}

/** Flags of an Ice Lake server, as a Linux 6.1 prints them. */
export const ICELAKE: Kernel = {
  vendor: 'GenuineIntel',
  family: 6,
  model: 106,
  stepping: 6,
  physBits: 46,
  flags:
    'fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush dts acpi mmx fxsr sse sse2 ss ht tm pbe syscall nx pdpe1gb rdtscp lm constant_tsc art arch_perfmon pebs bts rep_good nopl xtopology nonstop_tsc cpuid aperfmperf pni pclmulqdq dtes64 monitor ds_cpl vmx smx est tm2 ssse3 sdbg fma cx16 xtpr pdcm pcid dca sse4_1 sse4_2 x2apic movbe popcnt tsc_deadline_timer aes xsave avx f16c rdrand lahf_lm abm 3dnowprefetch cpuid_fault epb cat_l3 invpcid_single ssbd mba ibrs ibpb stibp ibrs_enhanced tpr_shadow vnmi flexpriority ept vpid ept_ad fsgsbase tsc_adjust bmi1 avx2 smep bmi2 erms invpcid cqm rdt_a avx512f avx512dq rdseed adx smap avx512ifma clflushopt clwb intel_pt avx512cd sha_ni avx512bw avx512vl xsaveopt xsavec xgetbv1 xsaves cqm_llc cqm_occup_llc cqm_mbm_total cqm_mbm_local split_lock_detect wbnoinvd dtherm ida arat pln pts avx512vbmi umip pku ospke avx512_vbmi2 gfni vaes vpclmulqdq avx512_vnni avx512_bitalg tme avx512_vpopcntdq la57 rdpid fsrm md_clear pconfig flush_l1d arch_capabilities'.split(
      ' ',
    ),
};

/** Flags of an EPYC of the third generation. */
export const MILAN: Kernel = {
  vendor: 'AuthenticAMD',
  family: 25,
  model: 1,
  stepping: 1,
  physBits: 48,
  flags:
    'fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 ht syscall nx mmxext fxsr_opt pdpe1gb rdtscp lm constant_tsc rep_good nopl nonstop_tsc cpuid extd_apicid aperfmperf rapl pni pclmulqdq monitor ssse3 fma cx16 pcid sse4_1 sse4_2 x2apic movbe popcnt aes xsave avx f16c rdrand lahf_lm cmp_legacy svm extapic cr8_legacy abm sse4a misalignsse 3dnowprefetch osvw ibs skinit wdt tce topoext perfctr_core perfctr_nb bpext perfctr_llc mwaitx cpb cat_l3 cdp_l3 invpcid_single hw_pstate ssbd mba ibrs ibpb stibp vmmcall fsgsbase bmi1 avx2 smep bmi2 invpcid cqm rdt_a rdseed adx smap clflushopt clwb sha_ni xsaveopt xsavec xgetbv1 xsaves cqm_llc cqm_occup_llc cqm_mbm_total cqm_mbm_local clzero irperf xsaveerptr rdpru wbnoinvd amd_ppin arat npt lbrv svm_lock nrip_save tsc_scale vmcb_clean flushbyasid decodeassists pausefilter pfthreshold v_vmsave_vmload vgif v_spec_ctrl umip pku ospke vaes vpclmulqdq rdpid overflow_recov succor smca fsrm erms'.split(
      ' ',
    ),
};

const JSON_INDENT = 3;

export const asCpuinfo = (k: Kernel): string =>
  [
    'processor\t: 0',
    `vendor_id\t: ${k.vendor}`,
    `cpu family\t: ${k.family}`,
    `model\t\t: ${k.model}`,
    `stepping\t: ${k.stepping}`,
    `flags\t\t: ${k.flags.join(' ')}`,
    `address sizes\t: ${k.physBits} bits physical, 48 bits virtual`,
    '',
    '',
  ].join('\n');

export const asLscpu = (k: Kernel): string =>
  [
    'Architecture:            x86_64',
    '  CPU op-mode(s):        32-bit, 64-bit',
    `  Address sizes:         ${k.physBits} bits physical, 48 bits virtual`,
    'CPU(s):                  4',
    `Vendor ID:               ${k.vendor}`,
    '  Model name:            Some CPU @ 2.00GHz',
    `    CPU family:          ${k.family}`,
    `    Model:               ${k.model}`,
    `    Stepping:            ${k.stepping}`,
    `    Flags:               ${k.flags.join(' ')}`,
    'Vulnerabilities:         ',
    '  Mds:                   Not affected',
    '',
  ].join('\n');

/** lscpu -J of util-linux before 2.37: one list. */
export const asLscpuJson = (k: Kernel): string =>
  JSON.stringify(
    {
      lscpu: [
        { field: 'Architecture:', data: 'x86_64' },
        { field: 'CPU op-mode(s):', data: '32-bit, 64-bit' },
        { field: 'Address sizes:', data: `${k.physBits} bits physical, 48 bits virtual` },
        { field: 'Vendor ID:', data: k.vendor },
        { field: 'CPU family:', data: `${k.family}` },
        { field: 'Model:', data: `${k.model}` },
        { field: 'Stepping:', data: `${k.stepping}` },
        { field: 'Flags:', data: k.flags.join(' ') },
      ],
    },
    null,
    JSON_INDENT,
  );

/** The same since then: in groups. */
export const asLscpuNested = (k: Kernel): string =>
  JSON.stringify(
    {
      lscpu: [
        {
          field: 'Architecture:',
          data: 'x86_64',
          children: [
            { field: 'Address sizes:', data: `${k.physBits} bits physical, 48 bits virtual` },
          ],
        },
        {
          field: 'Vendor ID:',
          data: k.vendor,
          children: [
            {
              field: 'Model name:',
              data: 'Some CPU',
              children: [
                { field: 'CPU family:', data: `${k.family}` },
                { field: 'Model:', data: `${k.model}` },
                { field: 'Stepping:', data: `${k.stepping}` },
                { field: 'Flags:', data: k.flags.join(' ') },
              ],
            },
          ],
        },
        {
          field: 'Vulnerabilities:',
          data: null,
          children: [{ field: 'Mds:', data: 'Not affected' }],
        },
      ],
    },
    null,
    JSON_INDENT,
  );

/** /metrics of a node_exporter that prints the flags that `keep` lets through. */
export const asMetrics = (k: Kernel, keep: RegExp = /./): string =>
  [
    '# HELP node_cpu_flag_info The `flags` field of CPU information from /proc/cpuinfo taken from the first core.',
    '# TYPE node_cpu_flag_info gauge',
    ...k.flags
      .filter((flag) => keep.test(flag))
      .map((flag) => `node_cpu_flag_info{flag="${flag}"} 1`),
    `node_cpu_info{cachesize="1 KB",core="0",cpu="0",family="${k.family}",microcode="0x1",model="${k.model}",model_name="Some CPU",package="0",stepping="${k.stepping}",vendor="${k.vendor}"} 1`,
    'node_load1 0.5',
    '',
  ].join('\n');

/** What Prometheus answers to a query for both metrics of several hosts. */
export const asQueryResult = (
  hosts: Readonly<Record<string, Kernel>>,
  keep: RegExp = /./,
): string =>
  JSON.stringify({
    status: 'success',
    data: {
      resultType: 'vector',
      result: Object.entries(hosts).flatMap(([instance, k]) => [
        ...k.flags
          .filter((flag) => keep.test(flag))
          .map((flag) => ({
            metric: { __name__: 'node_cpu_flag_info', flag, instance, job: 'node' },
            value: [1.5, '1'],
          })),
        {
          metric: {
            __name__: 'node_cpu_info',
            instance,
            vendor: k.vendor,
            family: `${k.family}`,
            model: `${k.model}`,
            stepping: `${k.stepping}`,
          },
          value: [1.5, '1'],
        },
      ]),
    },
  });

/** GET /1.0/resources of an Incus member. */
export const asIncus = (k: Kernel): string =>
  JSON.stringify({
    type: 'sync',
    status: 'Success',
    metadata: {
      cpu: {
        architecture: 'x86_64',
        sockets: [
          {
            name: 'Some CPU',
            vendor: k.vendor,
            address_sizes: { physical_bits: k.physBits, virtual_bits: 48 },
            cores: [0, 1].map((core) => ({ core, numa_node: 0, threads: [], flags: k.flags })),
          },
        ],
        total: 2,
      },
    },
  });

/** What an ad-hoc slurp of Ansible answers. */
export const asSlurp = (hosts: Readonly<Record<string, Kernel>>): string =>
  Object.entries(hosts)
    .map(
      ([host, k]) =>
        `${host} | SUCCESS => ${JSON.stringify({ changed: false, content: btoa(asCpuinfo(k)), encoding: 'base64', source: '/proc/cpuinfo' }, null, 4)}`,
    )
    .join('\n');

/** vdsm-client Host getCapabilities. */
export const asVdsm = (k: Kernel, models: readonly string[] = []): string =>
  JSON.stringify({
    cpuModel: k.vendor === 'GenuineIntel' ? 'Intel(R) Some CPU' : 'AMD Some Processor',
    cpuFlags: [...k.flags, ...models.map((m) => `model_${m}`)].join(','),
  });
