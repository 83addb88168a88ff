// Folds take turns: one in each turn of the event loop. A fold holds the loop for as long as it takes, and twelve in a row
// would let an insert that needs ten turns of the loop wait for a hundred and twenty folds.

/** Resolves when it is the caller's turn, after the network has had its own. */
export type Turn = () => Promise<void>;

export function createTurns(): Turn {
  let last: Promise<void> = Promise.resolve();
  return () => {
    last = last.then(() => new Promise((resolve) => setImmediate(resolve)));
    return last;
  };
}
