// Reads the topic `triggers` on from where the leader before had come to, or from where it still can be read.
import { type DeliveryCursor, waitingTrigger } from '../domain/delivery.ts';
import { type FollowOptions, followPartition, warnOfStall } from '../platform/kafka-follow.ts';
import type { LogRecord } from '../platform/kafka-read.ts';
import type { TopicAdmin, TopicDescription, Watermarks } from '../platform/kafka-topics.ts';
import type { Namespace } from '../platform/namespace.ts';
import { compileValidator } from '../platform/validate.ts';
import type { Dispatcher } from './dispatch.ts';
import type { JobsMetrics } from './metrics.ts';

export interface TriggerReaderPorts {
  readonly brokers: string;
  readonly namespace: Namespace;
  readonly admin: Pick<TopicAdmin, 'watermarks' | 'describe'>;
  readonly metrics: Pick<JobsMetrics, 'lostTriggers'>;
  readonly log: { warn(message: string): void; error(message: string): void };
  /** For tests. */
  readonly follow?: (options: FollowOptions) => AsyncIterable<LogRecord[]>;
}

const validateTrigger = compileValidator(waitingTrigger);

/** A record that is no trigger is passed by: the stream alone writes here, and the oracle looks at every one. */
function triggerOf({ value }: LogRecord) {
  try {
    const checked = validateTrigger(JSON.parse(value?.toString('utf8') ?? ''));
    return checked.ok ? checked.value : null;
  } catch {
    return null;
  }
}

export type FirstOffset =
  | { readonly is: 'kept' | 'anew'; readonly from: number }
  | { readonly is: 'cut'; readonly from: number; readonly lost: number };

/**
 * Where a partition is to be read on. `cut`: what came next was deleted before anybody took it. `anew`: the topic was made anew, so
 * all that it has is still to be taken (what was taken before is known by its id).
 */
export function beginningOf(
  cursor: Pick<DeliveryCursor, 'next' | 'topicId'> | undefined,
  topicId: string,
  { low, high }: Watermarks,
): FirstOffset {
  if (cursor === undefined) return { is: 'kept', from: low };
  const { next } = cursor;
  // It may have grown past the cursor since, where its end says nothing.
  if (next > high || (cursor.topicId ?? topicId) !== topicId) return { is: 'anew', from: low };
  if (next < low) return { is: 'cut', from: low, lost: low - next };
  return { is: 'kept', from: next };
}

/** All partitions, until the signal. */
export async function readTriggers(
  ports: TriggerReaderPorts,
  cursors: ReadonlyMap<number, DeliveryCursor>,
  dispatcher: Pick<Dispatcher, 'take'>,
  signal: AbortSignal,
): Promise<void> {
  const { brokers, namespace, admin, metrics, log, follow = followPartition } = ports;
  const topic = namespace.topics.triggers;

  async function begin(partition: number, watermarks: Watermarks): Promise<number> {
    const cursor = cursors.get(partition);
    const beginning = beginningOf(cursor, topicId, watermarks);
    const { is, from } = beginning;
    switch (is) {
      case 'kept':
        break;
      case 'anew':
        log.error(
          `${topic} ${partition} is not the one that was taken to offset ${cursor?.next}: the topic was made anew, and is taken from ${from} on; what the one before had left is sent to no receiver`,
        );
        break;
      case 'cut':
        log.error(
          `${topic} ${partition} was to be taken from offset ${cursor?.next} on and begins at ${from} now (retention.ms is shorter than no jobs led): ${beginning.lost} triggers are sent to no receiver`,
        );
        metrics.lostTriggers(beginning.lost);
        // The cursor passes them in Kafka too: no turn after this one is to tell and count them again.
        await dispatcher.take(partition, [{ offset: from - 1, trigger: null }], topicId);
    }
    return from;
  }

  const [{ id: topicId }] = (await admin.describe([topic])) as [TopicDescription];
  const watermarks = await admin.watermarks(topic);
  await Promise.all(
    watermarks.map(async (own, partition) => {
      const from = await begin(partition, own);
      const onStall = warnOfStall(log.warn);
      for await (const batch of follow({ brokers, topic, partition, from, signal, onStall }))
        await dispatcher.take(
          partition,
          batch.map((record) => ({ offset: record.offset, trigger: triggerOf(record) })),
          topicId,
        );
    }),
  );
}
