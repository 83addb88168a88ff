// The faults that alerts are made to fire by: what each does to the running stack, and which alerts must tell of it.
import { readFile, writeFile } from 'node:fs/promises';
import { buyerPartition, type PartitionKeys, partitionKeys } from '../../platform/keys.ts';
import type { Namespace } from '../../platform/namespace.ts';
import { pausePartition, resumePartition } from '../../platform/partition-control.ts';
import { evaluate, growthFaults } from './growth-faults.ts';
import { packedFault } from './packed-fault.ts';
import {
  burning,
  define,
  expectTaken,
  type Fault,
  HOARD_SIGNAL,
  many,
  nothing,
  PER_TICK,
  post,
  run,
  signal,
  type Victim,
  type WantedAlert,
  wait,
} from './victim.ts';

/** Of an account with 450 EUR a day. */
const CAMPAIGN = 'display-brands';
const HOUR_MS = 3_600_000;
/** When the ledger has the report. */
const BIDS_FROM_TICK = 5;
const FENCED_PARTITION = 4;
const BROKEN_PARTITION = 3;
/** Four ticks of it are more than the 50,000 records that an alert allows to wait. */
const BACKLOG_PER_TICK = 20_000;
const BACKLOG_TICKS = 6;
/** Longer than a tick, so that no write passes between two of them. */
const REDIS_PAUSE_MS = 5_000;
const HELD_MS = 600;
/** Evaluations and bids: what an objective misses is a share of all that were asked before, too. */
const ASKED_PER_TICK = 5;
const HELD_PAUSE_MS = 200;

function unreachable(part: 'kafka' | 'redis'): WantedAlert {
  return { alert: 'FlywheelPartUnreachable', labels: { part } };
}

/** A process that stands still looks to Prometheus like one that is gone, and can go on afterwards. */
function standingStill(
  name: 'stream' | 'serve' | 'jobs' | 'clickhouse',
  alerts: readonly WantedAlert[],
): Fault {
  return {
    name: `${name} stands still (SIGSTOP)`,
    alerts,
    async cause(victim) {
      signal(victim, name, 'SIGSTOP');
      await post(
        victim,
        '/v1/batch',
        many((index) => ({ type: 'page', userId: `still-${index}` })),
      );
    },
    mend: async (victim) => signal(victim, name, 'SIGCONT'),
  };
}

/** Killed again whenever its supervisor has restarted it, while events keep coming, evaluations and bids. */
function keptDown(name: 'kafka' | 'redis' | 'clickhouse', alerts: readonly WantedAlert[]): Fault {
  return {
    name: `${name} is killed whenever it comes back (SIGKILL)`,
    alerts,
    async cause(victim, tick) {
      signal(victim, name, 'SIGKILL');
      await post(
        victim,
        '/v1/batch',
        many((index) => ({ type: 'page', userId: `kept-${index}` })),
      );
      const buyers = Array.from({ length: ASKED_PER_TICK }, (_, index) => `kept-${tick}-${index}`);
      await Promise.all(
        buyers.flatMap((buyer) => [
          evaluate(victim, { targetingKey: buyer }),
          post(victim, '/v1/bids', {
            bids: [{ campaignId: CAMPAIGN, buyerKey: `u:${buyer}`, country: 'DE' }],
          }),
        ]),
      );
    },
    mend: nothing,
  };
}

/** An account whose day is three quarters over, wherever the sun stands: its plan has come far. */
async function defineLateAccount(victim: Victim): Promise<void> {
  const wanted = 18 - new Date().getUTCHours();
  const utcOffsetMinutes = (wanted > 14 ? wanted - 24 : wanted < -12 ? wanted + 24 : wanted) * 60;
  await define(victim, 'account/behind', () => ({
    ...{ name: 'Spends nothing', currency: 'EUR', dailyBudgetMicros: 100_000_000 },
    // So small that what is only leased stays far below the plan.
    ...{ totalBudgetMicros: null, utcOffsetMinutes, leaseShare: 0.01 },
  }));
  await define(victim, 'campaign/behind', () => ({
    ...{ name: 'Shows nothing', accountId: 'behind', channel: 'display' },
    ...{ valueMicros: 1_000_000, maxBidMicros: 1_000_000 },
  }));
}

/** That it showed nothing: by a report, because an account of which nothing was heard has no time of day. */
async function reportNothing(victim: Victim): Promise<void> {
  const asOf = new Date();
  const start = new Date(Math.floor(asOf.getTime() / HOUR_MS) * HOUR_MS);
  const row = {
    ...{ campaign: 'behind', channel: 'display', country: 'DE', period: 'hour', currency: 'EUR' },
    ...{ start: start.toISOString(), asOf: asOf.toISOString(), impressions: 0, clicks: 0, cost: 0 },
  };
  await expectTaken(victim, '/v1/spend', { rows: [row] });
}

/** Events of buyers who were never seen: none of their states is in an owner's memory. */
async function produceStrangers({ producer, namespace }: Victim, tick: number): Promise<void> {
  const topic = namespace.topics.events;
  const nowMs = Date.now();
  const messages = Array.from({ length: BACKLOG_PER_TICK }, (_, index) => {
    const userId = `stranger-${tick}-${index}`;
    const record = { kind: 'page', messageId: userId, userId, timestamp: nowMs, receivedAt: nowMs };
    const key = `u:${userId}`;
    return { topic, partition: buyerPartition(key), key, value: JSON.stringify(record) };
  });
  await producer.sendBatch(messages);
}

