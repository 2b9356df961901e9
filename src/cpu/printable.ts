// Text that leaves the process: characters that drive a terminal, turn the direction of writing or take no room are
// written as escapes, so that what is read is what is there.

/** C0, DEL, C1, marks of direction and of no width, ends of line that no editor shows. */
const HIDDEN =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for.
  /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
/** The same where text has lines and columns. */
const HIDDEN_IN_LINES =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for.
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
const COLOUR_OR_HIDDEN = new RegExp(`\\x1b\\[\\d{1,2}m|${HIDDEN_IN_LINES.source}`, 'g');

const escaped = (c: string): string => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`;

/**
 * A name or sentence from an input as it may be printed: hidden characters are `\u` escapes, line feeds too.
 * @example printable('db\u200b-07\n') // 'db\\u200b-07\\u000a'
 */
export const printable = (text: string): string => text.replace(HIDDEN, escaped);

/** Whether a text holds a character that `printable` would escape. */
export const isPrintable = (text: string): boolean => text.search(HIDDEN) < 0;

/**
 * Text in lines, or JSON, as it may leave the process: as `printable`, but line feeds and tabs stay. JSON stays the same
 * data, for these characters stand in its strings alone. With `colours`, the escapes of a terminal's colours stay, too.
 */
export const printableLines = (text: string, colours = false): string =>
  colours
    ? text.replace(COLOUR_OR_HIDDEN, (found) => (found.length > 1 ? found : escaped(found)))
    : text.replace(HIDDEN_IN_LINES, escaped);
