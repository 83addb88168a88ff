// The faults that alerts are made to fire by: what each does to the running stack, and which alerts must tell of it.
import { type ChildProcess, spawn } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { flywheelCommandLine } from '../../ops/local/flywheel-process.ts';
import type { Stack } from '../../ops/local/stack.ts';
import type { ApiKeyPair } from '../../platform/api-keys.ts';
import type { Config } from '../../platform/config.ts';
import type { Producer } from '../../platform/kafka.ts';
import { partitionKeys } from '../../platform/keys.ts';
import type { Namespace } from '../../platform/namespace.ts';
import { pausePartition, resumePartition } from '../../platform/partition-control.ts';
import type { RedisClient } from '../../platform/redis.ts';

/** All that a fault may touch. */
export interface Victim {
  readonly stack: Stack;
  readonly config: Config;
  readonly environment: Readonly<Record<string, string>>;
  readonly namespace: Namespace;
  readonly redis: RedisClient;
  readonly producer: Producer;
  readonly keys: ApiKeyPair;
  readonly url: string;
}

export interface Fault {
  readonly name: string;
  /** Alerts that must fire. */
  readonly alerts: readonly string[];
  /** Done every second until all of them do: a fault goes on. */
  cause(victim: Victim, tick: number): Promise<void>;
  mend(victim: Victim): Promise<void>;
}

/** Of an account with 450 EUR a day. */
const CAMPAIGN = 'display-brands';
const PER_TICK = 20;
const HOUR_MS = 3_600_000;
/** When the ledger has the report. */
const BIDS_FROM_TICK = 5;
const FENCED_PARTITIONS = 6;
const nothing = async (): Promise<void> => {};

