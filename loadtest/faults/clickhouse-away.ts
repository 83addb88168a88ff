// ClickHouse is away until the sink has no room for one partition: so much is written to Kafka, in bulk, that what is committed
// and not delivered meets its bound. From then on the partition stands still in bounded memory, whatever comes, and `serve`
// goes on; once ClickHouse is back, all of it is made good.
import { createProducer } from '../../platform/kafka.ts';
import { ensureGeneration } from '../../platform/kafka-topics.ts';
import { buyerPartition, partitionKeys } from '../../platform/keys.ts';
import { type PartitionProgress, readProgress } from '../../platform/progress.ts';
import { UNDELIVERED_RECORDS_MAX } from '../../platform/undelivered.ts';
import { decideNow } from './answers.ts';
import type { Arena } from './arena/arena.ts';
import { openDoor } from './arena/door.ts';
import { residentBytes } from './arena/pid.ts';
import { recoveredIn, untilMadeGood } from './arena/progress.ts';
import type { Message } from './arena/traffic.ts';
import { sleep, until } from './arena/wait.ts';
import type { Fault } from './fault.ts';

/** The partition that is filled; the others take what the feeder sends. */
const PARTITION = 0;
const BATCH_MAX = 2_000;
/** The bound is met by whole batches, and what is left in the log then must be seen to stay there. */
const BULK = UNDELIVERED_RECORDS_MAX + 4 * BATCH_MAX;
const SEND_MAX = 2_000;
const BUYERS = 400;
const FULL_WITHIN_MS = 240_000;
/** The batch in hand when it became full is over by then. */
const SETTLED_MS = 2_000;
const WATCHED_MS = 10_000;
const MADE_GOOD_WITHIN_MS = 180_000;
const MEGABYTE = 1024 * 1024;
/** What one partition's bound holds and what is kept ready beside it: 50 MB were seen, and garbage comes on top. */
const GROWTH_BYTES_MAX = 128 * MEGABYTE;
/** While it stands, what the other partitions hold grows on: 0 to 2 MB were seen. */
const STANDING_GROWTH_BYTES_MAX = 32 * MEGABYTE;

/** Buyers whose partition is the one that is filled. */
function buyersOf(partition: number): string[] {
  const found: string[] = [];
  for (let number = 0; found.length < BUYERS; number += 1)
    if (buyerPartition(`u:bulk-${number}`) === partition) found.push(`bulk-${number}`);
  return found;
}

/** As collect would write it. */
function bulk(label: string, nowMs: number): Message[] {
  const buyers = buyersOf(PARTITION);
  return Array.from({ length: BULK }, (_, index) => ({
    kind: 'track',
    messageId: `${label}-bulk-${index}`,
    userId: buyers[index % buyers.length]!,
    event: 'Product Viewed',
    properties: { category: `c${index % 4}`, country: 'DE', supplierId: `s-${index % 5}` },
    timestamp: nowMs,
    receivedAt: nowMs,
    source: 'bulk',
  }));
}

async function feedKafka(arena: Arena): Promise<void> {
  const producer = await createProducer({
    brokers: arena.config.kafkaBrokers,
    clientId: 'faults-bulk',
    deliveryTimeoutMs: 60_000,
  });
  const messages = bulk(arena.namespace.name, Date.now());
  const topic = arena.namespace.topics.events;
  for (let from = 0; from < messages.length; from += SEND_MAX)
    await producer.sendBatch(
      messages.slice(from, from + SEND_MAX).map((message) => ({
        topic,
        partition: PARTITION,
        key: `u:${String(message.userId)}`,
        value: JSON.stringify(message),
      })),
    );
  await producer.close();
  arena.feeder.acknowledge(messages);
}

async function progressOf({ namespace, redis, admin }: Arena): Promise<PartitionProgress> {
  const all = await readProgress(namespace, redis, admin);
  return all.find(({ topic, partition }) => topic === 'events' && partition === PARTITION)!;
}

