// Where text stops being JSON: JSON.parse says that it is none, and only sometimes where.

const BLANK = /[ \t\n\r]*/y;
const SCALAR = /true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;

/** The first position that no JSON could go on from; the length of the text where only its end is too early. */
export function mistakeIn(text: string): number {
  const open: ('{' | '[')[] = [];
  // A value, a value or the end of its list, a key or the end of its object, a key, a colon, what may follow a value.
  let expected: 'value' | 'item' | 'member' | 'key' | 'colon' | 'after' = 'value';
  for (let at = skip(BLANK, text, 0); at < text.length; at = skip(BLANK, text, at)) {
    const c = text[at]!;
    if (expected === 'after') {
      const last = open.at(-1);
      if (last === undefined) return at;
      if (c === ',') expected = last === '{' ? 'key' : 'value';
      else if (c === (last === '{' ? '}' : ']')) open.pop();
      else return at;
      at++;
    } else if (expected === 'colon') {
      if (c !== ':') return at;
      expected = 'value';
      at++;
    } else if (expected === 'member' || expected === 'key') {
      if (c === '}' && expected === 'member') {
        open.pop();
        expected = 'after';
        at++;
        continue;
      }
      if (c !== '"') return at;
      const end = endOfString(text, at);
      if (end < 0) return -end - 1;
      at = end;
      expected = 'colon';
    } else if (c === '{' || c === '[') {
      open.push(c);
      expected = c === '{' ? 'member' : 'item';
      at++;
    } else if (c === ']' && expected === 'item') {
      open.pop();
      expected = 'after';
      at++;
    } else {
      const end = c === '"' ? endOfString(text, at) : skip(SCALAR, text, at);
      if (end < 0) return -end - 1;
      if (end === at) return at;
      at = end;
      expected = 'after';
    }
  }
  return text.length;
}

function skip(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : at;
}

/** Behind a string's closing quote; where it cannot go on, that position negated and less one. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    const c = text.charCodeAt(at);
    if (c === 0x22) return at + 1;
    if (c < 0x20) return -at - 1;
    if (c !== 0x5c) continue;
    const end = skip(ESCAPE, text, at);
    if (end === at) return -at - 1;
    at = end - 1;
  }
  return -text.length - 1;
}
