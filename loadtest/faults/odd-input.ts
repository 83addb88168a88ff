// Input as it should not be: duplicated, out of order, very late; one key with half of all traffic; poison records; clocks
// of 2099.
import { createProducer } from '../../platform/kafka.ts';
import { topicPartitions } from '../../platform/namespace.ts';
import type { Arena } from './arena/arena.ts';
import { recoveredIn } from './arena/progress.ts';
import type { Message } from './arena/traffic.ts';
import { sleep, until } from './arena/wait.ts';
import type { Evidence, Fault } from './fault.ts';

const MADE_GOOD_WITHIN_MS = 60_000;
const KEPT_WITHIN_MS = 20_000;
const SECOND_MS = 1_000;
const HOUR_MS = 3_600_000;
const ODD = 300;
/** One in so many is late by hours, and so is its repeat: what is late is not remembered. */
const ONE_LATE_OF = 3;
const LATE = (2 * ODD) / ONE_LATE_OF;
const REPEATED = ODD - ODD / ONE_LATE_OF;
/** Beside the feeder's for these seconds: as much again, of one buyer. */
const HOT_SECONDS = 5;
const HOT_PER_SECOND = 200;
const IN_2099_MS = Date.UTC(2099, 0, 1);

const did = (messageId: string, userId: string, timeMs: number): Message => ({
  type: 'track',
  messageId,
  userId,
  event: 'Product Viewed',
  properties: { category: 'c1' },
  timestamp: new Date(timeMs).toISOString(),
});

async function countOf(arena: Arena, query: string): Promise<number> {
  const [row] = await (await arena.clickhouse.query({ query, format: 'JSONEachRow' })).json<{
    count: string;
  }>();
  return Number(row!.count);
}

function made(arena: Arena): Promise<number> {
  return recoveredIn(arena, MADE_GOOD_WITHIN_MS, performance.now());
}

async function duplicatedAndLate(arena: Arena): Promise<Evidence> {
  const nowMs = Date.now();
  const label = arena.namespace.name;
  const odd = Array.from({ length: ODD }, (_, index) => {
    const lateMs = index % ONE_LATE_OF === 0 ? (1 + (index % 20)) * HOUR_MS : index * SECOND_MS;
    return did(`${label}-odd-${index}`, `odd-${index % 7}`, nowMs - lateMs);
  });
  // The newest first, and all of it twice.
  await arena.feeder.send(odd);
  await arena.feeder.send([...odd].reverse());
  const recoverySeconds = await made(arena);
  const verdict = (name: string): Promise<number> =>
    countOf(
      arena,
      `SELECT count() AS count FROM events FINAL WHERE verdict = '${name}' AND startsWith(key, 'u:odd-')`,
    );
  const [duplicates, late, applied, reordered] = await Promise.all([
    verdict('duplicate'),
    verdict('late'),
    verdict('applied'),
    countOf(
      arena,
      `SELECT countIf(time < before) AS count FROM (
         SELECT time, lagInFrame(time) OVER (PARTITION BY partition ORDER BY offset) AS before
         FROM events FINAL WHERE verdict = 'applied' AND startsWith(key, 'u:odd-'))`,
    ),
  ]);
  return {
    did: 'duplicated, reordered and very late input',
    // A request that was not answered in time is sent again: then there are more of both.
    bit: duplicates >= REPEATED && late >= LATE && applied === REPEATED && reordered > 0,
    recoverySeconds,
    seen: { sent: 2 * ODD, duplicates, late, applied, reordered },
  };
}

async function oneHotKey(arena: Arena): Promise<Evidence> {
  const label = arena.namespace.name;
  for (let second = 0; second < HOT_SECONDS; second += 1) {
    const nowMs = Date.now();
    const events = Array.from({ length: HOT_PER_SECOND }, (_, index) =>
      did(`${label}-hot-${second}-${index}`, 'hot', nowMs),
    );
    await arena.feeder.send(events);
    await sleep(SECOND_MS);
  }
  const recoverySeconds = await made(arena);
  const applied = await countOf(
    arena,
    `SELECT count() AS count FROM events FINAL WHERE key = 'u:hot' AND verdict = 'applied'`,
  );
  return {
    did: 'one key with half of all traffic',
    bit: applied === HOT_SECONDS * HOT_PER_SECOND,
    recoverySeconds,
    seen: { applied },
  };
}

