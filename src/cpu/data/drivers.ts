// Features that libvirt's QEMU driver takes out of the definitions that it hands on, although its CPU code knows
// them: QEMU decides about them, or has no name for them. Source: what the daemon of libvirt 11.3 was seen to leave out.
export default {
  qemu: ["cmt", "mbm_total", "mbm_local", "osxsave", "ospke", "vmx-ept-uc", "vmx-ept-wb", "vmx-invvpid-single-context"],
};
