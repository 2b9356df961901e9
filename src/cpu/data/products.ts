// What products on top of QEMU and libvirt call CPUs, and which names they take. Sources: Proxmox VE 7.4 to 9.2
// (qemu-server, CPUConfig.pm and CPUFlags.pm); KubeVirt (virt-handler/node-labeller/util, DefaultObsoleteCPUModels); machine types of CentOS
// Stream 10's and Ubuntu's QEMU; Node Feature Discovery (source/cpu/cpu.go) with klauspost/cpuid 2.2; the x86-64 psABI,
// table 3.1; VMware's and Microsoft's documents on EVC and processor compatibility (by name alone); Xen's
// public/arch-x86/cpufeatureset.h.
export default {
  proxmox: {
    /** The qemu-server of a node by its QEMU: the oldest and the newest that stand on it. */
    servers: {
      '0': '6.1-5 7.2-4',
      '7.2': '7.4-2 7.4-7',
      '8.0': '8.0.6 8.0.9',
      '8.1': '8.0.10 8.2.7',
      '9.0': '8.2.8 8.3.11',
      '9.2': '8.3.12 8.4.10',
      '10.0': '9.0.16 9.0.30',
      '10.1': '9.1.0 9.1.14',
      '11.0': '9.1.15 9.2.6',
    } as Record<string, string>,
    /** CPU types by the first qemu-server that takes them: of a model with an alias the alias alone. */
    models: {
      '6.1-5':
        '486 Broadwell Broadwell-IBRS Broadwell-noTSX Broadwell-noTSX-IBRS Cascadelake-Server Conroe EPYC EPYC-IBPB Haswell Haswell-IBRS Haswell-noTSX Haswell-noTSX-IBRS IvyBridge IvyBridge-IBRS KnightsMill Nehalem Nehalem-IBRS Opteron_G1 Opteron_G2 Opteron_G3 Opteron_G4 Opteron_G5 Penryn SandyBridge SandyBridge-IBRS Skylake-Client Skylake-Client-IBRS Skylake-Server Skylake-Server-IBRS Westmere Westmere-IBRS athlon core2duo coreduo kvm32 kvm64 pentium pentium2 pentium3 phenom qemu32 qemu64',
      '6.1-7':
        'Cascadelake-Server-noTSX Icelake-Client Icelake-Client-noTSX Icelake-Server Icelake-Server-noTSX Skylake-Client-noTSX-IBRS Skylake-Server-noTSX-IBRS',
      '6.1-13': 'EPYC-Rome',
      '7.2-4': 'EPYC-Milan',
      '8.0.5':
        'Cascadelake-Server-v2 Cascadelake-Server-v4 Cascadelake-Server-v5 Cooperlake Cooperlake-v2 EPYC-Rome-v2 EPYC-v3 Icelake-Server-v3 Icelake-Server-v4 Icelake-Server-v5 Icelake-Server-v6 SapphireRapids Skylake-Client-v4 Skylake-Server-v4 Skylake-Server-v5',
      '8.1.0':
        'EPYC-Genoa EPYC-Milan-v2 EPYC-Rome-v3 EPYC-Rome-v4 EPYC-v4 GraniteRapids SapphireRapids-v2',
      '9.1.4':
        'ClearwaterForest EPYC-Genoa-v2 EPYC-Milan-v3 EPYC-Rome-v5 EPYC-Turin EPYC-v5 GraniteRapids-v2 GraniteRapids-v3 Icelake-Server-v7 SapphireRapids-v3 SapphireRapids-v4 SierraForest SierraForest-v2 SierraForest-v3',
      '9.1.15':
        'ClearwaterForest-v2 ClearwaterForest-v3 DiamondRapids GraniteRapids-v4 GraniteRapids-v5 SapphireRapids-v5 SapphireRapids-v6 SierraForest-v4 SierraForest-v5',
    } as Record<string, string>,
    /** CPU types for VMs of aarch64, all since 9.1.5. */
    armModels:
      'a64fx cortex-a35 cortex-a53 cortex-a55 cortex-a57 cortex-a710 cortex-a72 cortex-a76 cortex-a78ae neoverse-n1 neoverse-n2 neoverse-v1',
    /** Types of no vendor, whose guests see their host's. */
    vendorless: 'host kvm32 kvm64 max qemu32 qemu64',
    /** Types beside those named for it that are AMD's; all others are Intel's. */
    amd: '^(?:athlon|phenom|Opteron|EPYC)',
    /** Types that no firmware of UEFI starts. */
    bits32: '486 athlon coreduo kvm32 pentium pentium2 pentium3 qemu32',
    /** Flags that the configuration of a VM may name, beside nested-virt since 9.0.27. */
    vmFlags:
      'aes amd-no-ssb amd-ssbd hv-evmcs hv-tlbflush ibpb md-clear pcid pdpe1gb spec-ctrl ssbd virt-ssbd',
    /** The highest +pveN of machine types; 0 where not named. */
    revisions: { '4.1': 2, '9.2': 1, '10.0': 1, '11.0': 2 } as Record<string, number>,
    /** What it switches by itself beside models of these names. */
    automatic: {
      '^kvm(?:32|64)$': '+sep',
      '^kvm64$': '+lahf-lm',
      '^Opteron': '-rdtscp',
    } as Record<string, string>,
    /** Its own models: qemu64 and these on top. */
    builtin: {
      'x86-64-v2': 'popcnt pni sse4.1 sse4.2 ssse3',
      'x86-64-v2-AES': 'aes popcnt pni sse4.1 sse4.2 ssse3',
      'x86-64-v3':
        'aes popcnt pni sse4.1 sse4.2 ssse3 avx avx2 bmi1 bmi2 f16c fma abm movbe xsave',
      'x86-64-v4':
        'aes popcnt pni sse4.1 sse4.2 ssse3 avx avx2 bmi1 bmi2 f16c fma abm movbe xsave avx512f avx512bw avx512cd avx512dq avx512vl',
    },
  },
  kubevirt: {
    /** Models that its node labeller never labels (obsoleteCPUModels), unless the cluster is configured otherwise. */
    obsolete:
      '486 Conroe athlon core2duo coreduo kvm32 kvm64 n270 pentium pentium2 pentium3 pentiumpro phenom qemu32 qemu64',
  },
  /**
   * Physical address bits of the generations that QEMU's models are named for, where all of its processors have as many
   * (CPUID dumps of InstLatx64). Others differ between client and server, or with memory encryption.
   */
  generations: {
    '46': 'Cascadelake-Server Icelake-Server Skylake-Server',
    '48': 'EPYC EPYC-Milan EPYC-Rome Opteron_G3 Opteron_G4 Opteron_G5',
    '52': 'EPYC-Genoa EPYC-Turin',
  } as Record<string, string>,
  /** Machine types of distributions on which a guest has the address bits of its host (host-phys-bits=on). */
  hostPhysBits: '-rhel\\d|-hpb(?:-v\\d+)?$',
  /** Beyond the features of the level before; abm stands for LZCNT. */
  levels: {
    'x86-64-v1': 'cmov cx8 fpu fxsr mmx syscall sse sse2',
    'x86-64-v2': 'cx16 lahf-lm popcnt pni sse4.1 sse4.2 ssse3',
    'x86-64-v3': 'avx avx2 bmi1 bmi2 f16c fma abm movbe xsave',
    'x86-64-v4': 'avx512f avx512bw avx512cd avx512dq avx512vl',
  },
  nfd: {
    /** Not published unless an administrator changes the configuration. */
    hidden:
      'BMI1 BMI2 CLMUL CMOV CX16 ERMS F16C HTT LZCNT MMX MMXEXT NX POPCNT RDRAND RDSEED RDTSCP SGX SGXLC SSE SSE2 SSE3 SSE4 SSE42 SSSE3 TDX_GUEST',
    /** Published by every version of this decade where the processor has them. */
    steady:
      'ADX AESNI AVX AVX2 AVX512BITALG AVX512BW AVX512CD AVX512DQ AVX512ER AVX512F AVX512IFMA AVX512PF AVX512VBMI AVX512VBMI2 AVX512VL AVX512VNNI AVX512VPOPCNTDQ FMA3 FMA4 GFNI HLE MPX RTM SHA SSE4A TBM VAES VPCLMULQDQ XOP',
    /** Names that differ by more than case and punctuation. */
    names: {
      AESNI: 'aes', AMD3DNOW: '3dnow', AMD3DNOWEXT: '3dnowext', APX_F: 'apxf', CLMUL: 'pclmulqdq',
      CETIBT: 'cet-ibt', CETSS: 'cet-ss', CMPXCHG8: 'cx8', CMPSB_SCADBS_SHORT: 'fsrc',
      EFER_LMSLE_UNS: 'no-lmsle', FMA3: 'fma', FXSROPT: 'fxsr-opt', HTT: 'ht',
      IA32_ARCH_CAP: 'arch-capabilities', IA32_CORE_CAP: 'core-capability',
      IDPRED_CTRL: 'ipred-ctrl', LAHF: 'lahf-lm', LBRVIRT: 'lbrv', LZCNT: 'abm',
      MCAOVERFLOW: 'overflow-recov', MOVSB_ZL: 'fzrm', NRIPS: 'nrip-save',
      PREFETCHI: 'prefetchiti', SHA: 'sha-ni', SM3_X86: 'sm3', SM4_X86: 'sm4',
      SCE: 'sep', SRSO_USER_KERNEL_NO: 'srso-user-kernel-no', SSE3: 'pni',
      SSE4: 'sse4.1', SSE42: 'sse4.2', STOSB_SHORT: 'fsrs', SVMDA: 'decodeassists',
      SVMFBASID: 'flushbyasid', SVML: 'svm-lock', SVMNP: 'npt', SVMPF: 'pause-filter',
      SVMPFT: 'pfthreshold', SYSEE: 'sep', TOPEXT: 'topoext', TSA_VERW_CLEAR: 'verw-clear',
      TSCRATEMSR: 'tsc-scale', X87: 'fpu',
    } as Record<string, string>,
    /** Names that stand for the bits of several vendors. */
    byVendor: {
      IBPB: { Intel: 'spec-ctrl', AMD: 'ibpb', Hygon: 'ibpb' },
      IBRS: { AMD: 'ibrs', Hygon: 'ibrs' },
      STIBP: { Intel: 'stibp', AMD: 'amd-stibp', Hygon: 'amd-stibp' },
      SPEC_CTRL_SSBD: { Intel: 'ssbd', AMD: 'amd-ssbd', Hygon: 'amd-ssbd' },
      PSFD: { Intel: 'intel-psfd', AMD: 'amd-psfd', Hygon: 'amd-psfd' },
    } as Record<string, Record<string, string>>,
    /** What it publishes of processors and no guest is given by name. */
    other:
      'AMXTRANSPOSE AVX512BMM AVXSLOW CPBOOST CPPC ENQCMD FP128 FP256 HRESET HWA HYBRID_CPU IBRS_PREFERRED IBRS_PROVIDES_SMP IBSBRNTRGT IBSFETCHSAM IBSFFV IBSOPCNT IBSOPCNTEXT IBSOPSAM IBSRDWROPCNT IBSRIPINVALIDCHK IBS_FETCH_CTLX IBS_OPDATA4 IBS_OPFUSE IBS_PREVENTHOST IBS_ZEN4 INT_WBINVD INVLPGB KEYLOCKER KEYLOCKERW MCOMMIT MOVU MSRIRC MSRLIST MSR_PAGEFLUSH PPIN RDPRU RTM_ALWAYS_ABORT SEV SEV_64BIT SEV_ALTERNATIVE SEV_DEBUGSWAP SEV_ES SEV_RESTRICTED SEV_SNP SGXPQC SME SME_COHERENT SRBDS_CTRL SRSO_MSR_FIX TDX_GUEST TLB_FLUSH_NESTED TME VMPL VMSA_REGPROT VTE',
  },
  /** The QEMU model of the generation that a level is named for. */
  evc: {
    'intel-merom': 'Conroe-v1', 'intel-penryn': 'Penryn-v1', 'intel-nehalem': 'Nehalem-v1',
    'intel-westmere': 'Westmere-v1', 'intel-sandybridge': 'SandyBridge-v1',
    'intel-ivybridge': 'IvyBridge-v1', 'intel-haswell': 'Haswell-v2',
    'intel-broadwell': 'Broadwell-v2', 'intel-skylake': 'Skylake-Server-v3',
    'intel-cascadelake': 'Cascadelake-Server-v3', 'intel-icelake': 'Icelake-Server-v2',
    'intel-sapphirerapids': 'SapphireRapids-v1', 'amd-rev-e': 'Opteron_G1-v1',
    'amd-rev-f': 'Opteron_G2-v1', 'amd-greyhound-no3dnow': 'Opteron_G3-v1',
    'amd-greyhound': 'Opteron_G3-v1', 'amd-bulldozer': 'Opteron_G4-v1',
    'amd-piledriver': 'Opteron_G5-v1', 'amd-steamroller': 'Opteron_G5-v1', 'amd-zen': 'EPYC-v1',
    'amd-zen2': 'EPYC-Rome-v1', 'amd-zen3': 'EPYC-Milan-v1', 'amd-zen4': 'EPYC-Genoa-v1',
  } as Record<string, string>,
  /** What Hyper-V's compatibility mode of old (MinimumFeatureSet) leaves on every 64-bit processor. */
  hyperv: {
    model: 'qemu64-v1',
    without: 'svm ssse3 sse4.1 sse4.2 sse4a popcnt abm misalignsse xsave avx 3dnow 3dnowext',
  },
  /** The guest's CPU behind the names of cluster CPU types, as oVirt 4.4 and newer ship them. */
  ovirt: {
    'Intel Nehalem Family': 'Nehalem',
    'Secure Intel Nehalem Family': 'Nehalem,+spec-ctrl,+ssbd,+md-clear',
    'Intel Westmere Family': 'Westmere',
    'Secure Intel Westmere Family': 'Westmere,+pcid,+spec-ctrl,+ssbd,+md-clear',
    'Intel SandyBridge Family': 'SandyBridge',
    'Secure Intel SandyBridge Family': 'SandyBridge,+pcid,+spec-ctrl,+ssbd,+md-clear',
    'Intel IvyBridge Family': 'IvyBridge',
    'Secure Intel IvyBridge Family': 'IvyBridge,+pcid,+spec-ctrl,+ssbd,+md-clear',
    'Intel Haswell Family': 'Haswell-noTSX',
    'Secure Intel Haswell Family': 'Haswell-noTSX,+spec-ctrl,+ssbd,+md-clear',
    'Intel Broadwell Family': 'Broadwell-noTSX',
    'Secure Intel Broadwell Family': 'Broadwell-noTSX,+spec-ctrl,+ssbd,+md-clear',
    'Intel Skylake Client Family': 'Skylake-Client,-hle,-rtm',
    'Secure Intel Skylake Client Family': 'Skylake-Client,+spec-ctrl,+ssbd,+md-clear,-hle,-rtm',
    'Intel Skylake Server Family': 'Skylake-Server,-hle,-rtm',
    'Secure Intel Skylake Server Family': 'Skylake-Server,+spec-ctrl,+ssbd,+md-clear,-hle,-rtm',
    'Intel Cascadelake Server Family': 'Cascadelake-Server,-hle,-rtm,+arch-capabilities',
    'Secure Intel Cascadelake Server Family':
      'Cascadelake-Server,+md-clear,+mds-no,-hle,-rtm,+tsx-ctrl,+arch-capabilities',
    'AMD Opteron G4': 'Opteron_G4',
    'AMD Opteron G5': 'Opteron_G5',
    'AMD EPYC': 'EPYC',
    'Secure AMD EPYC': 'EPYC,+ibpb,+virt-ssbd',
  } as Record<string, string>,
  /** Names that some release used and nobody takes today. */
  renamed: {
    'arch-facilities': ['arch-capabilities', 'libvirt of RHEL 7 called it so'],
    spec_ctrl: ['spec-ctrl', 'old kernels print it, and oVirt writes it, with an underscore'],
    intel_stibp: ['stibp', 'old kernels called it so'],
    'Icelake-Client': ['Icelake-Server', 'QEMU removed it in 7.1, for there was no such processor'],
  } as Record<string, string[]>,
  /** Xen's words, in its order: CPUID leaf and subleaf and register, or half of an MSR. */
  xen: [
    '1.0.edx', '1.0.ecx', '80000001.0.edx', '80000001.0.ecx', 'd.1.eax', '7.0.ebx', '7.0.ecx',
    '80000007.0.edx', '80000008.0.ebx', '7.0.edx', '7.1.eax', '80000021.0.eax', '7.1.ebx',
    '7.2.edx', '7.1.ecx', '7.1.edx', '10a.lo', '10a.hi', '80000021.0.ecx',
  ],
};
