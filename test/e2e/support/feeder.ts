// Produces log entries and keeps what Kafka acknowledged: topic, partition and offset of each.
import { buyersOf, type LogEntry, mixedLog } from './mixed-log.ts';
import type { Stage } from './stage.ts';

/** `<topic>:<partition>:<offset>`. */
export type Acknowledged = Set<string>;

/** Resolves when all are acknowledged; adds them to `acknowledged`. */
export async function feed(
  stage: Stage,
  entries: readonly LogEntry[],
  acknowledged: Acknowledged,
): Promise<number[]> {
  const offsets = await stage.producer.sendBatch(
    entries.map(({ topic, partition, key, value }) => ({
      topic: stage.namespace.topics[topic],
      partition,
      key,
      value,
    })),
  );
  entries.forEach(({ topic, partition }, index) => {
    acknowledged.add(`${topic}:${partition}:${offsets[index]}`);
  });
  return offsets;
}

/** What definitions, the API and outboxes write. */
const notCollected =
  /"kind":"(?:definition|clock|revoke|link|merge|forward|linkEnded|linkKept|member|backfill)"/;

/** What stands in the log that was collected: what a feeder must have been acknowledged. */
export async function collectedInLog(stage: Stage): Promise<Set<string>> {
  const found = new Set<string>();
  for (const topic of ['events', 'spend'] as const) {
    for (const record of await stage.log(stage.namespace.topics[topic])) {
      if (record.value === null || notCollected.test(record.value.toString())) continue;
      found.add(`${topic}:${record.partition}:${record.offset}`);
    }
  }
  return found;
}

const DAY_MS = 86_400_000;

export interface ChunkOptions {
  /** Of the first chunk; the next ones count on. */
  readonly seed: number;
  readonly days: number;
  readonly records: number;
  /** How many buyers of each of these partitions a chunk has. */
  readonly buyers: Readonly<Record<number, number>>;
  readonly campaigns?: Parameters<typeof mixedLog>[0]['campaigns'];
}

/** Each call feeds one chunk of a mixed log: buyers, message ids and days of its own, behind those of the chunk before. */
export function chunkFeeder(
  acknowledged: Acknowledged,
  options: ChunkOptions,
): (stage: Stage) => Promise<void> {
  const { seed, days, records, buyers, campaigns } = options;
  let chunks = 0;
  return async (stage) => {
    const number = chunks;
    chunks += 1;
    const prefix = `chunk${number}`;
    const entries = mixedLog({
      seed: seed + number,
      startMs: Date.UTC(2024, 0, 1) + number * days * DAY_MS,
      days,
      records,
      buyers: Object.entries(buyers).flatMap(([partition, count]) =>
        buyersOf(Number(partition), count, `${prefix}-`),
      ),
      prefix,
      ...(campaigns === undefined ? {} : { campaigns }),
    });
    await feed(stage, entries, acknowledged);
  };
}
