// What networks and dying processes do to single messages, while definitions change: replies of commits that are lost, an
// insert over many parts of which only some are in, records of an outbox that arrive again, later.
import { createProducer } from '../../platform/kafka.ts';
import { pick } from '../../simulate/marketplace/random.ts';
import type { Arena } from './arena/arena.ts';
import { openDoor } from './arena/door.ts';
import { batchesInHand, type Commits, commitsOf, recoveredIn, untilMadeGood } from './arena/progress.ts';
import type { Message } from './arena/traffic.ts';
import { sleep, until } from './arena/wait.ts';
import { effectsOf, outboxRecordsOf } from './effects.ts';
import type { Evidence, Fault } from './fault.ts';

const LOSSES = 4;
const LOSE_MS = 500;
const MADE_GOOD_WITHIN_MS = 60_000;
const OLD_EVENTS = 6_000;
const MONTHS = 80;
const MONTH_MS = 30 * 86_400_000;
const SEND_MAX = 1_000;
const PARTLY_WITHIN_MS = 30_000;
/** An insert that was in at once, or not begun, is tried again with other events: as often as a supervisor restarts ClickHouse. */
const HALVES_MAX = 5;
const LOOK_MS = 5;
const RECORDS_AGAIN = 60;
const DEFINITION_EVERY_MS = 1_500;

/** Partitions of which a commit was made while every reply was lost. */
function madeBetween(before: ReadonlyMap<string, Commits>, after: ReadonlyMap<string, Commits>): string[] {
  return [...after]
    .filter(([name, { nonce, seq }]) => before.get(name)?.nonce === nonce && seq > before.get(name)!.seq)
    .map(([name]) => name);
}

async function losingReplies(arena: Arena): Promise<Evidence> {
  const door = await openDoor(Number(new URL(arena.parts.addresses.redisUrl).port));
  await arena.processes.get('stream-0')!.stop();
  const stream = await arena.start('stream-0', { REDIS_URL: `redis://127.0.0.1:${door.port}` });
  let lostBytes = 0;
  let repliesLost = 0;
  let readBack = 0;
  let recoverySeconds = 0;
  for (let loss = 0; loss < LOSSES; loss += 1) {
    await sleep(1_000);
    const { bytes, before, after } = await door.loseReplies(LOSE_MS, () => commitsOf(arena));
    const overMs = performance.now();
    const made = madeBetween(before, after);
    recoverySeconds = Math.max(recoverySeconds, await recoveredIn(arena, MADE_GOOD_WITHIN_MS, overMs));
    const later = await commitsOf(arena);
    lostBytes += bytes;
    repliesLost += made.length;
    // An owner that had not read its commit back would have been taken over from, under another nonce.
    readBack += made.filter((name) => later.get(name)!.nonce === after.get(name)!.nonce).length;
  }
  await stream.stop();
  await door.close();
  await arena.start('stream-0');
  return {
    did: `${LOSSES} times, replies of Redis lost for ${LOSE_MS} ms`,
    pid: stream.pid,
    bit: repliesLost > 0 && readBack === repliesLost,
    recoverySeconds,
    seen: { lostBytes, commitsWithoutReply: repliesLost, readBack },
  };
}

/** Events of many months: late, and so rows of many parts. Of one buyer, and so few batches. */
function oldEvents(label: string, nowMs: number): Message[] {
  return Array.from({ length: OLD_EVENTS }, (_, index) => ({
    type: 'track',
    messageId: `${label}-${index}`,
    userId: 'old',
    event: 'Product Viewed',
    timestamp: new Date(nowMs - (1 + (index % MONTHS)) * MONTH_MS).toISOString(),
  }));
}

async function countOf({ clickhouse }: Arena, prefix: string): Promise<number> {
  const query = `SELECT uniqExact(message_id) AS count FROM events WHERE startsWith(message_id, '${prefix}')`;
  const [row] = await (await clickhouse.query({ query, format: 'JSONEachRow' })).json<{ count: string }>();
  return Number(row!.count);
}

interface Half {
  readonly pid: number;
  readonly killedMs: number;
  /** Rows of a batch, and how many of them are in: an insert holds whole batches. */
  readonly rows: number;
  readonly rowsIn: number;
}

/**
 * ClickHouse is killed as soon as the first rows of the insert are seen, the stream stands still while they are counted. Answers no rows
 * where no batch was half in.
 */
