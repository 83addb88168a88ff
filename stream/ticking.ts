// What is done once in a while beside a work that waits for its turn.

export interface Ticking {
  /** Resolves when nothing of it is under way any more: it has ended then. */
  end(): Promise<void>;
}

/** Does the work each `tickMs` from now on, one at a time; that must not fail. */
export function startTicking(tickMs: number, work: () => Promise<void>): Ticking {
  let atWork: Promise<void> | undefined;
  const timer = setInterval(() => {
    atWork ??= work().finally(() => {
      atWork = undefined;
    });
  }, tickMs);
  return {
    async end() {
      clearInterval(timer);
      await atWork;
    },
  };
}
