// Command lines as text.

/** A quoted part of a word, a bare one, or what ends it: space, or a mark that nothing closes. */
const PART = /'([^']*)'|"([^"\\]*(?:\\.[^"\\]*)*)"|\\(.)|([^\s'"\\]+)|\s+|['"\\]/gs;

/** The words of a line as a shell would take them apart. */
export function argumentsOf(line: string): string[] {
  const words: string[] = [];
  let isOpen = false;
  for (const [, single, double, escaped, bare] of line.matchAll(PART)) {
    const part = single ?? double?.replace(/\\(["\\$`])/g, '$1') ?? escaped ?? bare;
    if (part !== undefined && isOpen) words.push(words.pop()! + part);
    else if (part !== undefined) words.push(part);
    isOpen = part !== undefined;
  }
  return words;
}
