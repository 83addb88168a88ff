// Triggers pushed to receivers by real `jobs` processes over a real Kafka and Redis, the sender killed and stopped at the
// worst moments: nothing is lost, nobody is written to twice but under the same webhook-id, and the oracle agrees.
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Delivery } from '../../domain/delivery.ts';
import { readDeliveries, readDeliveryRecord } from '../../platform/delivery-log.ts';
import { receiptMessage } from '../../platform/trigger-offer.ts';
import { addWebhookSecret } from '../../platform/webhook-secrets.ts';
import { type Child, endChildren, startChild } from './support/child.ts';
import { feed } from './support/feeder.ts';
import { mixedLog } from './support/mixed-log.ts';
import { openStage, type Stage } from './support/stage.ts';
import { defineReceiver, startWebhookReceiver, type WebhookReceiver } from './support/webhook-receiver.ts';
import { expectVerified } from './support/whole.ts';

const INTENT_LIFE_MS = 1_500;
const TIMEOUT_MS = 1_000;
const LOOK_MS = 300;

let stage: Stage;
let environment: Record<string, string>;
let secret: string;
let receivers: WebhookReceiver[] = [];
let stream: Child;

beforeEach(async () => {
  stage = await openStage('hooks');
  environment = {
    ...stage.environment,
    JOBS_METRICS_PORT: '0',
    JOBS_SECRETS_FILE: path.join(stage.dir, 'secrets.json'),
    JOBS_ALLOW_HOSTS: '127.0.0.1',
    JOBS_INTENT_LIFE_MS: String(INTENT_LIFE_MS),
  };
  secret = await addWebhookSecret(environment.JOBS_SECRETS_FILE!, 'crm');
});
afterEach(async () => {
  await endChildren();
  for (const receiver of receivers) await receiver.close();
  receivers = [];
  await stage.close();
});

