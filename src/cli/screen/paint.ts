// Colours, where they are wanted: text is laid out plain first and painted after, so that widths hold.
import { type ColorChoice, type Io, paintOn, wantsColor } from '../io.ts';

type Dye = (text: string) => string;
export type Paint = Readonly<Record<'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan', Dye>>;

const plain: Dye = (text) => text;
const PLAIN: Paint = {
  bold: plain,
  dim: plain,
  red: plain,
  green: plain,
  yellow: plain,
  cyan: plain,
};

/** Colours for an answer; a file gets them only on demand. */
export async function painter(
  io: Io,
  options: { readonly color: ColorChoice; readonly output?: string },
): Promise<Paint> {
  const isForFile = options.output !== undefined && options.color === 'auto';
  if (!wantsColor(io, isForFile ? 'never' : options.color)) return PLAIN;
  paintOn(io.stdout);
  // It looks at the process's streams, and those take milliseconds to load.
  const { default: picocolors } = await import('picocolors');
  return picocolors.createColors(true);
}
