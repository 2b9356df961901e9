// Leaves of CPUID that KVM hands out without a table of bits: what passes of them, and what must be there for any of it.
import { behind, macroOf } from './c.ts';

const GATE = /if \(!kvm_cpu_cap_has\(X86_FEATURE_(\w+)\)\) \{\s*entry->eax[^{}]*\}/;

/** What KVM does with a leaf, up to the next; null where it has no case for it. */
function caseOf(cases: string, place: string): string | null {
  const leaf = /^cpuid\.([0-9a-f]+)\./.exec(place)?.[1];
  const from = leaf === undefined ? null : new RegExp(`\\bcase 0x${leaf}:`, 'i').exec(cases);
  if (!from) return null;
  const rest = cases.slice(from.index + from[0].length);
  const end = /\bcase (?:0x)?\w+:|\bdefault:/.exec(rest);
  return rest.slice(0, end?.index);
}

/** The feature without which a leaf is handed out empty. */
export const gateOf = (cases: string, place: string): string | null =>
  GATE.exec(caseOf(cases, place) ?? '')?.[1] ?? null;

/** Whether a bit of a leaf that stands behind a gate passes as the processor has it. */
export function passes(cases: string, place: string, constants: string): boolean {
  const text = caseOf(cases, place);
  if (text === null || !GATE.test(text)) return false;
  const [, , subleaf, register, bit] = place.split('.');
  const part = subleafOf(text.replace(GATE, ''), Number(subleaf));
  if (part === null) return false;
  const mask = behind(part, `entry->${register} &= `, ';');
  if (mask !== null) return holds(mask, bit!, constants);
  return !new RegExp(`entry->${register} =|cpuid_entry_override`).test(part);
}

/** Whether an expression of constants and of macros made of them has a bit. */
function holds(mask: string, bit: string, constants: string): boolean {
  return [...mask.matchAll(/\b[A-Z]\w+/g)].some(([name]) => {
    const of = macroOf(constants, name);
    if (of !== null && !/^BIT/.test(of)) return holds(of, bit, constants);
    return new RegExp(`\\b${name}[\\s=]+BIT\\(${bit}\\)`).test(constants);
  });
}

/** What is done with one subleaf: the first is at hand when the case begins, others are fetched. */
function subleafOf(text: string, subleaf: number): string | null {
  const parts = text.split(/do_host_cpuid\(array, function, (\w+)\)/);
  if (subleaf === 0) return parts[0]!;
  for (let i = 1; i < parts.length; i += 2)
    if (parts[i] === 'i' || Number(parts[i]) === subleaf) return parts[i + 1]!;
  return null;
}
