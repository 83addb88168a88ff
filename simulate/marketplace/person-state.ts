// A buyer of the marketplace as time goes by, and what such a buyer does.
import type { InterestStage } from './interest.ts';
import type { Person } from './population.ts';
import type { Random } from './random.ts';
import type { Supplier } from './supply.ts';

/** What changes of a buyer as time goes by. */
export interface PersonState {
  readonly person: Person;
  readonly random: Random;
  /** For what device a session is on: a sequence of its own. */
  readonly deviceRandom: Random;
  stage: InterestStage;
  /** The site knows the buyer by name. */
  known: boolean;
  /** Has been told who the buyer is in this run. */
  introduced: boolean;
  /** Devices on which the buyer has signed in. */
  readonly signedIn: Set<string>;
  /** Has sent anything under the key of now. */
  seen: boolean;
  sessions: number;
  orders: number;
  levelIndex: number;
  /** The supplier that the buyer deals with. */
  deal: Supplier | null;
}

/** Something a buyer does, before it has a message id and an arrival. */
export interface Act {
  readonly timeMs: number;
  readonly type: 'track' | 'page' | 'identify' | 'group' | 'alias';
  readonly name?: string;
  /** Done under the buyer's name; else as the visitor of the device. */
  readonly known: boolean;
  /** The visitor's id that is sent; the usual one where a visitor does it and none is named. */
  readonly device?: string;
  readonly previousId?: string;
  readonly groupId?: string;
  readonly properties?: Readonly<Record<string, unknown>>;
  readonly traits?: Readonly<Record<string, unknown>>;
  readonly context?: Readonly<Record<string, unknown>>;
}
