// What libvirt knows of processors that are not x86: POWER models by the processor version register that means
// each (value, mask), and the features that an ARM guest may name; then every architecture that it has a name for, few
// of them with a CPU driver. Source: the cpu_map folder of libvirt 11.3.0; the names of libvirt 9.0 and loongarch64.
export default {
  ppc64: {
    vendors: ["IBM", "Freescale"],
    models: [
      { name: "POWER6", vendor: "IBM", pvr: [[0x003e0000, 0xffff0000]] },
      { name: "POWER7", vendor: "IBM", pvr: [[0x003f0000, 0xffff0000], [0x004a0000, 0xffff0000]] },
      { name: "POWER8", vendor: "IBM", pvr: [[0x004b0000, 0xffff0000], [0x004c0000, 0xffff0000], [0x004d0000, 0xffff0000]] },
      { name: "POWER9", vendor: "IBM", pvr: [[0x004e0000, 0xffff0000]] },
      { name: "POWER10", vendor: "IBM", pvr: [[0x00800000, 0xffff0000]] },
      { name: "POWERPC_e5500", vendor: "Freescale", pvr: [[0x80240000, 0xffff0000]] },
      { name: "POWERPC_e6500", vendor: "Freescale", pvr: [[0x80400000, 0xffff0000]] },
    ],
  },
  arm: { features: ["sve", "sve128", "sve256", "sve384", "sve512", "sve640", "sve768", "sve896", "sve1024", "sve1152", "sve1280", "sve1408", "sve1536", "sve1664", "sve1792", "sve1920", "sve2048", "pauth"] },
  names: ["aarch64", "alpha", "armv6l", "armv7b", "armv7l", "cris", "i686", "ia64", "lm32", "loongarch64", "m68k", "microblaze", "microblazeel", "mips", "mips64", "mips64el", "mipsel", "openrisc", "parisc", "parisc64", "ppc", "ppc64", "ppc64le", "ppcemb", "riscv32", "riscv64", "s390", "s390x", "sh4", "sh4eb", "sparc", "sparc64", "unicore32", "x86_64", "xtensa", "xtensaeb"],
};
