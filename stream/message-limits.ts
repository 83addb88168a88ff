// What the topics that an outbox writes to take at a time, as they are set: somebody may have made them to take less than ours do.
// What Kafka refuses for its size is overtaken by what was handed over behind it, and whoever receives it drops it as a repeat when it
// comes after all. So nothing is handed over that would be refused, neither a record nor a set that librdkafka makes of many.
import type { TopicAdmin } from '../platform/kafka-topics.ts';
import type { Namespace } from '../platform/namespace.ts';
import { messageBytesMax } from '../platform/topic-settings.ts';
import type { OutboxRecord } from './batch.ts';

/** Bytes that each topic takes in one set of records. */
export type MessageLimits = Readonly<Record<OutboxRecord['to'], number>>;

/** Topics that an outbox writes to. */
export const outboxTopics = ['events', 'spend', 'triggers', 'rejected'] as const;

/** librdkafka's own bound of a set. */
const SET_BYTES_MAX = 1_000_000;

/** Where this client may not read a setting, it is taken to be ours. @throws PlatformError of a Kafka that cannot be reached */
export async function readMessageLimits(
  admin: Pick<TopicAdmin, 'settings'>,
  { topics }: Namespace,
): Promise<MessageLimits> {
  const settings = await admin.settings(outboxTopics.map((name) => topics[name]));
  const limitOf = (name: OutboxRecord['to']): number =>
    Number(settings?.get(topics[name])?.['max.message.bytes']) || messageBytesMax[name];
  return {
    events: limitOf('events'),
    spend: limitOf('spend'),
    triggers: limitOf('triggers'),
    rejected: limitOf('rejected'),
  };
}

/** Bytes of the largest set that all of them take. */
export function setBytesMax(limits: MessageLimits): number {
  return Math.min(SET_BYTES_MAX, ...Object.values(limits));
}
