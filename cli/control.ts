// `flywheel pause`, `resume`, `rewind`: what one partition is to do. The wish stands in Redis; its owner, whoever that is,
// takes it up within a second or two, and these commands wait until it has.
import type { Command } from 'commander';
import { readConfig } from '../platform/config.ts';
import { ensureGeneration, openTopicAdmin, type TopicAdmin } from '../platform/kafka-topics.ts';
import { type PartitionKeys, partitionKeys, type StatefulTopic } from '../platform/keys.ts';
import { type Namespace, namespaceOf } from '../platform/namespace.ts';
import {
  pausePartition,
  readControl,
  requestRewind,
  resumePartition,
} from '../platform/partition-control.ts';
import { type PartitionStatus, partitionNamed, readPartitions } from '../platform/partition-status.ts';
import { PlatformError } from '../platform/platform-error.ts';
import { openRedis, type RedisClient } from '../platform/redis.ts';
import { isoTimeMs } from './iso-time.ts';

const TAKEN_UP_MS_MAX = 10_000;
const LOOK_MS = 200;

export interface Place {
  readonly namespace: Namespace;
  readonly redis: RedisClient;
  readonly admin: TopicAdmin;
  readonly topic: StatefulTopic;
  readonly partition: number;
  readonly keys: PartitionKeys;
}

/** Opens the parts, does the work on the partition that is named, says what came of it, closes. */
async function at(topic: string, partition: string, work: (place: Place) => Promise<string>): Promise<void> {
  const named = partitionNamed(topic, partition);
  const config = readConfig();
  const namespace = namespaceOf(config.namespace);
  const redis = await openRedis({ url: config.redisUrl });
  const admin = openTopicAdmin(config.kafkaBrokers);
  try {
    const generations = await ensureGeneration(namespace, admin, redis);
    const keys = partitionKeys(namespace, { ...named, generation: generations[named.topic] });
    const said = await work({ namespace, redis, admin, keys, ...named });
    process.stdout.write(`${topic} ${partition}: ${said}\n`);
  } finally {
    await admin.close();
    redis.disconnect();
  }
}

async function statusOf({ namespace, redis, admin, topic, partition }: Place): Promise<PartitionStatus> {
  const all = await readPartitions(namespace, redis, admin, Date.now());
  return all.find((one) => one.topic === topic && one.partition === partition)!;
}

/** False if no owner has taken it up in time: it is done by the next one. */
async function untilTakenUp(isTakenUp: () => Promise<boolean>): Promise<boolean> {
  const untilMs = performance.now() + TAKEN_UP_MS_MAX;
  while (!(await isTakenUp())) {
    if (performance.now() > untilMs) return false;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  return true;
}

const laterBy = 'no owner has taken it up yet; the next one will';

/**
 * Whether a living owner says that it stands still, or that it does not: what else is the matter with the partition is told before
 * that as its health. What one of before has said stays in Redis when it is gone.
 */
async function ownerSays(place: Place, paused: '0' | '1'): Promise<boolean> {
  const { owner } = await statusOf(place);
  return owner !== null && (await place.redis.hget(place.keys.head, 'paused')) === paused;
}

export async function pause(place: Place): Promise<string> {
  const before = await readControl(place.redis, place.keys);
  if (before.paused) return `is paused already, at offset ${(await statusOf(place)).offset}`;
  await pausePartition(place.redis, place.keys);
  const isTaken = await untilTakenUp(() => ownerSays(place, '1'));
  const { offset, high } = await statusOf(place);
  return isTaken ? `paused at offset ${offset}; its log ends at ${high}` : `to be paused: ${laterBy}`;
}

export async function resume(place: Place): Promise<string> {
  const { paused, holdAt } = await readControl(place.redis, place.keys);
  if (!paused && holdAt === null) return 'was not paused';
  await resumePartition(place.redis, place.keys);
  const isTaken = await untilTakenUp(() => ownerSays(place, '0'));
  const { offset, lag } = await statusOf(place);
  return isTaken ? `goes on at offset ${offset}, ${lag} records behind` : `to go on: ${laterBy}`;
}

/** An offset, or a time at or after which it was appended. @throws PlatformError NO_SUCH_OFFSET */
async function targetOf({ namespace, admin, topic, partition }: Place, to: string): Promise<number> {
  if (/^\d{1,15}$/.test(to)) return Number(to);
  const timeMs = isoTimeMs(to);
  if (timeMs === undefined) {
    throw new PlatformError(
      'NO_SUCH_OFFSET',
      `--to is an offset or an ISO 8601 time, not ${JSON.stringify(to)}`,
    );
  }
  const found = await admin.offsetAt(namespace.topics[topic], partition, timeMs);
  if (found !== null) return found;
  throw new PlatformError(
    'NO_SUCH_OFFSET',
    `nothing was appended to ${topic} ${partition} at or after ${to}`,
  );
}

interface RewindOptions {
  readonly to: string;
  readonly hold?: true;
}

export async function rewind(place: Place, { to, hold }: RewindOptions): Promise<string> {
  const { redis, admin, namespace, topic, partition, keys } = place;
  const target = await targetOf(place, to);
  const before = await statusOf(place);
  if (target > before.offset) {
    const beyond = target > before.high ? `its log ends at ${before.high}` : `it stands at ${before.offset}`;
    throw new PlatformError('NO_SUCH_OFFSET', `${topic} ${partition} cannot go back to ${target}: ${beyond}`);
  }
  const { low } = (await admin.watermarks(namespace.topics[topic]))[partition]!;
  if (low > 0) {
    throw new PlatformError(
      'NO_SUCH_OFFSET',
      `the log of ${topic} ${partition} begins at ${low}: what was before is gone, and the state of then cannot be made anew; restore a copy of Redis`,
    );
  }
  await requestRewind(redis, keys, hold === true ? target : null);
  const isTaken = await untilTakenUp(async () => (await readControl(redis, keys)).rewind === null);
  if (!isTaken) return `to begin again: ${laterBy}`;
  const stays = hold === true ? `, and stays at ${target} until it is resumed` : '';
  const { paused } = await readControl(redis, keys);
  const stands = paused ? `, but it is still paused: flywheel resume ${topic} ${partition}` : '';
  return `begins again at offset 0 (it stood at ${before.offset}); the log makes its state anew${stays}${stands}`;
}

export function register(program: Command): void {
  program
    .command('pause')
    .description('let one partition stand still: nothing of it is applied; serve goes on with what is there')
    .argument('<topic>', 'events, spend or rejected')
    .argument('<partition>')
    .action((topic: string, partition: string) => at(topic, partition, pause));
  program
    .command('resume')
    .description('let a partition go on that was paused, or held by a rewind')
    .argument('<topic>', 'events, spend or rejected')
    .argument('<partition>')
    .action((topic: string, partition: string) => at(topic, partition, resume));
  program
    .command('rewind')
    .description(
      'make the state of one partition anew from its log; repeats are dropped by whoever gets them',
    )
    .argument('<topic>', 'events, spend or rejected')
    .argument('<partition>')
    .requiredOption(
      '--to <offset|time>',
      'where to go back to, at most where it stands (ISO 8601: by append time); 0 for all of it',
    )
    .option('--hold', 'stand still there, with the state of then, until `flywheel resume`')
    .action((topic: string, partition: string, options: RewindOptions) =>
      at(topic, partition, (place) => rewind(place, options)),
    );
}
