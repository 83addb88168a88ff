// The latest evaluation of the sources' health, as the jobs leave it for whoever asks. It may be lost: it is made again.
import type { SourceHealthReport } from '../domain/source-health/report.ts';
import { sourceHealthKey } from './keys.ts';
import type { Namespace } from './namespace.ts';
import type { RedisClient } from './redis.ts';

/** An older one says nothing about now. */
const LIFE_MS = 3_600_000;

export async function writeSourceHealth(
  redis: RedisClient,
  namespace: Namespace,
  report: SourceHealthReport,
): Promise<void> {
  await redis.set(sourceHealthKey(namespace), JSON.stringify(report), 'PX', LIFE_MS);
}

/** Null if there was none for an hour: no jobs run, or they cannot reach ClickHouse. */
export async function readSourceHealth(
  redis: RedisClient,
  namespace: Namespace,
): Promise<SourceHealthReport | null> {
  const text = await redis.get(sourceHealthKey(namespace));
  return text === null ? null : (JSON.parse(text) as SourceHealthReport);
}
