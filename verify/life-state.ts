// What is left of one buyer's life, where it is lived, and how what happens in it is written down.
import type { LifecycleStage, OpportunityStage } from '../domain/buyer.ts';
import type { EventsTopicRecord } from '../domain/record.ts';
import { type Known, nothingKnown, segmentOf } from './attributes.ts';
import { cellOf, type Facts, type When } from './facts.ts';
import type { Epoch } from './in-force.ts';
import type { Walk } from './watermark.ts';

/** What one part brought to an opportunity in which parts beside the buyer's own have a share. */
export interface Share {
  readonly part: number;
  readonly stage: OpportunityStage;
  readonly updatedMs: number;
  readonly quality: number;
}

export interface Opportunity {
  readonly id: string;
  readonly subject: string;
  stage: OpportunityStage;
  readonly openedMs: number;
  updatedMs: number;
  quality: number;
  qualified: boolean;
  /** By part; empty if all of it is the buyer's own. */
  shares: readonly Share[];
}

/** What is left of a life at the end of the log. */
export interface Life {
  readonly key: string;
  stage: LifecycleStage | null;
  stageSinceMs: number;
  maturedMs: number;
  firstMs: number;
  lastMs: number;
  totals: ReadonlyMap<string, number>;
  opportunities: Opportunity[];
  known: Known;
  /** The first step of the walk at which a timer may go off: what is due already goes off before the next record. */
  waitsFrom: number;
}

/** Where a life is lived: its partition's walk and where its facts go. */
export interface Place {
  readonly walk: Walk<EventsTopicRecord>;
  readonly facts: Facts;
}

export function newLife(key: string): Life {
  return {
    key,
    stage: null,
    stageSinceMs: 0,
    maturedMs: 0,
    firstMs: 0,
    lastMs: 0,
    totals: new Map(),
    opportunities: [],
    known: nothingKnown,
    waitsFrom: 0,
  };
}

type Happened = Pick<Facts['triggers'][number], 'on' | 'from' | 'to' | 'timeMs' | 'data'>;

export function trigger(life: Life, happened: Happened, when: When, epoch: Epoch, facts: Facts): void {
  for (const { id, revision, document } of epoch.triggers) {
    const wanted = document.on === happened.on && document.to.includes(happened.to);
    if (wanted) facts.triggers.push({ ...when, ...happened, key: life.key, definition: id, revision });
  }
}

export function count(life: Life, column: number, timeMs: number, when: When, facts: Facts): void {
  const cell = cellOf(segmentOf(life.known));
  facts.counts.push({ ...when, key: life.key, series: 'northstar', revision: 0, timeMs, cell, column });
}
