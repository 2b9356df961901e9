// Command lines as text.

const WORD = /(?:'[^']*'|"(?:[^"\\]|\\.)*"|\\.|[^\s'"\\])+/g;
const PART = /'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)/g;

/** The words of a line as a shell would take them apart. */
export const argumentsOf = (line: string): string[] =>
  [...line.matchAll(WORD)].map(([word]) =>
    word.replace(
      PART,
      (_, single, double, escaped) => single ?? escaped ?? double.replace(/\\(["\\$`])/g, '$1'),
    ),
  );
