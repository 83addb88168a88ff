// Every fault, in the order in which they are run.
import type { Fault } from './fault.ts';
import { killFlywheel } from './kill-flywheel.ts';
import { killParts } from './kill-parts.ts';

export const allFaults: readonly Fault[] = [killFlywheel, killParts];