/** Records that the partition's owner has committed and not delivered, as it says itself once a tick. */
async function owedOf({ namespace, redis, admin }: Arena): Promise<number> {
  const { events: generation } = await ensureGeneration(namespace, admin, redis);
  const { head } = partitionKeys(namespace, { topic: 'events', generation, partition: PARTITION });
  return Number((await redis.hget(head, 'owed')) ?? 0);
}

/** Resolves with what is owed when that has met the bound. */
async function untilFull(arena: Arena): Promise<number> {
  let owed = 0;
  await until(
    'the partition owes as much as its bound',
    async () => {
      owed = await owedOf(arena);
      return owed >= UNDELIVERED_RECORDS_MAX;
    },
    FULL_WITHIN_MS,
  );
  await sleep(SETTLED_MS);
  return owed;
}

interface Standing {
  /** What the log grew by meanwhile, and what the stored offset did. */
  readonly appended: number;
  readonly applied: number;
  /** What `serve` acknowledged meanwhile. */
  readonly taken: number;
  readonly lag: number;
  readonly grownBytes: number;
}

async function watchIt(arena: Arena, pid: number): Promise<Standing> {
  const before = await progressOf(arena);
  const takenBefore = arena.feeder.acknowledged.size;
  const residentBefore = residentBytes(pid);
  await decideNow(arena);
  await sleep(WATCHED_MS);
  const after = await progressOf(arena);
  return {
    appended: after.high - before.high,
    applied: after.offset - before.offset,
    taken: arena.feeder.acknowledged.size - takenBefore,
    lag: after.high - after.offset,
    grownBytes: residentBytes(pid) - residentBefore,
  };
}

/** @throws Error saying what does not hold */
function assertHeld({ applied, appended, taken, grownBytes }: Standing, grownInAll: number): void {
  if (appended === 0) throw new Error('nothing was appended while the partition stood');
  if (applied !== 0) throw new Error(`the partition did not stand still: it applied ${applied} records`);
  if (taken === 0) throw new Error('serve took nothing while ClickHouse was away');
  if (grownInAll > GROWTH_BYTES_MAX) throw new Error(`the stream grew by ${grownInAll} bytes`);
  if (grownBytes > STANDING_GROWTH_BYTES_MAX)
    throw new Error(`the stream grew by ${grownBytes} bytes while its partition stood`);
}

const megabytes = (bytes: number): number => Math.round(bytes / MEGABYTE);

export const clickhouseAway: Fault = {
  name: 'clickhouse-away',
  title: 'ClickHouse is away for longer than the sink has room',
  sparesJobs: true,
  async run(arena, { print }) {
    const door = await openDoor(Number(new URL(arena.parts.addresses.clickhouseUrl).port));
    await arena.processes.get('stream-0')!.stop();
    const stream = await arena.start('stream-0', {
      CLICKHOUSE_URL: `http://127.0.0.1:${door.port}`,
      STREAM_BATCH_MAX: String(BATCH_MAX),
    });
    await untilMadeGood(arena, MADE_GOOD_WITHIN_MS);
    const residentBefore = residentBytes(stream.pid);
    await door.shut();
    await feedKafka(arena);
    const owed = await untilFull(arena);
    const standing = await watchIt(arena, stream.pid);
    const grown = residentBytes(stream.pid) - residentBefore;
    const openedMs = performance.now();
    await door.open();
    const recoverySeconds = await recoveredIn(arena, MADE_GOOD_WITHIN_MS, openedMs);
    await stream.stop();
    await door.close();
    await arena.start('stream-0');
    const { lag, appended, taken, grownBytes } = standing;
    const grownMegabytes = megabytes(grown);
    print(
      `  owed ${owed}, stood at a lag of ${lag} while ${appended} came to the partition and ${taken} to serve; grown by ${grownMegabytes} MB, ${megabytes(grownBytes)} of them while it stood`,
    );
    assertHeld(standing, grown);
    return [
      {
        did: `ClickHouse away until partition ${PARTITION} had no room`,
        pid: stream.pid,
        bit: lag > 0 && appended > 0,
        recoverySeconds,
        seen: { owed, lag, appended, takenMeanwhile: taken, grownMegabytes },
      },
    ];
  },
};
