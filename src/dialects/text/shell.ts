// Command lines as text.

/** A quoted part of a word, a bare one, or what ends it: space, or a quotation mark that nothing closes. */
const PART = /'([^']*)'|"([^"]*)"|([^\s'"]+)|\s+|['"]/g;

/** The words of a line as a shell would take them apart. */
export function argumentsOf(line: string): string[] {
  const words: string[] = [];
  let isOpen = false;
  for (const [, single, double, bare] of line.matchAll(PART)) {
    const part = single ?? double ?? bare;
    if (part !== undefined && isOpen) words.push(words.pop()! + part);
    else if (part !== undefined) words.push(part);
    isOpen = part !== undefined;
  }
  return words;
}
