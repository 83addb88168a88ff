// Every Redis key name there is. A partition's keys share one hash tag, so that one script may touch them all.
import { partitionOf } from '../domain/hash.ts';
import type { Namespace } from './namespace.ts';
import { topicPartitions } from './namespace.ts';

/** The topics of which partitions have a state, an owner and an outbox. The letter stands in the tag. */
export const statefulTopics = ['events', 'spend', 'rejected'] as const;
export type StatefulTopic = (typeof statefulTopics)[number];
const letters: Record<StatefulTopic, string> = { events: 'e', spend: 's', rejected: 'r' };

/** Chosen so that the tags of 12 and of 4 partitions spread evenly over 2, 3, 4 and 6 cluster nodes. */
const SALT = 'aa';

/** One partition of one topic in one generation: whose state it is. */
export interface PartitionId {
  readonly topic: StatefulTopic;
  readonly generation: number;
  readonly partition: number;
}

/** What the tags of all partitions of a topic begin with. */
export function topicTagPrefix(namespace: Namespace, topic: StatefulTopic, generation: number): string {
  return `{${namespace.redisPrefix}${letters[topic]}${generation}.`;
}

export function tagOf(namespace: Namespace, { topic, generation, partition }: PartitionId): string {
  return `${topicTagPrefix(namespace, topic, generation)}${partition}.${SALT}}`;
}

/** The keys of one partition. */
export interface PartitionKeys {
  /** Hash: whose it is (nonce, owner, stamp, ready), where it stands (seq, offset, fired, ordinal, watermark, anchor, received, last), what it is (generation, schema), and what others are told (flushed, paused, oldest, owed). */
  readonly head: string;
  /** Hash: what an operator asks of the partition (partition-control.ts); no part of its state. */
  readonly control: string;
  /** String: the definitions in force, MessagePack. */
  readonly definitions: string;
  /** Hash: seq → a committed batch that is not yet delivered. */
  readonly outbox: string;
  /** Sorted set: buyer or account by due time. */
  readonly timers: string;
  /** Set: names (after `window:`) of the windows that are held. */
  readonly windows: string;
  /** Hash: trigger id → pending trigger. */
  readonly triggers: string;
  window(name: string): string;
  buyer(key: string): string;
  account(id: string): string;
}

export function partitionKeys(namespace: Namespace, id: PartitionId): PartitionKeys {
  const tag = tagOf(namespace, id);
  const buyer = `${tag}:buyer:`;
  const account = `${tag}:account:`;
  const window = `${tag}:window:`;
  return {
    head: `${tag}:head`,
    control: `${tag}:control`,
    definitions: `${tag}:definitions`,
    outbox: `${tag}:outbox`,
    timers: `${tag}:timers`,
    windows: `${tag}:windows`,
    triggers: `${tag}:triggers`,
    window: (name) => window + name,
    buyer: (key) => buyer + key,
    account: (accountId) => account + accountId,
  };
}

/** `<series>:<revision>:<m|h|d><number of the minute, hour or day since the epoch>`. */
export function windowName(series: string, revision: number, grain: 'm' | 'h' | 'd', bucket: number): string {
  return `${series}:${revision}:${grain}${bucket}`;
}

/** Hash: topic → `<generation>:<topic id>:<partitions>`. */
export function generationsKey(namespace: Namespace): string {
  return `${namespace.redisPrefix}flywheel:generations`;
}

/** String: the process that leads the jobs, for as long as it renews it. */
export function jobsLeaderKey(namespace: Namespace): string {
  return `${namespace.redisPrefix}flywheel:jobs:leader`;
}

/** Hash: `<funnel>@<revision>` → how far its past is computed, for one generation of `events`. */
export function backfillsKey(namespace: Namespace, generation: number): string {
  return `${namespace.redisPrefix}flywheel:backfills:${generation}`;
}

/** Sorted set: what the live debugger looks for, by when that ends. */
export function liveInterestsKey(namespace: Namespace): string {
  return `${namespace.redisPrefix}flywheel:live:interests`;
}

/** Pub/Sub channel: what records came to, while somebody looks. */
export function liveChannel(namespace: Namespace): string {
  return `${namespace.redisPrefix}flywheel:live`;
}

/** String: the latest evaluation of the sources' health, JSON. */
export function sourceHealthKey(namespace: Namespace): string {
  return `${namespace.redisPrefix}flywheel:sources:health`;
}

/** The partition of `events` that owns a buyer's (or company's) key. */
export function buyerPartition(key: string): number {
  return partitionOf(key, topicPartitions.events);
}

/** The partition of `spend` that owns an account. */
export function accountPartition(account: string): number {
  return partitionOf(account, topicPartitions.spend);
}
