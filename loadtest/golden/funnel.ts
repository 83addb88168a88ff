// Judges of window funnels and paths.
import { z } from 'zod';
import { type FunnelMode, type TimedBehaviour, windowFunnel } from '../../domain/funnel.ts';
import { type PathCount, pathTransitions } from '../../domain/paths.ts';
import { sequenceCount } from '../../domain/sequence.ts';
import { type Check, compare, compareList, type GoldenCase, type Judges } from './check.ts';

const MODES = [
  'default',
  'strict_order',
  'strict_increase',
  'strict_order+strict_increase',
] as const satisfies FunnelMode[];
const UNIT_MS = { ms: 1, s: 1_000 } as const;

const log = z.object({
  columns: z.array(z.string()),
  ts_unit: z.enum(['s', 'ms']),
  events: z.array(z.array(z.union([z.string(), z.number()]))),
});
const funnelInput = log.extend({ steps: z.array(z.string()), window: z.number() });
const levels = z.object({ levels: z.array(z.number()), reached: z.array(z.number()).optional() });
const funnelExpected = z.looseObject({ users: z.array(z.union([z.string(), z.number()])) });

interface LogRow extends TimedBehaviour {
  readonly buyer: string | number;
}

function rowsOf({ columns, ts_unit, events }: z.infer<typeof log>): LogRow[] {
  const [user, ts, event] = ['user', 'ts', 'event'].map((name) => {
    const index = columns.indexOf(name);
    if (index < 0) throw new Error(`no column "${name}"`);
    return index;
  }) as [number, number, number];
  return events.map((row) => ({
    buyer: row[user]!,
    timeMs: Number(row[ts]) * UNIT_MS[ts_unit],
    behaviour: String(row[event]),
  }));
}

function judgeFunnel({ id, input, expected }: GoldenCase, check: Check): void {
  const { steps, window, ...given } = funnelInput.parse(input);
  const { users, ...byMode } = funnelExpected.parse(expected);
  const buyers = new Map<string | number, LogRow[]>(users.map((user) => [user, []]));
  for (const row of rowsOf(given)) {
    const own = buyers.get(row.buyer);
    if (own === undefined) throw new Error(`user ${row.buyer} is not among the expected users`);
    own.push(row);
  }
  for (const [mode, answer] of Object.entries(byMode)) {
    if (!(MODES as readonly string[]).includes(mode)) {
      check.notes.add(`${mode}: not a mode of ours`);
      continue;
    }
    const rule = { steps, windowMs: window * UNIT_MS[given.ts_unit], mode: mode as FunnelMode };
    const own = [...buyers.values()].map((rows) => windowFunnel(rule, rows));
    const wanted = levels.parse(answer);
    compareList(check, `${id} ${mode} levels`, own, wanted.levels);
    if (wanted.reached === undefined) continue;
    const reached = steps.map((_, index) => own.filter((level) => level > index).length);
    compareList(check, `${id} ${mode} reached`, reached, wanted.reached);
  }
}

const pathsInput = log.extend({ max_gap: z.number(), k: z.int() });
const table = z.object({ columns: z.array(z.string()), rows: z.array(z.array(z.unknown())) });
const pathsExpected = z.object({ transitions: table, paths3: table });

function comparePaths(
  check: Check,
  where: string,
  own: readonly PathCount[],
  wanted: z.infer<typeof table>,
  names: string[],
): void {
  compareList(check, `${where} columns`, [...names, 'count', 'users'], wanted.columns);
  const rows = own.map(({ path, count, buyers }) => [...path, count, buyers]);
  compareList(check, where, rows, wanted.rows);
}

function judgePaths({ id, input, expected }: GoldenCase, check: Check): void {
  const { max_gap, k, ...given } = pathsInput.parse(input);
  const wanted = pathsExpected.parse(expected);
  const own = pathTransitions(rowsOf(given), { maxGapMs: max_gap * UNIT_MS[given.ts_unit], limit: k });
  comparePaths(check, `${id} transitions`, own.transitions, wanted.transitions, ['from', 'to']);
  comparePaths(check, `${id} paths3`, own.threeSteps, wanted.paths3, ['first', 'second', 'third']);
}

const sequenceInput = z.object({
  events: z.array(z.tuple([z.number(), z.string()])),
  conditions: z.array(z.string()),
  pattern: z.string(),
});
const sequenceExpected = z.object({ match: z.int(), count: z.int() });

function judgeSequence({ id, input, expected }: GoldenCase, check: Check): void {
  const { events, conditions, pattern } = sequenceInput.parse(input);
  const wanted = sequenceExpected.parse(expected);
  const steps = events.map(([time, behaviour]) => ({ time, behaviour }));
  const met = steps.filter(({ behaviour }) => conditions.includes(behaviour));
  const count = sequenceCount(pattern, conditions, met);
  compare(check, `${id} match`, count > 0 ? 1 : 0, wanted.match);
  compare(check, `${id} count`, count, wanted.count);
}

export const funnelJudges: Judges = {
  window_funnel: judgeFunnel,
  window_funnel_probe: judgeFunnel,
  path_transitions: judgePaths,
  sequence_match: judgeSequence,
};
