// A topic that is another one than the state came from is refused, with what can be done about it.
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { ensureGeneration, type TopicAdmin } from '../../platform/kafka-topics.ts';
import { namespaceOf, topicPartitions } from '../../platform/namespace.ts';

const namespace = namespaceOf('default');
const admin = {
  describe: async (topics: readonly string[]) =>
    topics.map((topic) => ({
      ...{ topic, id: `id-of-${topic}` },
      partitions: topic === 'events' ? topicPartitions.events : topic === 'spend' ? topicPartitions.spend : 1,
    })),
} as unknown as TopicAdmin;

it('GENERATION_MISMATCH names remedies, and the page where each is told', async () => {
  const redis = { hget: async () => '1:id-of-another:12', hsetnx: async () => 0 };
  const refused = await ensureGeneration(namespace, admin, redis).catch((error: Error) => error);
  expect(refused).toMatchObject({ code: 'GENERATION_MISMATCH' });
  const { message } = refused as Error;
  for (const said of ['REDIS_URL', 'KAFKA_BROKERS', 'FLYWHEEL_NAMESPACE', 'copy'])
    expect(message).toContain(said);
  const [, page, title] = /(docs\/\S+), "([^"]+)"$/.exec(message)!;
  const text = readFileSync(new URL(`../../${page}`, import.meta.url), 'utf8');
  expect(text).toContain(`\n### ${title}\n`);
  expect(text).toContain('`GENERATION_MISMATCH`');
});
