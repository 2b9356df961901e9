// The catalog's data as text, in one module, so that it is loaded in one go and only when it is asked for.
export { default as features } from '../data/features.ts';
export { default as kvm } from '../data/kvm.ts';
export { default as libvirt } from '../data/libvirt.ts';
export { default as machines } from '../data/machines.ts';
export { default as qemu } from '../data/qemu.ts';
