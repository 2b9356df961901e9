// Features that libvirt's QEMU driver takes out of the definitions that it hands on, although its CPU code knows
// them: QEMU decides about them, or has no name for them. Source: src/qemu/qemu_capabilities.c of libvirt 11.3.0.
export default {
  qemu: ["cmt", "mbm_total", "mbm_local", "osxsave", "ospke", "vmx-ept-uc", "vmx-ept-wb", "vmx-invvpid-single-context"],
};