let definitionsBefore: Buffer | null = null;
let keysFileBefore = '';

/** In this order: what cannot be mended (a part that its supervisor has given up) comes last. */
export const faults: readonly Fault[] = [
  {
    name: 'garbage is written into Kafka past serve',
    alerts: ['FlywheelRecordsMalformed'],
    async cause({ producer, namespace }) {
      const topic = namespace.topics.events;
      await producer.sendBatch(
        Array.from({ length: PER_TICK }, () => ({
          topic,
          partition: 2,
          key: null,
          value: '{not json',
        })),
      );
    },
    mend: nothing,
  },
  packedFault,
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
    alerts: [
      'FlywheelBudgetExhausted',
      'FlywheelBudgetOvershot',
      'FlywheelBidsWithoutLease',
      'FlywheelLeasesRefused',
    ],
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
    name: 'an account gets nothing of what is bid',
    alerts: ['FlywheelBudgetBehind'],
    async cause(victim, tick) {
      if (tick === 0) await defineLateAccount(victim);
      if (tick === BIDS_FROM_TICK) await reportNothing(victim);
      await post(victim, '/v1/bids', { bids: [{ campaignId: 'behind', country: 'US' }] });
    },
    mend: nothing,
  },
  ...growthFaults,
  {
    name: 'a partition is paused and forgotten',
    alerts: ['FlywheelPartitionPaused'],
    cause: ({ redis, namespace }) => pausePartition(redis, keysOf(namespace, 5)),
    mend: ({ redis, namespace }) => resumePartition(redis, keysOf(namespace, 5)),
  },
  {
    name: 'others take a partition over again and again',
    alerts: ['FlywheelFencedOften'],
    async cause({ redis, namespace }) {
      await redis.hset(keysOf(namespace, FENCED_PARTITION).head, 'nonce', 'an intruder');
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
      await run(victim, 'keys', ['create', 'soon', '--scope', 'write', '--expires', '2d']);
    },
    mend: nothing,
  },
  {
    name: 'the state of a partition is overwritten by somebody else, so that no owner can take it over',
    alerts: ['FlywheelPartitionsUnowned', 'FlywheelStepsFail'],
    async cause(victim, tick) {
      const { head, definitions } = keysOf(victim.namespace, BROKEN_PARTITION);
      if (tick === 0) {
        definitionsBefore = await victim.redis.dumpBuffer(definitions);
        await victim.redis.del(definitions);
        await victim.redis.rpush(definitions, 'something else');
        await victim.redis.hset(head, 'nonce', 'an intruder');
      }
      await post(
        victim,
        '/v1/batch',
        many((index) => ({ type: 'page', userId: `broken-${tick}-${index}` })),
      );
    },
    async mend({ redis, namespace }) {
      const { definitions } = keysOf(namespace, BROKEN_PARTITION);
      await redis.restore(definitions, 0, definitionsBefore!, 'REPLACE');
    },
  },
  {
    name: 'Redis takes no writes while many events come',
    alerts: ['FlywheelLagGrows', 'FlywheelStreamBehind'],
    async cause(victim, tick) {
      await victim.redis.call('CLIENT', 'PAUSE', String(REDIS_PAUSE_MS), 'WRITE');
      if (tick < BACKLOG_TICKS) await produceStrangers(victim, tick);
    },
    async mend({ redis }) {
      await redis.call('CLIENT', 'UNPAUSE');
    },
  },
  {
    name: 'jobs is held up again and again (SIGSTOP, SIGCONT)',
    alerts: ['FlywheelLoopBlocked'],
    async cause(victim) {
      for (let round = 0; round < 3; round += 1) {
        signal(victim, 'jobs', 'SIGSTOP');
        await wait(HELD_MS);
        signal(victim, 'jobs', 'SIGCONT');
        await wait(HELD_PAUSE_MS);
      }
    },
    mend: nothing,
  },
  {
    name: 'jobs holds more memory than it may',
    alerts: ['FlywheelMemoryHigh'],
    async cause(victim, tick) {
      if (tick === 0) signal(victim, 'jobs', HOARD_SIGNAL);
    },
    // The supervisor starts another one.
    async mend(victim) {
      signal(victim, 'jobs', 'SIGKILL');
    },
  },
  standingStill('jobs', ['FlywheelProcessDown', 'FlywheelJobsLeaderless', 'FlywheelSourcesUnwatched']),
  standingStill('stream', ['FlywheelProcessDown', 'FlywheelPartitionsUnowned', ...burning('freshness')]),
  standingStill('clickhouse', ['FlywheelDeliveryStalls']),
  keptDown('clickhouse', ['FlywheelDeliveryFails', 'FlywheelDeliveryStalls']),
  keptDown('kafka', [
    unreachable('kafka'),
    'FlywheelCollectRefuses',
    'FlywheelExposuresLost',
    ...burning('collect'),
  ]),
  // No owner is left by then whose steps could fail: Kafka has been away for longer than a session.
  keptDown('redis', [unreachable('redis'), ...burning('assignment'), ...burning('bid')]),
];

function keysOf(namespace: Namespace, partition: number): PartitionKeys {
  return partitionKeys(namespace, { topic: 'events', generation: 1, partition });
}
