// What networks and dying processes do to single messages, while definitions change: replies of commits that are lost, an
// insert over many parts of which only some are in, records of an outbox that arrive again, later.
import { createProducer } from '../../platform/kafka.ts';
import { type LogRecord, readPartition } from '../../platform/kafka-read.ts';
import { pick } from '../../simulate/marketplace/random.ts';
import type { Arena } from './arena/arena.ts';
import { openDoor } from './arena/door.ts';
import { untilMadeGood } from './arena/progress.ts';
import type { Message } from './arena/traffic.ts';
import { sleep, until } from './arena/wait.ts';
import type { Evidence, Fault } from './fault.ts';

const LOSSES = 4;
const LOSE_MS = 250;
const MADE_GOOD_WITHIN_MS = 60_000;
const OLD_EVENTS = 6_000;
const MONTHS = 80;
const MONTH_MS = 30 * 86_400_000;
const SEND_MAX = 1_000;
const PARTLY_WITHIN_MS = 30_000;
const RECORDS_AGAIN = 60;
const DEFINITION_EVERY_MS = 1_500;

async function madeGood(arena: Arena): Promise<number> {
  return Math.round(await untilMadeGood(arena, MADE_GOOD_WITHIN_MS)) / 1_000;
}

async function losingReplies(arena: Arena): Promise<Evidence> {
  const door = await openDoor(Number(new URL(arena.parts.addresses.redisUrl).port));
  await arena.processes.get('stream-0')!.stop();
  const stream = await arena.start('stream-0', { REDIS_URL: `redis://127.0.0.1:${door.port}` });
  let lostBytes = 0;
  for (let loss = 0; loss < LOSSES; loss += 1) {
    await sleep(1_000);
    lostBytes += await door.loseReplies(LOSE_MS);
  }
  const recoverySeconds = await madeGood(arena);
  await stream.stop();
  await door.close();
  await arena.start('stream-0');
  return {
    did: `${LOSSES} times, replies of Redis lost for ${LOSE_MS} ms`,
    pid: stream.pid,
    bit: lostBytes > 0,
    recoverySeconds,
    seen: { lostBytes },
  };
}

/** Events of many months: late, and so rows of many parts. */
function oldEvents(label: string, nowMs: number): Message[] {
  return Array.from({ length: OLD_EVENTS }, (_, index) => ({
    type: 'track',
    messageId: `${label}-old-${index}`,
    userId: `old-${index % 50}`,
    event: 'Product Viewed',
    timestamp: new Date(nowMs - (1 + (index % MONTHS)) * MONTH_MS).toISOString(),
  }));
}

async function countOld({ clickhouse }: Arena): Promise<number> {
  const query = `SELECT count() AS count FROM events FINAL WHERE startsWith(key, 'u:old-')`;
  const [row] = await (await clickhouse.query({ query, format: 'JSONEachRow' })).json<{ count: string }>();
  return Number(row!.count);
}

/** ClickHouse is killed as soon as the first rows of the insert are seen, the stream stands still while they are counted. */
async function insertHalfWay(arena: Arena): Promise<Evidence> {
  const stream = arena.processes.get('stream-0')!;
  await stream.stop();
  const events = oldEvents(arena.namespace.name, Date.now());
  for (let from = 0; from < events.length; from += SEND_MAX)
    await arena.feeder.send(events.slice(from, from + SEND_MAX));
  const pid = arena.parts.stack!.pidOf('clickhouse')!;
  const told = arena.parts.events.length;
  const next = arena.launch('stream-0');
  await until(
    'the first rows of the insert are in',
    async () => (await countOld(arena)) > 0,
    PARTLY_WITHIN_MS,
  );
  process.kill(pid, 'SIGKILL');
  next.signal('SIGSTOP');
  const isBack = (): boolean => arena.parts.events.slice(told).some(({ kind }) => kind === 'restarted');
  await until('ClickHouse runs again', isBack, MADE_GOOD_WITHIN_MS);
  const rowsIn = await countOld(arena);
  next.signal('SIGCONT');
  await next.ready;
  const recoverySeconds = await madeGood(arena);
  await until('all rows are in', async () => (await countOld(arena)) === OLD_EVENTS, PARTLY_WITHIN_MS);
  return {
    did: `kill -9 of ClickHouse in an insert over ${MONTHS} parts`,
    pid,
    bit: rowsIn < OLD_EVENTS,
    recoverySeconds,
    seen: { rowsIn, rows: OLD_EVENTS },
  };
}

