// The oracle, top to bottom: read the log and the stores, work out by other means what must have come of the log,
// compare it with all that Redis and ClickHouse hold.
import { readBackfills } from '../platform/backfill-progress.ts';
import { type ClickHouse, openClickHouse, pingClickHouse } from '../platform/clickhouse.ts';
import type { Config } from '../platform/config.ts';
import { readDeliveryRecords } from '../platform/delivery-log.ts';
import { type PartitionId, partitionKeys, type StatefulTopic } from '../platform/keys.ts';
import { namespaceOf } from '../platform/namespace.ts';
import { openRedis } from '../platform/redis.ts';
import { compareAdjustments } from './adjustments.ts';
import { compareWindows } from './aggregates.ts';
import { compareBeyondLogs } from './beyond-log.ts';
import { compareBuyers } from './buyer-states.ts';
import { compareCampaignHours } from './campaign-hours.ts';
import { Comparison, type Difference, type KindResult, type LeftOut } from './compare.ts';
import { decodeEvent, decodeSpend } from './decode.ts';
import { compareDeliveries } from './deliveries.ts';
import { compareAppliedIds, compareEventRows, compareLinkRows } from './event-rows.ts';
import {
  compareDefinitionRows,
  compareExposureRows,
  compareOpportunityRows,
  compareTransitionRows,
} from './fact-rows.ts';
import { compareBackfills } from './identity/compare-backfills.ts';
import { comparePersons } from './identity/compare-persons.ts';
import { compareSent } from './identity/compare-sent.ts';
import { compareIdentityRows } from './identity/rows.ts';
import { type Implied, shortfallsOf } from './implied.ts';
import { keepLedger } from './ledger/ledger.ts';
import { openLogReader } from './log.ts';
import { comparePartitions } from './partitions.ts';
import { workOut } from './people.ts';
import { compareRejectedLog, compareRejectRows } from './reject-rows.ts';
import { placeOf, type Scope, type VersionsNow, versionReached } from './scope.ts';
import { windowFunnelLevels } from './scratch.ts';
import {
  readDeliveriesAndTriggers,
  readEnds,
  readGenerations,
  readSince,
  restOf,
  type Sources,
  takeSnapshots,
  untilDelivered,
} from './snapshot.ts';
import { compareAccounts, compareLeaseRows, compareSpendRows } from './spend-states.ts';
import { readHead } from './stored.ts';
import { compareTriggers } from './triggers.ts';
import { walk } from './watermark.ts';

export interface VerifyOptions {
  readonly config: Config;
  /** How long to wait for the stream to have applied and delivered everything. */
  readonly waitMs: number;
  /** What the reports of the feeders imply. */
  readonly implied: Implied;
  /** Told in a line of what is being done. */
  readonly onProgress: (line: string) => void;
}

export interface Verdict {
  readonly namespace: string;
  readonly kinds: readonly KindResult[];
  readonly differenceCount: number;
  /** The first of each kind, in full. */
  readonly differences: readonly Difference[];
  /** Kinds of which fewer were compared than there must be. */
  readonly shortfalls: readonly {
    readonly kind: string;
    readonly compared: number;
    readonly atLeast: number;
  }[];
  /** What could not be compared, by kind and reason. */
  readonly leftOut: readonly LeftOut[];
  /** Partitions that never rested while they were read: something of them may have been on its way, or stand in the log unread. */
  readonly restless: readonly string[];
  readonly elapsedMs: number;
}

/** @throws what the clients throw when a store cannot be read, Error if the log is not whole */
export async function verify(options: VerifyOptions): Promise<Verdict> {
  const { config, waitMs, implied, onProgress } = options;
  const startedMs = performance.now();
  const namespace = namespaceOf(config.namespace);
  const log = openLogReader(config.kafkaBrokers);
  const redis = await openRedis({ url: config.redisUrl });
  const clickhouse = openClickHouse({ url: config.clickhouseUrl, database: namespace.database });
  try {
    await pingClickHouse(clickhouse, config.clickhouseUrl);
    const sources: Sources = {
      namespace,
      redis,
      log,
      readDeliveries: () => readDeliveryRecords(config.kafkaBrokers, namespace),
      patience: { leftMs: waitMs },
    };
    const scope = await readAll(sources, clickhouse, onProgress);
    await compareAll(scope, onProgress);
    const { comparison } = scope;
    return {
      namespace: namespace.name,
      kinds: comparison.kinds,
      differenceCount: comparison.differenceCount,
      differences: comparison.differences,
      shortfalls: shortfallsOf(comparison, implied),
      leftOut: comparison.leftOut,
      restless: [...scope.events, ...scope.spend, scope.rejected]
        .filter(({ rested }) => !rested)
        .map(({ stored }) => placeOf(stored.id)),
      elapsedMs: performance.now() - startedMs,
    };
  } finally {
    redis.disconnect();
    await Promise.allSettled([log.close(), clickhouse.close()]);
  }
}

