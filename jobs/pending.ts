// Asks, before anybody is written to, whether the trigger still waits: by a state that has applied everything that
// stood in the log when it was asked, so that a receipt that Kafka had before is never overlooked. Each partition answers for
// itself: one that stands still or lags delays no question of another.
import type { WaitingTrigger } from '../domain/delivery.ts';
import type { TopicAdmin, Watermarks } from '../platform/kafka-topics.ts';
import { buyerPartition, type PartitionKeys, partitionKeys } from '../platform/keys.ts';
import type { Namespace } from '../platform/namespace.ts';
import type { RedisClient } from '../platform/redis.ts';
import { withholdingReason } from '../platform/trigger-offer.ts';

const LOOK_MS = 20;
const PATIENCE_MS = 2_000;
/** Triggers that one command names: Redis does nothing else meanwhile. */
const ASKED_AT_ONCE = 500;
const UNKNOWN_PAUSE_MS = 1_000;
const UNKNOWN_PAUSE_MS_MAX = 30_000;

/** `unknown`: the partition's state cannot be trusted now; ask again later. */
export type Standing = 'waiting' | 'gone' | 'unknown';

/** What a trigger is asked of by. */
type Asked = Pick<WaitingTrigger, 'id' | 'key'>;

export interface PendingCheck {
  standing(trigger: Asked): Promise<Standing>;
}

export interface PendingPorts {
  readonly redis: Pick<RedisClient, 'hmget' | 'multi'>;
  readonly admin: Pick<TopicAdmin, 'watermarks'>;
  readonly namespace: Namespace;
  /** Of `events`. */
  readonly generation: number;
  nowMs(): number;
}

const HEAD_FIELDS = ['ready', 'stamp', 'offset'] as const;

type Fields = readonly (string | null)[];

interface Question {
  readonly trigger: Asked;
  readonly answer: (standing: Standing) => void;
}

/** The questions of one partition. */
interface Line {
  readonly partition: number;
  readonly keys: PartitionKeys;
  readonly waiting: Question[];
  busy: boolean;
  /** The end that its state did not come to in time: until it has, nobody waits for it again. Negative: none. */
  missedEnd: number;
}

/** How long to wait with what has led to nothing so often before (a question that was answered `unknown`, say): 1, 2, 4 … 30 s. */
export function unknownPauseMs(timesBefore: number): number {
  return Math.min(UNKNOWN_PAUSE_MS * 2 ** timesBefore, UNKNOWN_PAUSE_MS_MAX);
}

/**
 * The ends of the log as they stand after the call: one request at a time, shared by whoever asked before it began. Not one
 * that is under way already: a receipt may have come since.
 */
function sharedEnds(admin: PendingPorts['admin'], topic: string): () => Promise<Watermarks[]> {
  let underWay: Promise<unknown> = Promise.resolve();
  let next: Promise<Watermarks[]> | null = null;
  async function request(): Promise<Watermarks[]> {
    await underWay;
    next = null;
    const asked = admin.watermarks(topic);
    underWay = asked.catch(() => {});
    return asked;
  }
  return () => {
    next ??= request();
    return next;
  };
}

/** Questions that come while others of their partition are being answered wait, and are then answered together. */
export function createPendingCheck(ports: PendingPorts): PendingCheck {
  const { redis, admin, namespace, generation, nowMs } = ports;
  const ends = sharedEnds(admin, namespace.topics.events);
  const lines = new Map<number, Line>();

  function lineOf(partition: number): Line {
    let line = lines.get(partition);
    if (line === undefined) {
      const keys = partitionKeys(namespace, { topic: 'events', generation, partition });
      line = { partition, keys, waiting: [], busy: false, missedEnd: -1 };
      lines.set(partition, line);
    }
    return line;
  }

  /** How far the partition's state is that a head with these fields tells of; null if it may not be trusted now. */
  function reachedBy([ready, stamp, offset]: Fields): number | null {
    return withholdingReason(ready ?? null, stamp ?? null, nowMs()) === null ? Number(offset ?? 0) : null;
  }

  /** Whether the partition's state may be trusted and has come to that end, within a patience that one that lags has used up. */
  async function comesTo(line: Line, end: number): Promise<boolean> {
    const untilMs = performance.now() + PATIENCE_MS;
    for (;;) {
      const reached = reachedBy(await redis.hmget(line.keys.head, ...HEAD_FIELDS));
      if (reached === null) return false;
      if (reached >= end) {
        line.missedEnd = -1;
        return true;
      }
      // Whoever asks holds a slot of its receiver meanwhile: behind a partition that lags for an hour all would be held.
      if (reached < line.missedEnd) return false;
      if (performance.now() > untilMs) {
        line.missedEnd = end;
        return false;
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }

  /**
   * The triggers with the head that they stand by, at one moment: Redis may have been put back in between, and a trigger that it
   * does not have again yet would be gone for good.
   */
  async function readTogether(line: Line, ids: readonly string[]): Promise<[head: Fields, found: Fields]> {
    const { head, triggers } = line.keys;
    const answers = await redis
      .multi()
      .hmget(head, ...HEAD_FIELDS)
      .hmget(triggers, ...ids)
      .exec();
    return (answers ?? []).map(([error, fields]) => {
      if (error !== null) throw error;
      return fields as Fields;
    }) as [Fields, Fields];
  }

  async function standings(line: Line, questions: readonly Question[]): Promise<Standing[]> {
    const end = (await ends())[line.partition]!.high;
    if (!(await comesTo(line, end))) return questions.map(() => 'unknown');
    const ids = questions.map(({ trigger }) => trigger.id);
    const [head, found] = await readTogether(line, ids);
    const reached = reachedBy(head);
    if (reached === null || reached < end) return questions.map(() => 'unknown');
    return found.map((trigger) => (trigger === null ? 'gone' : 'waiting'));
  }

  async function answerAll(line: Line): Promise<void> {
    while (line.waiting.length > 0) {
      const questions = line.waiting.splice(0, ASKED_AT_ONCE);
      const found = await standings(line, questions).catch(() => []);
      for (const [index, { answer }] of questions.entries()) answer(found[index] ?? 'unknown');
    }
    line.busy = false;
  }

  return {
    standing(trigger) {
      return new Promise((answer) => {
        const line = lineOf(buyerPartition(trigger.key));
        line.waiting.push({ trigger, answer });
        if (line.busy) return;
        line.busy = true;
        // Questions of the same turn of the event loop go together.
        setImmediate(() => void answerAll(line));
      });
    },
  };
}
