// Which partitions this process owns: taken over when the group gives them, again when an owner has failed or reads nothing, and let
// go when the group takes them back. One that can not be taken over is tried on and on; nobody waits for it.
import { setTimeout as wait } from 'node:timers/promises';
import type { TopicAdmin } from '../platform/kafka-topics.ts';
import type { PartitionId, StatefulTopic } from '../platform/keys.ts';
import type { Namespace } from '../platform/namespace.ts';
import { createStallWatch } from '../platform/stalls.ts';
import type { Owner } from './owner.ts';
import type { Source, SourceListener, TopicPartition } from './source.ts';
import { type TakenOver, TakeOverError } from './take-over.ts';

const BACKOFF_MS = 500;

interface LogEnds {
  readonly low: number;
  readonly high: number;
}

export interface OwnershipParts {
  readonly namespace: Namespace;
  readonly admin: Pick<TopicAdmin, 'watermarks'>;
  /** The consumer, which is told of these owners. */
  source(): Pick<Source, 'isAssigned' | 'afterNextPoll' | 'restart'>;
  takeOver(partition: TopicPartition, log: LogEnds): Promise<TakenOver>;
  /** Where the first record at or behind an offset stands; the log's end if there is none. */
  firstRecord(partition: TopicPartition, from: number, to: number): Promise<number>;
  ownerOf(taken: TakenOver, partition: TopicPartition, log: LogEnds): Owner;
  takeOverFailed(): void;
  sourceFailed(error: Error): void;
  /** State and log do not belong together. */
  fatal(error: Error): void;
  log(level: 'warn' | 'error', message: string): void;
  now(): number;
}

export interface Ownership extends Pick<SourceListener, 'assigned' | 'revoked' | 'messages' | 'backlog'> {
  all(): Owner[];
  /** Has whoever reads nothing, though the log goes on, taken over again. Does nothing while partitions come and go. */
  lookForStalls(): Promise<void>;
  /** Ends after the batches at hand; nothing is taken over any more. */
  close(): Promise<void>;
}

const nameOf = ({ topic, partition }: TopicPartition): string => `${topic}:${partition}`;
const shown = ({ topic, partition }: TopicPartition): string => `${topic} ${partition}`;

