// What every local part is started with.

import type { ChildEvent } from './child.ts';
import type { ProcessList } from './pids.ts';

export interface PartContext {
  /** The stack's folder, absolute; a part keeps its data in a folder of its own name below. */
  dir: string;
  logFolder: string;
  processes: ProcessList;
  onEvent(event: ChildEvent): void;
}
