// Asks, before anybody is written to, whether the trigger still waits: by a state that has applied everything that
// stood in the log when it was asked, so that a receipt that Kafka had before is never overlooked.
import type { WaitingTrigger } from '../domain/delivery.ts';
import type { TopicAdmin } from '../platform/kafka-topics.ts';
import { buyerPartition, partitionKeys } from '../platform/keys.ts';
import type { Namespace } from '../platform/namespace.ts';
import type { RedisClient } from '../platform/redis.ts';
import { withholdingReason } from '../platform/trigger-offer.ts';

const LOOK_MS = 20;
const PATIENCE_MS = 2_000;

/** `unknown`: the partition's state cannot be trusted now; ask again later. */
export type Standing = 'waiting' | 'gone' | 'unknown';

export interface PendingCheck {
  standing(trigger: WaitingTrigger): Promise<Standing>;
}

export interface PendingPorts {
  readonly redis: RedisClient;
  readonly admin: TopicAdmin;
  readonly namespace: Namespace;
  /** Of `events`. */
  readonly generation: number;
  nowMs(): number;
}

interface Question {
  readonly trigger: WaitingTrigger;
  readonly answer: (standing: Standing) => void;
}

/** Questions that come while others are being answered wait, and are then answered together. */
export function createPendingCheck(ports: PendingPorts): PendingCheck {
  const { redis, admin, namespace, generation, nowMs } = ports;
  let waiting: Question[] = [];
  let busy = false;

  async function look(partition: number, end: number, questions: readonly Question[]): Promise<void> {
    const keys = partitionKeys(namespace, { topic: 'events', generation, partition });
    const untilMs = performance.now() + PATIENCE_MS;
    for (;;) {
      // The head first: triggers that are read after it are at least as new.
      const [ready, stamp, offset] = await redis.hmget(keys.head, 'ready', 'stamp', 'offset');
      const withheld = withholdingReason(ready ?? null, stamp ?? null, nowMs()) !== null;
      if (!withheld && Number(offset ?? 0) >= end) break;
      if (withheld || performance.now() > untilMs) {
        for (const { answer } of questions) answer('unknown');
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    const found = await redis.hmget(keys.triggers, ...questions.map(({ trigger }) => trigger.id));
    for (const [index, { answer }] of questions.entries()) answer(found[index] === null ? 'gone' : 'waiting');
  }

  async function answerAll(): Promise<void> {
    while (waiting.length > 0) {
      const questions = waiting;
      waiting = [];
      try {
        const ends = await admin.watermarks(namespace.topics.events);
        const byPartition = new Map<number, Question[]>();
        for (const question of questions) {
          const partition = buyerPartition(question.trigger.key);
          byPartition.set(partition, [...(byPartition.get(partition) ?? []), question]);
        }
        await Promise.all(
          [...byPartition].map(([partition, own]) => look(partition, ends[partition]!.high, own)),
        );
      } catch {
        for (const { answer } of questions) answer('unknown');
      }
    }
    busy = false;
  }

  return {
    standing(trigger) {
      return new Promise((answer) => {
        waiting.push({ trigger, answer });
        if (busy) return;
        busy = true;
        // Questions of the same turn of the event loop go together.
        setImmediate(() => void answerAll());
      });
    },
  };
}