/** Partitions with outboxes first, then the topics that those fill. */
async function readAll(
  sources: Sources,
  clickhouse: ClickHouse,
  onProgress: VerifyOptions['onProgress'],
): Promise<Scope> {
  const { namespace, redis } = sources;
  onProgress('waiting until the stream has applied and delivered everything, reading the log and the states');
  const generations = await readGenerations(redis, namespace);
  const backfills = await readBackfills(redis, namespace, generations.events);
  const snapshotsOf = (topic: StatefulTopic) =>
    takeSnapshots(sources, topic, generations[topic], (partition, records) =>
      onProgress(`${topic} ${partition}: read ${records} records and their state`),
    );
  const events = await snapshotsOf('events');
  const spend = await snapshotsOf('spend');
  const [rejected] = await snapshotsOf('rejected');
  const all = [...events, ...spend, rejected!];
  await Promise.all(all.map((snapshot) => untilDelivered(sources, snapshot)));
  const deliveriesAndTriggers = await readDeliveriesAndTriggers(sources);
  const ids = all.map(({ stored }) => stored.id);
  const since = await readSince(sources, events);
  return {
    comparison: new Comparison(),
    clickhouse,
    events: events.map((snapshot) => {
      const walked = walk(snapshot.log, decodeEvent);
      const people = workOut(walked, snapshot.stored.id.generation);
      onProgress(`events ${walked.partition}: worked out ${people.people.size} buyers`);
      return { ...snapshot, walk: walked, people };
    }),
    spend: spend.map((snapshot) => {
      const walked = walk(snapshot.log, decodeSpend);
      return { ...snapshot, walk: walked, ledger: keepLedger(walked) };
    }),
    rejected: rejected!,
    backfills,
    ...deliveriesAndTriggers,
    namespace: namespace.name,
    versionsNow: () => readVersions(sources, ids),
    restOf: (snapshot) => restOf(sources, snapshot),
    readEnds: () => readEnds(sources),
    ...since,
  };
}

async function readVersions(
  { redis, namespace }: Sources,
  ids: readonly PartitionId[],
): Promise<VersionsNow> {
  const versions = new Map<string, bigint>();
  for (const id of ids) {
    const head = await readHead(redis, partitionKeys(namespace, id));
    versions.set(placeOf(id), versionReached(head));
  }
  return (topic, partition) => versions.get(placeOf({ topic, partition })) ?? 0n;
}

async function compareAll(scope: Scope, onProgress: VerifyOptions['onProgress']): Promise<void> {
  onProgress('comparing positions, definitions, rejects');
  await comparePartitions(scope);
  compareRejectedLog(scope);
  await compareRejectRows(scope);
  await compareDefinitionRows(scope);

  onProgress('comparing rows of events');
  await compareEventRows(scope, onProgress);
  onProgress('comparing applied ids, rows of links');
  await compareAppliedIds(scope);
  await compareLinkRows(scope);

  onProgress('asking ClickHouse for every funnel level, comparing buyers');
  compareBuyers(scope, await windowFunnelLevels(scope));

  onProgress('comparing what partitions sent to each other, and whose every row is');
  compareSent(scope);
  compareBackfills(scope);
  await compareIdentityRows(scope);
  await comparePersons(scope);

  onProgress('comparing windows and aggregates');
  await compareWindows(scope);
  await compareAdjustments(scope);

  onProgress('comparing transitions, opportunities, exposures, triggers');
  await compareTransitionRows(scope);
  await compareOpportunityRows(scope);
  await compareExposureRows(scope);
  await compareTriggers(scope);

  compareDeliveries(scope);

  onProgress('comparing accounts, spend, leases');
  compareAccounts(scope);
  await compareSpendRows(scope);
  await compareLeaseRows(scope);
  await compareCampaignHours(scope);
  await compareBeyondLogs(scope);
}
