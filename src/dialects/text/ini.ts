// Files of sections and key = value lines, as Python's configparser and QEMU read them.
import { QueryError } from '../../cpu/errors.ts';
import { shortLines } from './documents.ts';
import { quote } from './lines.ts';

export interface Setting {
  readonly value: string;
  readonly line: number;
}

/** @throws QueryError for a line that is neither. */
export function readIni(name: string, text: string): Map<string, Map<string, Setting>> {
  const sections = new Map<string, Map<string, Setting>>();
  let section: Map<string, Setting> | undefined;
  let last: string | undefined;
  for (const [i, line] of shortLines(name, text).entries()) {
    const bare = line.split(/\s[#;]/, 1)[0]!.trimEnd();
    if (bare.trim() === '' || /^\s*[#;]/.test(bare)) continue;
    const head = /^\[([^\]]+)\]$/.exec(bare.trim());
    const setting = /^([\w.-]+)\s*[=:]([\s\S]*)$/.exec(bare);
    if (head) {
      section = sections.get(head[1]!) ?? new Map();
      sections.set(head[1]!, section);
      last = undefined;
    } else if (setting && section) {
      last = setting[1]!;
      section.set(last, { value: setting[2]!.trimStart(), line: i + 1 });
    } else if (/^\s/.test(line) && section && last !== undefined) {
      const before = section.get(last)!;
      section.set(last, { ...before, value: `${before.value}\n${bare.trim()}` });
    } else
      throw new QueryError(
        `${name}:${i + 1}: ${quote(bare.trim())} is no line of an INI file; write key = value under a [section]`,
      );
  }
  return sections;
}
