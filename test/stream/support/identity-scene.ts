// A small world for the rules of identity: an engine with few definitions, records by hand, and what came of them.
import type { Buyer } from '../../../domain/buyer.ts';
import { columns, type Table } from '../../../stream/rows.ts';
import { createEngine, type Engine, type Produced, toPartition } from './engine.ts';
import { definitionValue } from './partition.ts';

export const MINUTE_MS = 60_000;
export const DAY_MS = 86_400_000;
export const START_MS = Date.UTC(2024, 3, 1, 9);
const APPEND_MS = START_MS + 800 * DAY_MS;

const NAMES = ['view', 'contact', 'inquiry', 'order', 'fulfil'];
const held = 780 * DAY_MS;

/** Definitions of the scene; buckets stay open for all of its time unless `settings` says otherwise. */
function definitions(settings: object): string[] {
  return [
    definitionValue('settings', 'default', 1, {
      hourRetentionMs: held,
      dayRetentionMs: held,
      mergeChunkBehaviours: 2,
      ...settings,
    }),
    definitionValue('behaviours', 'default', 1, {
      rules: NAMES.map((event) => ({ kind: 'track', event, behaviour: event })),
    }),
    definitionValue('lifecycle', 'default', 1, { retainedAfterMs: 2 * DAY_MS, churnedAfterMs: 14 * DAY_MS }),
    definitionValue('opportunity', 'default', 1, { subject: ['category'], qualifiedAt: 0.5 }),
    definitionValue('trigger', 'stages', 1, {
      name: 's',
      on: 'transition',
      to: ['new', 'mature', 'retained', 'churned'],
    }),
    definitionValue('score', 'one', 1, {
      name: 'one',
      horizonMs: DAY_MS,
      halfLifeMs: DAY_MS,
      intercept: 0,
      engagement: {},
    }),
    definitionValue('funnel', 'purchase', 1, {
      name: 'p',
      steps: ['view', 'contact', 'order'],
      windowMs: 30 * DAY_MS,
    }),
    definitionValue('funnel', 'strict', 1, {
      name: 's',
      steps: ['view', 'contact', 'order'],
      windowMs: 30 * DAY_MS,
      mode: 'strict_order',
    }),
  ];
}

export interface Scene {
  readonly engine: Engine;
  /** Applies records one after the other, each with all that follows from it. */
  play(...produced: readonly Produced[]): void;
  /** Raises the watermark of every partition. */
  pass(timeMs: number): void;
  /** Rows of a table by column name, of all partitions. */
  rows(table: Table): Record<string, unknown>[];
  /** How often each step of a funnel was counted, in all. */
  counted(funnel: string): number[];
  /** The id of the link that a visitor has now. */
  linkOf(visitor: string): string;
}

const everywhere = (value: string): Produced[] =>
  Array.from({ length: 12 }, (_, partition) => ({ partition, value }));

/** @param batch records in a batch */
export function openScene(settings: object = {}, restarts = true, batch = 1): Scene {
  let turn = 0;
  // Everything arrives twice, and in turn.
  const random = (): number => {
    turn = (turn + 0.37) % 1;
    return turn;
  };
  const engine = createEngine({
    cuts: { sizes: [batch], restarts },
    appendMs: APPEND_MS,
    random,
    repeats: 0.5,
  });
  engine.run(definitions(settings).flatMap(everywhere));
  return {
    engine,
    play(...produced) {
      for (const one of produced) engine.run([one]);
    },
    pass: (time) => engine.run(everywhere(JSON.stringify({ kind: 'clock', time, supplied: true }))),
    rows: (table) =>
      engine.partitions.flatMap((partition) =>
        (partition.rows.get(table) ?? []).map((row) =>
          Object.fromEntries(columns[table].map((column, index) => [column, row[index]])),
        ),
      ),
    counted(funnel) {
      const sums = [0, 0, 0];
      for (const { stored } of engine.partitions) {
        const windows = stored().windows as string[];
        for (const window of windows.filter((name) => name.startsWith(`funnel:${funnel}:1:h`))) {
          for (const [, values] of window.matchAll(/=([\d,]+?)(?=,[^\d]|$)/g)) {
            values!.split(',').forEach((value, index) => {
              sums[index] = (sums[index] ?? 0) + Number(value);
            });
          }
        }
      }
      return sums;
    },
    linkOf: (visitor) => engine.of(visitor).buyer(visitor)!.links!.current!.id,
  };
}

/** So many minutes after the scene begins. */
export const at = (minutes: number): number => START_MS + minutes * MINUTE_MS;

export const buyerOf = ({ engine }: Scene, key: string): Buyer => engine.of(key).buyer(key)!;

/** What a buyer did, by behaviour. */
export const totals = (scene: Scene, key: string): Record<string, number> =>
  Object.fromEntries(buyerOf(scene, key).totals.map(({ behaviour, count }) => [behaviour, count]));

let messages = 0;
function common(timeMs: number): object {
  messages += 1;
  return { messageId: `m-${messages}`, timestamp: timeMs, receivedAt: timeMs, supplied: true };
}

function who(key: string): object {
  return key.startsWith('u:') ? { userId: key.slice(2) } : { anonymousId: key.slice(2) };
}

/** `key` does something. */
export function does(key: string, event: string, timeMs: number, properties: object = {}): Produced {
  const said = { kind: 'track', event, properties: { category: 'c', ...properties } };
  return toPartition(key, { ...common(timeMs), ...who(key), ...said });
}

export function identifies(user: string, visitor: string, timeMs: number, own: object = {}): Produced {
  const said = { kind: 'identify', userId: user.slice(2), anonymousId: visitor.slice(2) };
  return toPartition(user, { ...common(timeMs), ...said, ...own });
}

export function aliases(user: string, previousId: string, timeMs: number): Produced {
  return toPartition(user, { ...common(timeMs), kind: 'alias', userId: user.slice(2), previousId });
}

export function groups(key: string, groupId: string, timeMs: number, traits: object = {}): Produced {
  return toPartition(key, { ...common(timeMs), ...who(key), kind: 'group', groupId, traits });
}

export function exposes(key: string, variant: string, timeMs: number): Produced {
  messages += 1;
  const said = { kind: 'exposure', key, experiment: 'form', revision: 1, variant, reason: 'SPLIT' };
  return toPartition(key, { ...said, messageId: `m-${messages}`, timestamp: timeMs });
}

export function revokes(visitor: string, link: string, timeMs: number): Produced {
  messages += 1;
  const said = { kind: 'revoke', key: visitor, link, by: 'ana', why: 'not the same' };
  return toPartition(visitor, { ...said, messageId: `m-${messages}`, timestamp: timeMs });
}
