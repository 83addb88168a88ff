// Shared by the contract tests: a namespace of one's own on the run's stack, and what its topics hold.
import { inject } from 'vitest';
import { type Config, readConfig } from '../../platform/config.ts';
import { type LogRecord, readPartition } from '../../platform/kafka-read.ts';
import { openTopicAdmin } from '../../platform/kafka-topics.ts';

/** The configuration of a namespace on the stack of this run. */
export function configOf(namespace: string): Config {
  return readConfig({
    FLYWHEEL_NAMESPACE: namespace,
    KAFKA_BROKERS: inject('kafkaBrokers'),
    REDIS_URL: inject('redisUrl'),
    CLICKHOUSE_URL: inject('clickhouseUrl'),
  });
}

/** Everything that a partition holds. */
export async function recordsOf(topic: string, partition: number): Promise<LogRecord[]> {
  const brokers = inject('kafkaBrokers');
  const admin = openTopicAdmin(brokers);
  const { low, high } = (await admin.watermarks(topic))[partition]!;
  await admin.close();
  const records: LogRecord[] = [];
  for await (const batch of readPartition({ brokers, topic, partition, from: low, to: high }))
    records.push(...batch);
  return records;
}