/** By way of Kafka itself, as nobody should: collect takes none of it. */
async function poison(arena: Arena): Promise<Evidence> {
  const events = Array.from({ length: topicPartitions.events }, (_, partition) => partition);
  const ahead = { messageId: 'poison', timestamp: IN_2099_MS, receivedAt: IN_2099_MS };
  const values = [
    Buffer.from([0xff, 0xfe, 0x00]),
    Buffer.from(''),
    Buffer.from('null'),
    Buffer.from('['.repeat(20_000)),
    Buffer.from('{"kind":"track","userId":"x"'),
    Buffer.from('{"kind":"link","id":"made up"}'),
    Buffer.from(JSON.stringify({ kind: 'track', userId: 'x', event: 'e', properties: {}, ...ahead })),
    Buffer.from(JSON.stringify({ kind: 'clock', timestamp: IN_2099_MS, time: IN_2099_MS })),
  ];
  const producer = await createProducer({
    brokers: arena.config.kafkaBrokers,
    clientId: 'faults-poison',
    deliveryTimeoutMs: 30_000,
  });
  const topic = arena.namespace.topics.events;
  await producer.sendBatch(
    events.flatMap((partition) => values.map((value) => ({ topic, partition, key: 'u:x', value }))),
  );
  await producer.close();
  const recoverySeconds = await made(arena);
  const sent = events.length * values.length;
  const kept = (): Promise<number> =>
    countOf(arena, `SELECT count() AS count FROM rejects FINAL WHERE source_topic = 'events'`);
  // They come by way of a topic of their own.
  await until('every poison record is kept as a reject', async () => (await kept()) >= sent, KEPT_WITHIN_MS);
  const rejects = await kept();
  return {
    did: 'poison records and a clock of 2099 in every partition',
    bit: rejects === sent,
    recoverySeconds,
    seen: { sent, rejects },
  };
}

/** A device whose clock is of 2099 and says so (`sentAt`) is corrected; one that does not say so is turned away. */
async function clockOf2099(arena: Arena): Promise<Evidence> {
  const message = did(`${arena.namespace.name}-2099`, 'of-2099', IN_2099_MS);
  const response = await fetch(`${arena.url}/v1/batch`, {
    method: 'POST',
    headers: { authorization: `Bearer ${arena.keys.write}`, 'content-type': 'application/json' },
    body: JSON.stringify({ batch: [message] }),
  });
  await response.arrayBuffer();
  const recoverySeconds = await made(arena);
  // Kept, as everything that is turned away, by the topic that collect writes it to; the poison's are of `events`.
  const kept = (): Promise<number> =>
    countOf(
      arena,
      `SELECT count() AS count FROM rejects FINAL WHERE reason = 'future' AND source_topic = 'collect'`,
    );
  await until('the event of 2099 is kept as a reject', async () => (await kept()) > 0, KEPT_WITHIN_MS);
  const rejects = await kept();
  const rows = await countOf(arena, `SELECT count() AS count FROM events FINAL WHERE key = 'u:of-2099'`);
  if (rows > 0) throw new Error('an event of 2099 was taken');
  return {
    did: 'a device of 2099',
    bit: response.status === 400 && rejects === 1,
    recoverySeconds,
    seen: { status: response.status, rejects },
  };
}

export const oddInput: Fault = {
  name: 'odd-input',
  title: 'duplicated, reordered, very late input; one hot key; poison records; clocks of 2099',
  sparesJobs: true,
  async run(arena, { print }) {
    const evidence: Evidence[] = [];
    for (const odd of [duplicatedAndLate, oneHotKey, poison, clockOf2099]) {
      const one = await odd(arena);
      evidence.push(one);
      print(`  ${one.did}: ${JSON.stringify(one.seen)}, recovered in ${one.recoverySeconds} s`);
    }
    return evidence;
  },
};
