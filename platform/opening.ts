// What a process opens on its way to being ready, and closes in turn, the last first: at its end, when one of the parts cannot be
// opened, and when it is told to end before all are, for some wait as long as a part is away.
import { beforeAbort } from './before-abort.ts';

export interface Opened {
  /** How to close what was opened just now; at once, if all else is closed already. */
  add(close: () => unknown): void;
  closeAll(): Promise<void>;
}

function opened(): Opened {
  const closes: (() => unknown)[] = [];
  let isOver = false;
  return {
    add(close) {
      if (!isOver) closes.push(close);
      // Nobody waits for it any more, nor is there anybody to tell.
      else void (async () => close())().catch(() => {});
    },
    async closeAll() {
      isOver = true;
      for (let close = closes.pop(); close !== undefined; close = closes.pop()) await close();
    },
  };
}

/**
 * Resolves with what `open` does. When that fails, or the signal is aborted before, closes what is open by then.
 * @throws what `open` throws, the signal's reason
 */
export async function openOrClose<Value>(
  open: (parts: Opened) => Promise<Value>,
  signal: AbortSignal,
): Promise<Value> {
  const parts = opened();
  try {
    return await beforeAbort(open(parts), signal);
  } catch (error) {
    await parts.closeAll();
    throw error;
  }
}
