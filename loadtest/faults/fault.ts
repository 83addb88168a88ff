// What a fault is: something that is done to an arena under load, with the evidence that it bit.
import type { Arena, ArenaOptions } from './arena/arena.ts';

/** One thing that was done, and what was seen of it. Plain values: it goes into the results as it is. */
export interface Evidence {
  /** What was done to whom. */
  readonly did: string;
  readonly pid?: number;
  /** Whether it met work in hand: lag, batches not delivered, requests under way. */
  readonly bit: boolean;
  /** Whether some of that work was done again. */
  readonly repeated?: boolean;
  /**
   * From when what was done was over (a kill is at once, and its supervisor's restart is in it) until what was owed then was made good.
   */
  readonly recoverySeconds?: number;
  readonly seen: Readonly<Record<string, string | number | boolean | null>>;
}

export interface FaultContext {
  readonly seed: number;
  /** How many kills a random run has. */
  readonly kills: number;
  print(line: string): void;
}

/** What a fault needs is not to be had on this machine: it is left out, and that is told. */
export class NotHereError extends Error {
  override readonly name = 'NotHereError';
}

export interface Fault {
  readonly name: string;
  /** What it does, in a line. */
  readonly title: string;
  /** It damages the parts: it gets some of its own. */
  readonly ownParts?: boolean;
  /** Which of its evidence must have bitten, of all: all of it if left out. */
  readonly bitShareMin?: number;
  /** Neither `jobs` nor a part that it needs is hit: nobody may be told anything again, and no attempt is cut off. */
  readonly sparesJobs?: boolean;
  /** A `serve` is killed, and what it had leased is gone for minutes. */
  readonly killsServe?: boolean;
  readonly eventsPerSecond?: number;
  /** So far behind are the times of what is fed, until the feeder's clock is put right. */
  readonly behindMs?: number;
  /** Documents by `<type>/<id>`, in the place of the project's own. */
  readonly definitions?: Readonly<Record<string, unknown>>;
  /** Goes over what the processes are given. */
  readonly environment?: Readonly<Record<string, string>>;
  /**
   * Prepares a folder before parts of its own are started in it. Answers how it is cleared away.
   * @throws NotHereError if this machine cannot
   */
  prepare?(dir: string): Promise<() => Promise<void>>;
  /** Opens its arena otherwise than the runner would. */
  open?(options: ArenaOptions): Promise<Arena>;
  /** @throws Error if what must hold meanwhile does not */
  run(arena: Arena, context: FaultContext): Promise<readonly Evidence[]>;
}