async function until(what: string, holds: () => boolean | Promise<boolean>, timeoutMs = 40_000) {
  const untilMs = performance.now() + timeoutMs;
  while (!(await holds())) {
    if (performance.now() > untilMs) throw new Error(`not in time: ${what}`);
    // A look reads a topic from its beginning.
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

async function receiver(): Promise<WebhookReceiver> {
  const started = await startWebhookReceiver(secret);
  receivers.push(started);
  return started;
}

/** The defaults suit a test. */
function define(id: string, { url }: WebhookReceiver, change: Record<string, unknown> = {}): Promise<void> {
  const document = {
    name: id,
    url,
    secret: 'crm',
    timeoutMs: TIMEOUT_MS,
    retryAfterMs: [100, 100],
    ...change,
  };
  return defineReceiver(stage, id, document);
}

async function feedTriggers(records = 200): Promise<string[]> {
  const entries = mixedLog({
    seed: 11,
    startMs: Date.UTC(2024, 5, 1),
    days: 2,
    records,
    buyers: Array.from({ length: 40 }, (_, number) => `u:hook${number}`),
    prefix: 'hook',
  });
  stream = startChild('stream', stage.environment);
  await stream.ready;
  await feed(stage, entries, new Set());
  await stage.untilDrained();
  const rows = await stage.rows<{ id: string }>(`
    SELECT trigger_id AS id FROM triggers FINAL GROUP BY id HAVING countIf(status = 'expired') = 0 ORDER BY id`);
  expect(rows.length).toBeGreaterThan(5);
  return rows.map(({ id }) => id);
}

async function startJobs(change: Record<string, string> = {}): Promise<Child> {
  const child = startChild('jobs', { ...environment, ...change });
  await child.ready;
  return child;
}

async function deliveries(): Promise<Delivery[]> {
  const { fold } = await readDeliveries(stage.config.kafkaBrokers, stage.namespace);
  return [...fold.deliveries.values()];
}

async function allDelivered(count: number): Promise<boolean> {
  const all = await deliveries();
  return all.length === count && all.every(({ status }) => status === 'delivered');
}

/** Triggers that the stream still holds. */
async function waiting(): Promise<number> {
  await stage.untilDrained();
  const [row] = await stage.rows<{ count: string }>(`
    SELECT count() AS count FROM (SELECT trigger_id FROM triggers FINAL GROUP BY trigger_id
      HAVING countIf(status != 'created') = 0)`);
  return Number(row!.count);
}

function idsOf({ received }: WebhookReceiver): string[] {
  return received.map(({ trigger }) => trigger).sort();
}

/** How often each `webhook-id` came, where it was more than once. */
function repeatsOf({ received }: WebhookReceiver): number[] {
  const counts = new Map<string, number>();
  for (const { id } of received) counts.set(id, (counts.get(id) ?? 0) + 1);
  return [...counts.values()].filter((count) => count > 1);
}

/** The intents that Kafka took, by delivery. */
async function intents(): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for (const record of await stage.log(stage.namespace.topics.deliveries)) {
    const read = readDeliveryRecord(record);
    if (read?.kind === 'delivery' && read.status === 'sending')
      counts.set(read.id, (counts.get(read.id) ?? 0) + 1);
  }
  return counts;
}

describe('receivers of triggers', () => {
  it('get each trigger once from two senders, signed, and one that is down delays nobody', async () => {
    const good = await receiver();
    const down = await receiver();
    down.react = () => {};
    await define('good', good);
    await define('down', down, { concurrency: 1, timeoutMs: 60_000 });
    const pair = await Promise.all([startJobs(), startJobs()]);
    const triggers = await feedTriggers();
    await until('the good receiver has all', () => good.received.length >= triggers.length);
    expect(idsOf(good)).toEqual(triggers);
    expect(down.received.length).toBeLessThanOrEqual(1);
    expect([...good.faults, ...down.faults]).toEqual([]);
    const [first] = good.received;
    expect(JSON.parse(first!.body)).toMatchObject({
      specversion: '1.0',
      id: first!.trigger,
      subject: first!.key,
    });
    expect(pair.filter((child) => child.errors().includes('leads the jobs'))).toHaveLength(1);
    // The one that is down holds the receipts back: the triggers can still be pulled.
    expect(await waiting()).toBe(triggers.length);
    const { kinds } = await expectVerified(stage);
    // Each trigger is looked at, and that both are owed it.
    const compared = 3 * triggers.length;
    expect(kinds).toContainEqual({ kind: 'deliveries owed', compared, differences: 0 });
    for (const child of pair) child.signal('SIGKILL');
  });

  it.each([
    ['between the intent and the sending', 'jobs-intent', 0],
    ['after the sending and before its outcome', 'jobs-answered:3', 1],
    ['after the outcome and before the receipt', 'jobs-delivered:2', 0],
  ])('are told of everything though the sender is killed %s', async (_case, failpoint, repeatsMax) => {
    const crm = await receiver();
    await define('crm', crm, { concurrency: 1 });
    const killed = startChild('jobs', { ...environment, FLYWHEEL_FAILPOINT: failpoint });
    const triggers = await feedTriggers();
    expect((await killed.ended).signal, killed.errors()).toBe('SIGKILL');
    const second = await startJobs();
    await until('all delivered', () => allDelivered(triggers.length));
    await until('all acknowledged', async () => (await waiting()) === 0);
    expect([...new Set(idsOf(crm))]).toEqual(triggers);
    // Only what was sent without its answer being written down comes again, under the same id.
    expect(repeatsOf(crm)).toEqual(Array.from({ length: repeatsMax }, () => 2));
    const counts = await intents();
    expect([...counts.values()].filter((count) => count > 1)).toHaveLength(
      failpoint === 'jobs-delivered:2' ? 0 : 1,
    );
    await expectVerified(stage);
    expect((await second.stop()).code, second.errors()).toBe(0);
  });

  it('hear nothing from a sender that stood still after its intent while another took over', async () => {
    const crm = await receiver();
    await define('crm', crm, { concurrency: 1 });
    const zombie = startChild('jobs', { ...environment, FLYWHEEL_FAILPOINT: 'jobs-intent@stop' });
    const triggers = await feedTriggers();
    await zombie.untilSaid('stopping this process');
    expect(crm.received).toEqual([]);
    const second = await startJobs();
    await until('all delivered', () => allDelivered(triggers.length));
    zombie.signal('SIGCONT');
    await zombie.untilSaid('this turn of the jobs is over');
    // Kafka refuses what it sends, or Redis tells it before it has sent anything.
    expect(zombie.errors()).toMatch(/fenced by a newer instance|another process has the turn now/);
    expect(idsOf(crm)).toEqual(triggers);
    expect(repeatsOf(crm)).toEqual([]);
    await until('all acknowledged', async () => (await waiting()) === 0);
    await expectVerified(stage);
    await second.stop();
  });

  it('are written to no more once the trigger was acknowledged elsewhere', async () => {
    const crm = await receiver();
    crm.react = (_received, response) => response.writeHead(503).end();
    await define('crm', crm, { retryAfterMs: [15_000] });
    const triggers = await feedTriggers();
    const jobs = await startJobs();
    await until('every one was tried', () => crm.received.length === triggers.length);
    const before = crm.received.length;
    crm.react = (_received, response) => response.writeHead(204).end();
    await stage.producer.sendBatch(
      crm.received.map(({ trigger, key }) =>
        receiptMessage(stage.namespace.topics.events, trigger, key, Date.now()),
      ),
    );
    await until('all settled', async () => (await deliveries()).every(({ status }) => status === 'settled'));
    expect(crm.received.length).toBe(before);
    await expectVerified(stage);
    await jobs.stop();
  });

  it('that fail for good leave dead letters, which a replay sends again under the same id', async () => {
    const crm = await receiver();
    crm.react = (_received, response) => response.writeHead(500).end('out of order');
    await define('crm', crm);
    const jobs = await startJobs();
    const triggers = await feedTriggers();
    await until('all dead', async () => {
      const all = await deliveries();
      return all.length === triggers.length && all.every(({ status }) => status === 'dead');
    });
    expect(crm.received.length).toBe(3 * triggers.length);
    expect(await waiting()).toBe(triggers.length);
    const [dead] = await deliveries();
    expect(dead).toMatchObject({ attempt: 3, answer: 500, detail: 'out of order' });
    crm.react = (_received, response) => response.writeHead(200).end();
    const replayed = await startChild('deliveries', environment, ['replay']).ended;
    expect(replayed.code).toBe(0);
    await until('all delivered', () => allDelivered(triggers.length));
    expect(repeatsOf(crm)).toEqual(triggers.map(() => 4));
    expect(new Set(crm.received.map(({ body }) => body)).size).toBe(triggers.length);
    await until('all acknowledged', async () => (await waiting()) === 0);
    await expectVerified(stage);
    await jobs.stop();
  });

  it('are disabled by 410 Gone, and waited for as Retry-After says', async () => {
    const gone = await receiver();
    gone.react = (_received, response) => response.writeHead(410).end();
    const busy = await receiver();
    const refusedAt = new Map<string, number>();
    busy.react = (received, response) => {
      if (refusedAt.has(received.id)) response.writeHead(204).end();
      else response.writeHead(429, { 'retry-after': '2' }).end();
      refusedAt.set(received.id, refusedAt.get(received.id) ?? received.atMs);
    };
    await define('gone', gone, { concurrency: 1 });
    await define('busy', busy);
    const jobs = await startJobs();
    const triggers = await feedTriggers();
    await until('busy has all', () => busy.received.length === 2 * triggers.length);
    const waits = busy.received.slice().map(({ id, atMs }) => atMs - refusedAt.get(id)!);
    expect(waits.filter((ms) => ms > 0 && ms < 2_000)).toEqual([]);
    await until('gone is disabled', () => jobs.errors().includes('answered 410 Gone: published'));
    // Who is gone holds no receipt back.
    await until('all acknowledged', async () => (await waiting()) === 0);
    expect(gone.received.length).toBeLessThan(triggers.length);
    await expectVerified(stage);
    await jobs.stop();
  });
});