async function post({ url, keys }: Victim, path: string, body: unknown): Promise<unknown> {
  const answer = await fetch(url + path, {
    method: 'POST',
    headers: { authorization: `Bearer ${keys.secret}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(5_000),
  }).catch(() => undefined);
  return answer?.json().catch(() => undefined);
}

/** As `post`, where a refusal would mean that there is no fault. */
async function expectTaken(victim: Victim, path: string, body: unknown): Promise<void> {
  const answer = (await post(victim, path, body)) as { accepted?: number } | undefined;
  if (answer?.accepted === 1) return;
  throw new Error(`the fault could not be caused: ${JSON.stringify(answer)}`);
}

function many(make: (index: number) => Record<string, unknown>): { batch: Record<string, unknown>[] } {
  return { batch: Array.from({ length: PER_TICK }, (_, index) => make(index)) };
}

/** Signals a process of ours; one that is gone already is what was wanted. */
function signal({ stack }: Victim, name: Parameters<Stack['pidOf']>[0], what: NodeJS.Signals): void {
  const pid = stack.pidOf(name);
  if (pid === undefined) return;
  try {
    process.kill(pid, what);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** A process that stands still looks to Prometheus like one that is gone, and can go on afterwards. */
function standingStill(name: 'stream' | 'serve' | 'jobs', alerts: readonly string[]): Fault {
  return {
    name: `${name} stands still (SIGSTOP)`,
    alerts,
    cause: async (victim) => signal(victim, name, 'SIGSTOP'),
    mend: async (victim) => signal(victim, name, 'SIGCONT'),
  };
}

/** Killed again whenever its supervisor has restarted it, while events keep coming. */
function keptDown(name: 'kafka' | 'redis' | 'clickhouse', alerts: readonly string[]): Fault {
  return {
    name: `${name} is killed whenever it comes back (SIGKILL)`,
    alerts,
    async cause(victim) {
      signal(victim, name, 'SIGKILL');
      await post(
        victim,
        '/v1/batch',
        many((index) => ({ type: 'page', userId: `kept-${index}` })),
      );
    },
    mend: nothing,
  };
}

function run({ environment }: Victim, command: string, args: readonly string[]): ChildProcess {
  const [program, ...before] = flywheelCommandLine(command);
  return spawn(program!, [...before, ...args], {
    env: { PATH: process.env.PATH, ...environment },
    stdio: 'ignore',
  });
}

let keysFileBefore = '';

/** In this order: what cannot be mended (a part that its supervisor has given up) comes last. */
export const faults: readonly Fault[] = [
  {
    name: 'garbage is written into Kafka past serve',
    alerts: ['FlywheelRecordsMalformed'],
    async cause({ producer, namespace }) {
      const topic = namespace.topics.events;
      await producer.sendBatch(
        Array.from({ length: PER_TICK }, () => ({ topic, partition: 2, key: null, value: '{not json' })),
      );
    },
    mend: nothing,
  },
  {
    name: 'a site sends events of nobody',
    alerts: ['FlywheelCollectRejectsMany'],
    async cause(victim) {
      await post(
        victim,
        '/v1/batch',
        many(() => ({ type: 'track', event: 'nobody did this' })),
      );
    },
    mend: nothing,
  },
  {
    name: 'a client sends everything again, and old days',
    alerts: ['FlywheelDuplicatesMany', 'FlywheelLateMany'],
    async cause(victim, tick) {
      const page = { type: 'page', userId: 'again' };
      await post(
        victim,
        '/v1/batch',
        many((index) => ({ ...page, messageId: `again-${index % 4}` })),
      );
      const timestamp = '2020-01-01T00:00:00Z';
      await post(
        victim,
        '/v1/batch',
        many((index) => ({ ...page, timestamp, messageId: `old-${tick}-${index}` })),
      );
    },
    mend: nothing,
  },
  {
    name: 'bids are asked for a campaign that is not defined',
    alerts: ['FlywheelBidsUndefined'],
    async cause(victim) {
      await post(victim, '/v1/bids', { bids: [{ campaignId: 'no-such-campaign', country: 'US' }] });
    },
    mend: nothing,
  },
  {
    name: 'a platform reports more than the budget of today',
    alerts: ['FlywheelBudgetExhausted', 'FlywheelBudgetOvershot', 'FlywheelBidsWithoutLease'],
    async cause(victim, tick) {
      const asOf = new Date();
      const start = new Date(Math.floor(asOf.getTime() / HOUR_MS) * HOUR_MS);
      const row = {
        ...{ campaign: CAMPAIGN, channel: 'display', country: 'DE', period: 'hour', currency: 'EUR' },
        ...{ start: start.toISOString(), asOf: asOf.toISOString() },
        ...{ impressions: 1_000, clicks: 10, cost: 900 },
      };
      if (tick === 0) await expectTaken(victim, '/v1/spend', { rows: [row] });
      if (tick < BIDS_FROM_TICK) return;
      const bids = Array.from({ length: PER_TICK }, () => ({ campaignId: CAMPAIGN, country: 'DE' }));
      await post(victim, '/v1/bids', { bids });
    },
    mend: nothing,
  },
  {
    name: 'a partition is paused and forgotten',
    alerts: ['FlywheelPartitionPaused'],
    cause: ({ redis, namespace }) => pausePartition(redis, keysOf(namespace, 5)),
    mend: ({ redis, namespace }) => resumePartition(redis, keysOf(namespace, 5)),
  },
  {
    name: 'others take partitions over again and again',
    alerts: ['FlywheelFencedOften'],
    async cause({ redis, namespace }) {
      for (let partition = 0; partition < FENCED_PARTITIONS; partition += 1)
        await redis.hset(keysOf(namespace, partition).head, 'nonce', 'an intruder');
    },
    mend: nothing,
  },
  {
    name: 'the keys file is broken by hand',
    alerts: ['FlywheelKeysFileBroken'],
    async cause({ config }, tick) {
      if (tick > 0) return;
      keysFileBefore = await readFile(config.serveKeysFile, 'utf8');
      await writeFile(config.serveKeysFile, '{ "keys": [');
    },
    mend: ({ config }) => writeFile(config.serveKeysFile, keysFileBefore),
  },
  {
    name: 'a key is about to expire',
    alerts: ['FlywheelKeyExpires'],
    async cause(victim, tick) {
      if (tick > 0) return;
      const child = run(victim, 'keys', ['create', 'soon', '--scope', 'write', '--expires', '2d']);
      await new Promise((resolve) => child.once('exit', resolve));
    },
    mend: nothing,
  },
  standingStill('jobs', ['FlywheelProcessDown', 'FlywheelJobsLeaderless']),
  standingStill('stream', ['FlywheelProcessDown']),
  keptDown('clickhouse', ['FlywheelDeliveryFails']),
  keptDown('kafka', ['FlywheelPartUnreachable', 'FlywheelCollectRefuses', 'FlywheelObjectiveBurnsFast']),
  keptDown('redis', ['FlywheelPartUnreachable', 'FlywheelStepsFail']),
];

function keysOf(namespace: Namespace, partition: number) {
  return partitionKeys(namespace, { topic: 'events', generation: 1, partition });
}