export function createOwnership(parts: OwnershipParts): Ownership {
  const owners = new Map<string, Owner>();
  const stalls = createStallWatch();
  /** Those whose next record is looked for in the log when they are taken over. */
  const stalled = new Set<string>();
  /** Rebalances that are under way. */
  let rebalances = 0;
  let isLooking = false;
  let closed = false;
  /** `fatal` was told. */
  let hopeless = false;
  const isOurs = (partition: TopicPartition): boolean => !closed && parts.source().isAssigned(partition);

  async function logOf({ topic, partition }: TopicPartition): Promise<LogEnds> {
    return (await parts.admin.watermarks(topic))[partition]!;
  }

  async function take(partition: TopicPartition): Promise<{ log: LogEnds; taken: TakenOver }> {
    const log = await logOf(partition);
    try {
      return { log, taken: await parts.takeOver(partition, log) };
    } catch (error) {
      if (!(error instanceof TakeOverError && error.code === 'OFFSET_AHEAD')) throw error;
    }
    // Until it was fenced, the owner before may have committed what came after the log was asked for its end.
    const later = await logOf(partition);
    return { log: later, taken: await parts.takeOver(partition, later) };
  }

  /** @returns where to read from; undefined if it is not ours any more */
  async function own(partition: TopicPartition, before?: Owner): Promise<number | undefined> {
    const { log, taken } = await take(partition);
    const { readFrom } = taken;
    const isStalled = stalled.has(nameOf(partition));
    const from = isStalled ? await parts.firstRecord(partition, readFrom, log.high) : readFrom;
    if (!isOurs(partition)) return undefined;
    stalled.delete(nameOf(partition));
    const owner = parts.ownerOf({ ...taken, readFrom: from }, partition, log);
    // It is unread for as long as it was, until this one has read on.
    if (before?.unread !== undefined) owner.noteUnread(before.unread);
    owners.set(nameOf(partition), owner);
    void owner.ended.then((end) => {
      if (end !== 'stopped') again(partition, owner, end).catch(parts.sourceFailed);
    });
    return from;
  }

  /** Takes over if Redis and Kafka let it; undefined if they do not, or if it is not ours any more by then. */
  async function tryToOwn(partition: TopicPartition, before?: Owner): Promise<number | undefined> {
    try {
      return await own(partition, before);
    } catch (error) {
      parts.takeOverFailed();
      if (error instanceof TakeOverError) {
        hopeless = true;
        parts.fatal(error);
        return undefined;
      }
      parts.log('error', `${shown(partition)}: ${(error as Error).message}`);
      return undefined;
    }
  }

  /** As soon as Redis and Kafka let it, while it is ours and the process goes on. */
  async function ownPatiently(partition: TopicPartition, before?: Owner): Promise<void> {
    while (!hopeless && isOurs(partition)) {
      const offset = await tryToOwn(partition, before);
      if (offset !== undefined) return parts.source().restart(partition, offset);
      await wait(BACKOFF_MS);
    }
  }

  /** Fenced or failed: taken again only after a poll that began later has returned and the partition is still ours. */
  async function again(partition: TopicPartition, before: Owner, end: string): Promise<void> {
    parts.log('warn', `${shown(partition)}: owner ${end}, taking over again if still assigned`);
    await wait(BACKOFF_MS);
    await parts.source().afterNextPoll();
    if (owners.get(nameOf(partition)) !== before || !isOurs(partition)) return;
    owners.delete(nameOf(partition));
    await ownPatiently(partition, before);
  }

  async function release(partition: TopicPartition): Promise<void> {
    const owner = owners.get(nameOf(partition));
    owners.delete(nameOf(partition));
    await owner?.stop();
  }

  async function look(): Promise<void> {
    const topics = new Set([...owners.values()].map(({ work }) => work.id.topic));
    const ends = new Map<StatefulTopic, readonly LogEnds[]>();
    for (const topic of topics) ends.set(topic, await parts.admin.watermarks(parts.namespace.topics[topic]));
    if (rebalances > 0) return;
    const endOf = ({ topic, partition }: PartitionId): number => ends.get(topic)?.[partition]?.high ?? 0;
    const all = [...owners].map(([name, { work, expected, backlog }]) => ({
      name,
      expected,
      backlog,
      high: endOf(work.id),
    }));
    for (const { name, high } of all) owners.get(name)?.noteLogEnd(high);
    for (const { name, expected, high, isDue } of stalls.look(all)) {
      const owner = owners.get(name);
      owner?.noteUnread({ expected, sinceMs: owner.unread?.sinceMs ?? parts.now() });
      if (!isDue) continue;
      stalled.add(name);
      const reason = new Error(`nothing came from offset ${expected} on, though the log ends at ${high}`);
      owner?.giveUp(reason);
    }
  }

  /** Without a look in between: while the group waits for its answer the client reads nothing. */
  async function rebalancing<Result>(work: () => Promise<Result>): Promise<Result> {
    rebalances += 1;
    try {
      return await work();
    } finally {
      rebalances -= 1;
    }
  }

  async function takeAll(partitions: readonly TopicPartition[]) {
    const offsets = await Promise.all(partitions.map((partition) => tryToOwn(partition)));
    return partitions.flatMap((partition, index) => {
      const offset = offsets[index];
      if (offset !== undefined) return [{ ...partition, offset }];
      void ownPatiently(partition).catch(parts.sourceFailed);
      return [];
    });
  }

  return {
    assigned: (partitions) => rebalancing(() => takeAll(partitions)),

    async revoked(partitions) {
      await rebalancing(() => Promise.all(partitions.map(release)));
    },

    messages: (partition, messages) => owners.get(nameOf(partition))?.push(messages),

    backlog(partition) {
      const owner = owners.get(nameOf(partition));
      return { messages: owner?.backlog ?? 0, bytes: owner?.backlogBytes ?? 0 };
    },

    all: () => [...owners.values()],

    // The client does not always say that a partition's fetch has stopped, nor of which.
    async lookForStalls() {
      // One that waits for Kafka for longer than until the next one is enough.
      if (isLooking) return;
      if (rebalances > 0) {
        stalls.look([]);
        return;
      }
      isLooking = true;
      try {
        await look();
      } finally {
        isLooking = false;
      }
    },

    async close() {
      closed = true;
      await Promise.all([...owners.values()].map((owner) => owner.stop()));
    },
  };
}
