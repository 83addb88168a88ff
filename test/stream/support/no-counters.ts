// What a fold tells the metrics, for tests that do not ask.
import type { FoldCounters } from '../../../stream/work.ts';

export const noCounters: FoldCounters = {
  verdict: () => {},
  rejected: () => {},
  looked: () => {},
  stateWritten: () => {},
  trigger: () => {},
  counted: () => {},
  row: () => {},
  committed: () => {},
};
