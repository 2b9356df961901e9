// Messages of virtualization software about CPUs that do not fit, and what is behind each. The order is that of
// asking: what says more comes first.

export interface Message {
  readonly code: string;
  /**
   * Any of these; two are one and, anywhere behind it, the other. Groups: `features` (a name; where it stands at the
   * end, more may follow behind commas), `bit` (QEMU's word and bit), `model`.
   */
  readonly patterns: readonly (RegExp | readonly [RegExp, RegExp])[];
  readonly means: string;
  readonly remedies: readonly string[];
  /** Nothing after it adds anything. */
  readonly last?: true;
}

/** The way out that almost all of them share. */
const DRAW =
  'plimsoll baseline with descriptions of all hosts gives a CPU that runs on each of them';

export const MESSAGES: readonly Message[] = [
  {
    code: 'extra-features',
    patterns: [
      [/guest CPU doesn't match specification:/i, /extra features: (?<features>[\w.+-]+)/i],
    ],
    means:
      'libvirt started QEMU with a definition that must match exactly (check="full", as in the XML of a running guest), and QEMU gave the guest more than it says: the two disagree about the model or the accelerator',
    remedies: [
      'the definition was written by another version of libvirt: start the guest anew from its inactive XML, or add the feature to the definition as policy="disable" or "require"',
    ],
  },
  {
    code: 'missing-features',
    patterns: [/(?:missing|unavailable) features: (?<features>[\w.+-]+)/i],
    means:
      'the guest has features that this host cannot give it; it was started on another host, or with other software',
    remedies: [
      DRAW,
      'a guest keeps what it was started with: it moves after it was started anew with the smaller CPU',
    ],
  },
  {
    code: 'required-features',
    patterns: [/does not provide required features: (?<features>[\w.+-]+)/i],
    means:
      'libvirt held the definition against the host before starting QEMU: the model or its features ask for more than the host has',
    remedies: [
      DRAW,
      'a model that libvirt knows is not one that the host can run: plimsoll compare HOST DEFINITION says what is missing',
    ],
  },
  {
    code: 'unsupported-feature',
    patterns: [
      /(?:host|TCG|accelerator) doesn't support requested feature: (?<bit>(?:CPUID|MSR)\S* \[bit \d+\])/,
    ],
    means:
      'QEMU was asked for a feature that the accelerator of this host cannot give; with enforce it does not start, without it the guest goes without',
    remedies: [DRAW],
  },
  {
    code: 'enforced',
    patterns: [/Host doesn't support requested features/i],
    means: 'QEMU was started with enforce, and the lines before this one name what the host lacks',
    remedies: [DRAW],
  },
  {
    code: 'unacceptable-cpu-info',
    patterns: [/Unacceptable CPU info/i],
    means:
      "Nova compared the guest's CPU, or that of its whole source host, with the destination and found it incompatible; with host-model and host-passthrough it compares hosts, which refuses moves that would work",
    remedies: [
      'set the same cpu_mode=custom and cpu_models on all compute nodes (plimsoll baseline --to nova); guests take it when they are started anew',
      '[workarounds] skip_cpu_compare_on_dest only moves the failure to the end of the migration',
    ],
  },
  {
    code: 'xapi-incompatible',
    patterns: [/VM_INCOMPATIBLE_WITH_THIS_HOST|CANNOT_EVACUATE_HOST/],
    means:
      'XAPI holds the features that the VM was started with against those of the host, or the pool has no host left that has them: the VM booted on a higher level than the pool has now',
    remedies: [
      'start the VM anew: it takes the level of the pool; plimsoll compare with the featuresets of both hosts (xe host-param-get param-name=cpu_info) names the features',
    ],
  },
  {
    code: 'no-node-for-host-model',
    patterns: [
      /NoSuitableNodesForHostModelMigration/i,
      [/host-model/i, /nodes? (?:are|is) available/i],
    ],
    means:
      'the machine runs with host-model, so it can only move to nodes whose labels name the CPU model and the features of the node on which it was first started',
    remedies: [
      'give machines one model that all nodes have (plimsoll baseline with kubectl get nodes -o json, --to kubevirt), and start them anew',
      'a machine that was moved once keeps the selectors of its first node until it is started anew',
    ],
  },
  {
    code: 'no-node-matches',
    patterns: [[/\b\d+\/\d+ nodes are available:/i, /node affinity|node selector|didn't match/i]],
    means:
      'no node has all the labels that the pod asks for; of a virtual machine these are its CPU model, its features and host-model labels',
    remedies: [
      'kubectl describe the launcher pod shows its cpu-model and cpu-feature selectors; plimsoll place says on which nodes such a guest runs',
    ],
  },
  {
    code: 'unknown-feature',
    patterns: [/Unknown CPU feature:? ['"]?(?<features>[\w.+-]+)/i],
    means:
      'libvirt of this host has no feature of that name: it is newer, older or spelt otherwise',
    remedies: ['plimsoll names NAME says who spells it how, and since when'],
  },
  {
    code: 'unknown-property',
    patterns: [
      /Property ['"`]?(?<model>[\w-]+)-x86_64-cpu[.'"` ]{1,3}(?<features>\w[\w.-]*)['"`]? not found/,
    ],
    means:
      'QEMU of this host knows no property of that name: it is newer, older or spelt otherwise',
    remedies: ['plimsoll names NAME says who spells it how, and since when'],
  },
  {
    code: 'unknown-model',
    patterns: [
      /(?:unable to find CPU (?:model|definition)|Unknown CPU model|CPU model)[: ]+['"]?(?<model>[\w.-]+)['"]?(?= |$|['"]|\.)(?! not supported by)/i,
    ],
    means: 'this host has no CPU model of that name; it may be one of newer software',
    remedies: ['--stack names the oldest software that must understand an answer of plimsoll'],
  },
  {
    code: 'non-migratable',
    patterns: [/State blocked by non-migratable CPU device(?: \((?<features>[\w-]+) flag\))?/],
    means:
      'the guest has a CPU feature that QEMU does not move, as libvirt asked it for with migratable="off"',
    remedies: [
      'with host-passthrough, migratable="on" leaves such features out; definitions of plimsoll never have them',
    ],
  },
  {
    code: 'vendors-differ',
    patterns: [
      /CPU vendors? (?:do(?:es)? not match|mismatch)|CPU from a different vendor/i,
      [/CPU vendors? /i, /different vendor/i],
      [/vendor of the CPU /i, / (?:differ|match)/i],
    ],
    means:
      'source and destination are of different makers: their XSAVE layouts, their mitigations and 32-bit system calls differ, so a running guest cannot cross over',
    remedies: ['plimsoll baseline --by vendor draws a line for each; guests cross over shut down'],
  },
  {
    code: 'incompatible',
    patterns: [
      /CPUs are incompatible|cpu is not compatible with host cpu|CPU (?:does not|doesn't) have compatibility|guest and host CPU are not compatible|CPU is incompatible with host CPU/i,
    ],
    means:
      'the definition asks for a CPU that this host cannot give, or hosts have nothing in common',
    remedies: ['plimsoll compare HOST DEFINITION names the features', DRAW],
  },
  {
    code: 'cluster-type',
    patterns: [
      [
        /does not match the Cluster CPU Type|missing the following CPU flags?/i,
        /flags?: ?(?<features>[\w.+-]+)/i,
      ],
      /does not match the Cluster CPU Type|missing the following CPU flags?:?/i,
    ],
    means:
      "the host lacks a flag that the cluster's CPU type of oVirt requires; model_X among them means that its libvirt does not call model X usable",
    remedies: [
      'a required flag that is misspelt in the type can never be had: plimsoll decode on the entry of ServerCPUList finds it',
      'plimsoll baseline --to ovirt writes a type that every host has',
    ],
  },
  {
    code: 'phys-bits',
    patterns: [
      [/phys-bits /i, /host/i],
      /phys-bits (?:too low|should be)|Address space limit|physical address (?:bits|width)/i,
      /reserved bit (?:violation|set)|#PF: error_code\(0x[0-9a-f]*[89]\)/i,
    ],
    means:
      'the guest counts on more physical address bits than the host has: devices are mapped above what it can address, and the guest dies after a move',
    remedies: [
      'give guests the least of all hosts: plimsoll baseline writes it (maxphysaddr, phys-bits), with host-phys-bits off',
    ],
  },
  {
    code: 'tsc',
    patterns: [/TSC frequency|tsc-frequency|tsc_khz|TSC (?:mismatch|scaling)|invariant TSC/i],
    means:
      'the guest needs the clock of its first host: the destination runs at another frequency and cannot scale it',
    remedies: [
      'only nodes that take guests count: --schedulable leaves the others out; all need the least frequency, or tsc-scaling',
      'leave invtsc and Hyper-V reenlightenment off where frequencies differ',
    ],
  },
  {
    code: 'xsave-layout',
    patterns: [
      [/XSAVE (?:offset|size|area|layout|state)/i, /differs?|!=|mismatch|invalid/i],
      /failed to (?:set|restore) (?:the )?xsave|KVM_SET_XSAVE/i,
    ],
    means:
      'the saved state of the vector registers has another layout or size than this processor has: it comes from another vendor, or from a host with more components (MPX, PKU, AVX-512, AMX)',
    remedies: ['plimsoll baseline splits a fleet whose layouts differ, and names the component'],
  },
  {
    code: 'model-specific-register',
    patterns: [
      /failed to set MSR 0x[0-9a-f]+|error: failed to set MSR/i,
      [/(?:set|restore|write)[^.;]{0,20}MSR/i, /^[^.;]{0,40}(?:fail|error|only)/i],
    ],
    means:
      'the guest brings a model-specific register that this kernel or processor does not have (MPX, TSX and arch-capabilities are the usual ones)',
    remedies: ['switch the feature behind the register off, and start the guest anew', DRAW],
  },
  {
    code: 'snapshot-elsewhere',
    patterns: [
      /illegal instruction|SIGILL|failed to fill whole buffer|CPU vendor mismatch/i,
      [/snapshot/i, /CPU|vendor/i],
    ],
    means:
      'a program or a restored snapshot uses instructions that this processor lacks: it was saved on a newer one, and nothing checked',
    remedies: [
      'take snapshots under a CPU that all hosts have: plimsoll baseline --to firecracker writes a template',
    ],
  },
  {
    code: 'proxmox-cpu-type',
    patterns: [
      /Built-in cputype ['"](?<model>[\w.-]+)['"] is not defined|VM-specific CPU flags must be a subset/,
    ],
    means:
      'Proxmox VE takes only CPU types and flags of its own lists in the configuration of a VM; everything else belongs into a custom model',
    remedies: [
      'plimsoll baseline --to proxmox writes one for cpu-models.conf, used as custom-NAME',
    ],
  },
  {
    code: 'arm-host-cpu',
    patterns: [
      [/host-model|CPU mode/i, /aarch64|not supported by hypervisor/i],
      /KVM_SET_ONE_REG|Failed to put registers after init|invalid ID register/i,
    ],
    means:
      'on ARM there are no named models under KVM: a guest has the CPU of its host, and moves only where ID registers are the same',
    remedies: [
      'plimsoll compare HOST OTHER says whether two ARM hosts are one processor (their MIDR, and what else tells them apart); keep guests within hosts that are',
    ],
  },
];
