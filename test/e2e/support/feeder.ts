// Produces log entries and keeps what Kafka acknowledged: topic, partition and offset of each.
import type { LogEntry } from './mixed-log.ts';
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
const notCollected = /"kind":"(?:definition|clock|revoke|link|merge|forward|linkEnded|member|backfill)"/;

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
