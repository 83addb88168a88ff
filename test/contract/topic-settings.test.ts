// Topics that somebody made before `migrate` did: what the log can not live with is refused, what an operator may want is said.
import { expect, inject, it } from 'vitest';
import { Admin } from '../../platform/kafka-admin.ts';
import { migrate } from '../../platform/migrate.ts';
import { namespaceOf, topicPartitions } from '../../platform/namespace.ts';
import { configOf } from './platform-support.ts';

type Name = keyof typeof topicPartitions;
const APPEND_TIME = { 'message.timestamp.type': 'LogAppendTime' };

/** Makes one topic of the namespace, and migrates. @returns what it said of topics */
async function migrateAfter(
  namespace: string,
  name: Name,
  settings: Record<string, string>,
  partitions: number = topicPartitions[name],
): Promise<string[]> {
  const admin = new Admin({ clientId: 'test', bootstrapBrokers: [inject('kafkaBrokers')] });
  const configs = Object.entries(settings).map(([key, value]) => ({ name: key, value }));
  const topics = [namespaceOf(namespace).topics[name]];
  await admin.createTopics({ topics, partitions, replicas: 1, configs });
  await admin.close();
  const lines: string[] = [];
  await migrate({ config: configOf(namespace), print: (line) => lines.push(line) });
  return lines.filter((line) => line.startsWith('topics: ')).slice(1);
}

it("refuses a topic whose records carry their senders' times, and says what to do", async () => {
  const migrating = migrateAfter('settings-time', 'events', { 'message.timestamp.type': 'CreateTime' });
  await expect(migrating).rejects.toMatchObject({
    code: 'TOPIC_MISMATCH',
    message: expect.stringMatching(
      /events has message\.timestamp\.type CreateTime, not LogAppendTime: .*kafka-configs/,
    ),
  });
});

it('refuses another count of partitions, also of a topic without state', async () => {
  const migrating = migrateAfter('settings-count', 'triggers', APPEND_TIME, topicPartitions.triggers - 1);
  await expect(migrating).rejects.toMatchObject({
    code: 'TOPIC_MISMATCH',
    message: expect.stringContaining('triggers has'),
  });
});

it('says that triggers have more partitions than are written to, which worked before it looked', async () => {
  const more = 1 + topicPartitions.triggers;
  expect(
    await migrateAfter('settings-more', 'triggers', { ...APPEND_TIME, 'retention.ms': '-1' }, more),
  ).toEqual([expect.stringContaining(`triggers has ${more} partitions and must have`)]);
});

it('warns of a log that is kept for a week, and of deliveries that are not compacted', async () => {
  const week = { 'retention.ms': '604800000', 'max.message.bytes': '2097152' };
  expect(await migrateAfter('settings-week', 'events', { ...APPEND_TIME, ...week })).toEqual([
    expect.stringMatching(/events has retention\.ms 604800000, not -1: what is older is gone/),
  ]);
  const kept = { 'retention.ms': '-1', 'cleanup.policy': 'delete', 'min.compaction.lag.ms': '604800000' };
  expect(await migrateAfter('settings-kept', 'deliveries', { ...APPEND_TIME, ...kept })).toEqual([
    expect.stringMatching(/deliveries has cleanup\.policy delete, not compact: /),
  ]);
});

it('has nothing to say of the topics that it made', async () => {
  const config = configOf('settings-own');
  const lines: string[] = [];
  await migrate({ config });
  await migrate({ config, print: (line) => lines.push(line) });
  expect(lines.filter((line) => line.startsWith('topics: '))).toEqual(['topics: all there']);
});
