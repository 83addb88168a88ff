// Twelve partitions without servers, people on their way through a funnel, and what comes out of it.
import { type FunnelDefinition, settings as settingsSchema } from '../../../domain/definition.ts';
import type { FunnelMode } from '../../../domain/funnel.ts';
import { levelOf } from '../../../domain/funnel-levels.ts';
import { columns } from '../../../stream/rows.ts';
import { seeded } from '../../e2e/support/mixed-log.ts';
import { createEngine, type Engine, type Produced, toPartition } from './engine.ts';
import { definitionValue } from './partition.ts';

export const MINUTE_MS = 60_000;
export const HOUR_MS = 60 * MINUTE_MS;
export const START_MS = Date.UTC(2024, 3, 1, 9);
export const APPEND_MS = START_MS + 900 * 24 * HOUR_MS;
export const LATENESS_MS = 10 * MINUTE_MS;
export const END_MS = START_MS + 30 * HOUR_MS;
const NAMES = ['view', 'contact', 'search', 'order'];
export const MODES: FunnelMode[] = [
  'default',
  'strict_order',
  'strict_increase',
  'strict_order+strict_increase',
];
export const PEOPLE = 12;
export const FUNNEL = 'new-one';

export const settings = settingsSchema.parse({ latenessMs: LATENESS_MS });
export const documentOf = (mode: FunnelMode): FunnelDefinition => ({
  name: mode,
  steps: ['view', 'contact', 'order'],
  windowMs: 3 * HOUR_MS,
  mode,
});
export const others = [
  definitionValue('settings', 'default', 1, settings),
  definitionValue('behaviours', 'default', 1, {
    rules: NAMES.map((event) => ({ kind: 'track', event, behaviour: event })),
  }),
  definitionValue('lifecycle', 'default', 1, {}),
  definitionValue('opportunity', 'default', 1, {}),
  // A window as the new one's, so that all that a merge hands over is the same with and without it.
  definitionValue('funnel', 'old', 1, { name: 'old', steps: ['search', 'order'], windowMs: 3 * HOUR_MS }),
];

type Random = () => number;
export const pick = <Value>(random: Random, values: readonly Value[]): Value =>
  values[Math.floor(random() * values.length)]!;
export const everywhere = (value: string): Produced[] =>
  Array.from({ length: 12 }, (_, partition) => ({ partition, value }));
export const clockAt = (time: number): Produced[] =>
  everywhere(JSON.stringify({ kind: 'clock', time, supplied: true }));

export interface Happened {
  readonly atMs: number;
  readonly produced: Produced;
}

export function track(
  key: string,
  event: string,
  timeMs: number,
  country: string,
  messageId: string,
): Produced {
  return toPartition(key, {
    kind: 'track',
    event,
    messageId,
    ...(key.startsWith('u:') ? { userId: key.slice(2) } : { anonymousId: key.slice(2) }),
    properties: { country, category: 'c' },
    timestamp: timeMs,
    receivedAt: timeMs,
    supplied: true,
  });
}

export function identify(user: string, visitor: string, timeMs: number): Produced {
  const ids = { userId: user.slice(2), anonymousId: visitor.slice(2) };
  const messageId = `${user}-${visitor}-${timeMs}`;
  return toPartition(user, {
    kind: 'identify',
    messageId,
    ...ids,
    timestamp: timeMs,
    receivedAt: timeMs,
    supplied: true,
  });
}

/** People, some with a device, in the order in which things happen; `disorder` is by how much records come out of order. */
export function worldOf(seed: number, disorderMs: number): { all: Happened[]; keys: string[] } {
  const random = seeded(seed);
  const all: Happened[] = [];
  const keys: string[] = [];
  for (let number = 0; number < PEOPLE; number += 1) {
    const user = `u:p-${seed}-${number}`;
    const visitor = `a:d-${seed}-${number}`;
    keys.push(user, visitor);
    const country = pick(random, ['DE', 'FR', 'US']);
    for (const key of [user, visitor]) {
      for (let count = Math.floor(random() * 9); count > 0; count -= 1) {
        const timeMs = START_MS + Math.floor(random() * 20 * 60) * MINUTE_MS;
        const produced = track(key, pick(random, NAMES), timeMs, country, `${key}-${count}`);
        all.push({ atMs: timeMs + random() * disorderMs, produced });
      }
    }
    if (random() < 0.7) {
      const atMs = START_MS + Math.floor(random() * 20 * 60) * MINUTE_MS + 1;
      all.push({ atMs, produced: identify(user, visitor, atMs) });
    }
  }
  return { all: all.sort((a, b) => a.atMs - b.atMs), keys };
}

export function open(restarts: boolean): Engine {
  const cuts = { sizes: [1], restarts };
  return createEngine({ cuts, appendMs: APPEND_MS, random: () => 0, repeats: 0 });
}

/** One record after the other, each with all that follows from it. Partitions that stand still get the clock, as in a running stream. */
export function inTurn(engine: Engine, happened: readonly Happened[]): void {
  for (const { atMs, produced } of happened) {
    if (produced.value.includes('"kind":"identify"')) engine.run(clockAt(Math.floor(atMs)));
    engine.run([produced]);
  }
}

export interface Found {
  readonly levels: Record<string, number>;
  /** By hour, cell and step: counters and adjustments together. */
  readonly counts: Record<string, number>;
  readonly byStep: Record<string, number>;
}

export function found(engine: Engine, keys: readonly string[], revision: number): Found {
  const counts: Record<string, number> = {};
  const add = (name: string, amount: number): void => {
    counts[name] = (counts[name] ?? 0) + amount;
  };
  for (const partition of engine.partitions) {
    for (const line of partition.stored().windows as string[]) {
      const [, hour] = new RegExp(`^funnel:${FUNNEL}:${revision}:h(\\d+) `).exec(line) ?? [];
      if (hour === undefined) continue;
      const cells = line.slice(line.indexOf(' ') + 1).matchAll(/([^,=][^=]*)=((?:-?\d+,?)+)/g);
      for (const [, cell, values] of cells)
        values!
          .split(',')
          .filter(Boolean)
          .forEach((value, step) => {
            add(`${hour} ${cell} ${step}`, Number(value));
          });
    }
    // A window that was closed has left its last value.
    for (const row of partition.rows.get('funnel_hours') ?? []) {
      const [id, of, start, country, industry, channel] = row as (string | number)[];
      if (id !== FUNNEL || of !== revision) continue;
      (row[columns.funnel_hours.indexOf('steps')] as number[]).forEach((value, step) => {
        add(`${Number(start) / 3_600} ${country}|${industry}|${channel} ${step}`, value);
      });
    }
    for (const row of partition.rows.get('adjustments') ?? []) {
      const [series, of, start, , , , , country, industry, channel, step, amount] = row as (
        | string
        | number
      )[];
      if (series !== `funnel:${FUNNEL}` || of !== revision) continue;
      add(`${Number(start) / 3_600} ${country}|${industry}|${channel} ${step}`, Number(amount));
    }
  }
  const byStep: Record<string, number> = {};
  for (const [name, amount] of Object.entries(counts)) {
    const step = name.split(' ').at(-1)!;
    byStep[step] = (byStep[step] ?? 0) + amount;
    if (amount === 0) delete counts[name];
  }
  const levels = Object.fromEntries(
    keys.map((key) => {
      const buyer = engine.of(key).buyer(key);
      const own = buyer?.funnels.find(({ id }) => id === FUNNEL);
      return [key, buyer === undefined || own === undefined ? 0 : levelOf(buyer, own)];
    }),
  );
  return { levels, counts, byStep };
}