async function outboxRecords(arena: Arena): Promise<LogRecord[]> {
  const topic = arena.namespace.topics.events;
  const found: LogRecord[] = [];
  for (const [partition, { low, high }] of (await arena.admin.watermarks(topic)).entries()) {
    const read = readPartition({ brokers: arena.config.kafkaBrokers, topic, partition, from: low, to: high });
    for await (const batch of read)
      found.push(...batch.filter(({ headers }) => headers.source !== undefined));
  }
  return found;
}

/** As a producer leaves them that dies after its successor has sent the same. */
async function recordsAgain(arena: Arena): Promise<Evidence> {
  const all = await outboxRecords(arena);
  const again = Array.from({ length: RECORDS_AGAIN }, () => pick(arena.random, all));
  const producer = await createProducer({
    brokers: arena.config.kafkaBrokers,
    clientId: 'faults-late-outbox',
    deliveryTimeoutMs: 30_000,
  });
  await producer.sendBatch(
    again.map(({ topic, partition, key, value, headers }) => ({
      topic,
      partition,
      key,
      value: value!,
      headers,
    })),
  );
  await producer.close();
  const recoverySeconds = await madeGood(arena);
  return {
    did: 'records of outboxes arrive again, later',
    bit: all.length > 0,
    recoverySeconds,
    seen: { derived: all.length, again: again.length },
  };
}

/** A funnel that is another every moment. Answers how often it was changed. */
function changeDefinitions(arena: Arena): () => Promise<number> {
  let stopped = false;
  let changes = 0;
  const run = async (): Promise<void> => {
    while (!stopped) {
      const address = `${arena.url}/v1/definitions/funnel/faults`;
      const headers = { authorization: `Bearer ${arena.keys.secret}`, 'content-type': 'application/json' };
      const tag = await fetch(address, { headers }).then((response) => response.headers.get('etag'));
      const document = {
        name: `change ${changes}`,
        steps: ['view', 'contact'],
        windowMs: 3_600_000 + changes,
      };
      const response = await fetch(address, {
        method: 'PUT',
        headers: { ...headers, ...(tag === null ? { 'if-none-match': '*' } : { 'if-match': tag }) },
        body: JSON.stringify({ document, author: 'faults', reason: 'in the middle of all this' }),
      });
      await response.arrayBuffer();
      if (response.ok) changes += 1;
      await sleep(DEFINITION_EVERY_MS);
    }
  };
  const running = run();
  running.catch(() => {});
  return async () => {
    stopped = true;
    await running;
    return changes;
  };
}

export const mishaps: Fault = {
  name: 'mishaps',
  title:
    'lost replies of commits, half an insert, outbox records that come late, definitions that change meanwhile',
  ownParts: true,
  async run(arena, { print }) {
    const stopChanges = changeDefinitions(arena);
    const evidence: Evidence[] = [];
    for (const mishap of [losingReplies, insertHalfWay, recordsAgain]) {
      const one = await mishap(arena);
      evidence.push(one);
      print(`  ${one.did}: ${JSON.stringify(one.seen)}, recovered in ${one.recoverySeconds} s`);
    }
    const changes = await stopChanges();
    print(`  ${changes} changes of a definition meanwhile`);
    evidence.push({ did: 'definitions changed meanwhile', bit: changes > 0, seen: { changes } });
    return evidence;
  },
};
