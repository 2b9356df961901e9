// What must not be left behind where the command is ended on its way: files that are half written, programs that it
// started. Nothing is listened to before there is something to undo, so a signal ends all other work at once.

/** What asks a command to end, and its number, which is the same on every system. */
const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGTERM: 15 } as const;

/** A signal takes less to arrive; the first process of a container does not get its own. */
const ARRIVES_MS = 100;

const undone = new Set<() => void>();
let listens = false;

/** Has this done, at once and whole, if the command ends before the function that comes back is called. */
export function atEnd(undo: () => void): () => void {
  if (!listens) listen();
  undone.add(undo);
  return () => {
    undone.delete(undo);
  };
}

function listen(): void {
  listens = true;
  process.on('exit', undoAll);
  for (const [signal, number] of Object.entries(SIGNALS))
    process.once(signal, () => {
      undoAll();
      // Who waits for the command learns the signal that ended it: a shell says 128 and its number, and leaves its loop.
      process.kill(process.pid, signal);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ARRIVES_MS);
      process.exit(128 + number);
    });
}

function undoAll(): void {
  for (const undo of undone)
    try {
      undo();
    } catch {
      // What cannot be undone does not keep the rest from it.
    }
  undone.clear();
}