async function killInsert(arena: Arena, label: string): Promise<Half> {
  await arena.processes.get('stream-0')!.stop();
  const events = oldEvents(label, Date.now());
  for (let from = 0; from < events.length; from += SEND_MAX)
    await arena.feeder.send(events.slice(from, from + SEND_MAX));
  const pid = arena.parts.stack!.pidOf('clickhouse')!;
  const told = arena.parts.events.length;
  const next = arena.launch('stream-0');
  const untilMs = performance.now() + PARTLY_WITHIN_MS;
  while ((await countOf(arena, label)) === 0) {
    if (performance.now() > untilMs) throw new Error('no row of the insert came');
    await sleep(LOOK_MS);
  }
  const killedMs = performance.now();
  process.kill(pid, 'SIGKILL');
  next.signal('SIGSTOP');
  const isBack = (): boolean => arena.parts.events.slice(told).some(({ kind }) => kind === 'restarted');
  await until('ClickHouse runs again', isBack, MADE_GOOD_WITHIN_MS);
  const half = (await batchesInHand(arena)).find(({ rows, written }) => written > 0 && written < rows);
  next.signal('SIGCONT');
  await next.ready;
  return { pid, killedMs, rows: half?.rows ?? 0, rowsIn: half?.written ?? 0 };
}

async function insertHalfWay(arena: Arena): Promise<Evidence> {
  for (let tries = 1; ; tries += 1) {
    const label = `${arena.namespace.name}-old-${tries}`;
    const { pid, killedMs, rows, rowsIn } = await killInsert(arena, label);
    await untilMadeGood(arena, MADE_GOOD_WITHIN_MS);
    const isIn = async (): Promise<boolean> => (await countOf(arena, label)) === OLD_EVENTS;
    await until('all rows are in', isIn, PARTLY_WITHIN_MS);
    // While it is counted what is in, the stream stands still: that is in it too.
    const recoverySeconds = Math.round(performance.now() - killedMs) / 1_000;
    if (rows === 0 && tries < HALVES_MAX) continue;
    return {
      did: `kill -9 of ClickHouse in an insert over ${MONTHS} parts`,
      pid,
      bit: rowsIn > 0 && rowsIn < rows,
      recoverySeconds,
      seen: { rowsIn, rowsOfTheBatch: rows, tries },
    };
  }
}

/** As a producer leaves them that dies after its successor has sent the same. */
async function recordsAgain(arena: Arena, definitions: Changes): Promise<Evidence> {
  const all = await outboxRecordsOf(arena, 'events');
  const again = Array.from({ length: RECORDS_AGAIN }, () => pick(arena.random, all));
  const producer = await createProducer({
    brokers: arena.config.kafkaBrokers,
    clientId: 'faults-late-outbox',
    deliveryTimeoutMs: 30_000,
  });
  const sentMs = performance.now();
  const offsets = await producer.sendBatch(
    again.map(({ topic, partition, key, value, headers }) => ({
      topic,
      partition,
      key,
      value: value!,
      headers,
    })),
  );
  await producer.close();
  await definitions.next();
  // What they came to would be delivered by then, too.
  const recoverySeconds = await recoveredIn(arena, MADE_GOOD_WITHIN_MS, sentMs);
  const first = await effectsOf(arena, { topic: 'events', places: again, alsoCollected: false });
  const late = again.map(({ partition }, index) => ({ partition, offset: offsets[index]! }));
  const second = await effectsOf(arena, { topic: 'events', places: late, alsoCollected: false });
  if (second.rows > 0 || second.records > 0)
    throw new Error(`records that came again were taken again: ${JSON.stringify(second)}`);
  return {
    did: 'records of outboxes arrive again, later',
    // As the same records had effects when they came first, that they had none shows that they were dropped.
    bit: first.rows > 0 && first.records > 0,
    recoverySeconds,
    seen: { derived: all.length, again: again.length, firstRows: first.rows, firstRecords: first.records },
  };
}

interface Changes {
  /** How many there were so far. */
  count(): number;
  /** Resolves when there was another one. */
  next(): Promise<void>;
  stop(): Promise<void>;
}

/** A funnel that is another every moment. */
function changeDefinitions(arena: Arena): Changes {
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
  return {
    count: () => changes,
    next() {
      const before = changes;
      return until('a definition is changed', () => changes > before, MADE_GOOD_WITHIN_MS);
    },
    async stop() {
      stopped = true;
      await running;
    },
  };
}

export const mishaps: Fault = {
  name: 'mishaps',
  title:
    'lost replies of commits, half an insert, outbox records that come late, definitions that change meanwhile',
  ownParts: true,
  async run(arena, { print }) {
    const definitions = changeDefinitions(arena);
    const evidence: Evidence[] = [];
    for (const mishap of [losingReplies, insertHalfWay, recordsAgain]) {
      const before = definitions.count();
      const { bit, seen, ...rest } = await mishap(arena, definitions);
      const changes = definitions.count() - before;
      const one = { ...rest, bit: bit && changes > 0, seen: { ...seen, changes } };
      evidence.push(one);
      print(`  ${one.did}: ${JSON.stringify(one.seen)}, recovered in ${one.recoverySeconds} s`);
    }
    await definitions.stop();
    return evidence;
  },
};
