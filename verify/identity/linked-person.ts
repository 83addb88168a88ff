// What the state of a user must be to whom something came by links, or of a company.
import type { MergeBase } from '../../domain/identity-record.ts';
import type { Life } from '../life-state.ts';
import type { Gathering } from './gathering.ts';
import type { HeldBehaviour } from './held.ts';

/** What came by one link and is kept apart; number 0 is the user's own. */
export interface Part {
  readonly number: number;
  readonly link: string;
  readonly visitor: string;
  readonly mergedMs: number;
  ended: boolean;
  gathered: Gathering;
}

/** Chunks that came, until the last is there. */
export interface Arriving {
  readonly link: string;
  readonly visitor: string;
  readonly base: MergeBase;
  chunks: number;
  readonly behaviours: [number, string][];
}

/** A level, and the parts beside the user's own without which it would not stand. */
export interface StandingLevel {
  readonly level: number;
  readonly parts: readonly number[];
}

export interface LinkedFunnel {
  readonly id: string;
  readonly revision: number;
  readonly counted: number;
  readonly standing: readonly StandingLevel[];
}

export interface LinkedPerson {
  readonly life: Life;
  readonly gathered: Gathering;
  readonly parts: readonly Part[];
  readonly nextPart: number;
  readonly arriving: readonly Arriving[];
  readonly held: readonly HeldBehaviour[];
  readonly funnels: readonly LinkedFunnel[];
}
