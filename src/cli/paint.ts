// Colours, where they are wanted: text is laid out plain first and painted after, so that widths hold.
import picocolors from 'picocolors';
import { type ColorChoice, type Io, wantsColor } from './io.ts';

export type Paint = ReturnType<typeof picocolors.createColors>;

/** Colours for an answer; a file gets them only on demand. */
export const painter = (
  io: Io,
  options: { readonly color: ColorChoice; readonly output?: string },
): Paint =>
  picocolors.createColors(
    wantsColor(
      io,
      options.output !== undefined && options.color === 'auto' ? 'never' : options.color,
    ),
  );
