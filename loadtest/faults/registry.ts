// Every fault, in the order in which they are run.
import type { Fault } from './fault.ts';
import { killFlywheel } from './kill-flywheel.ts';
import { killParts } from './kill-parts.ts';
import { rollback } from './rollback.ts';
import { streamsCooperative, streamsEager } from './streams.ts';
import { zombie } from './zombie.ts';

export const allFaults: readonly Fault[] = [
  killFlywheel,
  killParts,
  streamsCooperative,
  streamsEager,
  rollback,
  zombie,
];
