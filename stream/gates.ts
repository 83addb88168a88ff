// Large batches take the loop one after the other. Were all owners in the middle of theirs, the states of all would be alive at once,
// and outlive one collection of young objects after the other; one batch's die with it. Small ones need no gate.

/** Does the work when there is room for it, in the order of the calls. */
export type Gate = <Result>(work: () => Promise<Result>) => Promise<Result>;

export interface Gates {
  /** From where a batch asks for its states until it is folded. */
  readonly prepare: Gate;
  /** Within it, from its first state that is made an object. */
  readonly fold: Gate;
}

/** One is folded, another one's states are on their way. */
const PREPARED_MAX = 2;
/** A fold takes a few hundred milliseconds of the loop: if none has ended for so long, it is not the loop that they wait for. */
const STALL_MS = 1_000;

export function createGates(): Gates {
  return { prepare: createGate(PREPARED_MAX, STALL_MS), fold: createGate(1, STALL_MS) };
}

/**
 * A gate that has room for `most` at a time. If none of them has ended for `stallMs` there is room for one more, until nobody
 * waits: they wait for a store that is away, and the next one's may be there.
 */
export function createGate(most: number, stallMs: number): Gate {
  const waiting: (() => void)[] = [];
  let inside = 0;
  let room = most;
  let stalled: NodeJS.Timeout | undefined;

  function letIn(): void {
    inside += 1;
    waiting.shift()?.();
    watch();
  }

  function watch(): void {
    clearTimeout(stalled);
    stalled = undefined;
    if (waiting.length === 0) room = most;
    else stalled = setTimeout(makeRoom, stallMs);
  }

  function makeRoom(): void {
    room += 1;
    letIn();
  }

  function leave(): void {
    inside -= 1;
    if (waiting.length > 0 && inside < room) letIn();
    else watch();
  }

  function enter(): Promise<void> {
    return new Promise((resolve) => {
      waiting.push(resolve);
      if (inside < room) letIn();
      else if (stalled === undefined) watch();
    });
  }

  return async (work) => {
    await enter();
    try {
      return await work();
    } finally {
      leave();
    }
  };
}
