// How far the pasts of funnels are computed: written by `jobs`, read by `serve`. It may be lost; then they are computed again,
// which changes nothing.
import { z } from 'zod';
import { backfillsKey } from './keys.ts';
import type { Namespace } from './namespace.ts';
import type { RedisClient } from './redis.ts';
import { compileValidator } from './validate.ts';

/** `stopped`: another revision is in force, or none. */
export const backfillStatuses = ['waiting', 'running', 'done', 'failed', 'stopped'] as const;

export const backfillProgress = z.object({
  funnel: z.string(),
  revision: z.int(),
  status: z.enum(backfillStatuses),
  /** Keys of `events` (buyers) that are looked at, of all that did something before the funnel's record. */
  keysDone: z.int(),
  keysTotal: z.int(),
  /** Records that were written: one for each buyer of whom the funnel would have seen something. */
  records: z.int(),
  /** The last key that is done; '' at first. */
  after: z.string(),
  /** Keys behind which it has gone on although Kafka refused their records, and when those were last tried. */
  refused: z.array(z.string()).default([]),
  refusedMs: z.int().default(0),
  /** Where each partition of `events` ended when the last record was in it; empty until then. */
  ends: z.array(z.int()).default([]),
  /** Epoch milliseconds, 0 for not yet. */
  startedMs: z.int(),
  finishedMs: z.int(),
  /** Why it waits, or why it failed (it is tried again), or why there was nothing to do; else empty. */
  detail: z.string(),
});
export type BackfillProgress = z.infer<typeof backfillProgress>;

const validate = compileValidator(backfillProgress);

export function unstarted(funnel: string, revision: number): BackfillProgress {
  const never = { keysDone: 0, keysTotal: 0, records: 0, after: '', startedMs: 0, finishedMs: 0 };
  const nothing = { refused: [], refusedMs: 0, ends: [] };
  const detail = 'flywheel jobs has not come to it yet: it takes one funnel after the other';
  return { funnel, revision, status: 'waiting', ...never, ...nothing, detail };
}

/** All that is known, by generation. */
export async function readBackfills(
  redis: Pick<RedisClient, 'hgetall'>,
  namespace: Namespace,
  generation: number,
): Promise<BackfillProgress[]> {
  const fields = await redis.hgetall(backfillsKey(namespace, generation));
  return Object.values(fields).flatMap((text) => {
    const read = validate(JSON.parse(text));
    return read.ok ? [read.value] : [];
  });
}

const fieldOf = (funnel: string, revision: number): string => `${funnel}@${revision}`;

/** Of one revision; undefined if nothing is known. */
export async function readBackfill(
  redis: Pick<RedisClient, 'hget'>,
  namespace: Namespace,
  generation: number,
  funnel: string,
  revision: number,
): Promise<BackfillProgress | undefined> {
  const text = await redis.hget(backfillsKey(namespace, generation), fieldOf(funnel, revision));
  const read = text === null ? undefined : validate(JSON.parse(text));
  return read?.ok === true ? read.value : undefined;
}

export async function writeBackfill(
  redis: RedisClient,
  namespace: Namespace,
  generation: number,
  progress: BackfillProgress,
): Promise<void> {
  const field = fieldOf(progress.funnel, progress.revision);
  await redis.hset(backfillsKey(namespace, generation), field, JSON.stringify(progress));
}
