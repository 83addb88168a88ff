// A receiver that pulls triggers through the API and keeps a file of its own is told each of them once: though the stream
// is killed between commit and delivery and while it pulls, and though Redis is lost and replayed from the log.
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ensureApiKeys } from '../../platform/api-keys.ts';
import { type Child, endChildren, startChild } from './support/child.ts';
import { type Acknowledged, feed } from './support/feeder.ts';
import { mixedLog } from './support/mixed-log.ts';
import { forgetState } from './support/snapshot.ts';
import { openStage, type Stage } from './support/stage.ts';
import { expectVerified } from './support/whole.ts';

const PULL_MAX = 9;
const QUIET_MS = 20_000;

let stage: Stage;
let authorization: string;
let file: string;

interface Offer {
  readonly triggers: readonly { readonly id: string; readonly key: string }[];
  readonly withheld: readonly unknown[];
}

function told(): string[] {
  return existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean) : [];
}

async function startServe(): Promise<{ child: Child; url: string }> {
  const child = startChild('serve', stage.environment);
  const { url } = await child.ready;
  return { child, url: String(url) };
}

/** Takes one offer: writes each trigger down, then acknowledges it. What was written down before must not be offered. */
async function pull(url: string): Promise<Offer> {
  const answer = await fetch(`${url}/v1/triggers?limit=${PULL_MAX}`, { headers: { authorization } });
  expect(answer.status).toBe(200);
  const offer = (await answer.json()) as Offer;
  const before = new Set(told());
  expect(offer.triggers.filter(({ id }) => before.has(id))).toEqual([]);
  for (const { id } of offer.triggers) appendFileSync(file, `${id}\n`);
  if (offer.triggers.length === 0) return offer;
  const acknowledged = await fetch(`${url}/v1/triggers/ack`, {
    method: 'POST',
    headers: { authorization, 'content-type': 'application/json' },
    body: JSON.stringify({ triggers: offer.triggers.map(({ id, key }) => ({ id, key })) }),
  });
  const { results } = (await acknowledged.json()) as { results: { status: string }[] };
  expect(results.map(({ status }) => status)).toEqual(offer.triggers.map(() => 'acknowledged'));
  return offer;
}

/** Pulls until every partition is offered and none has anything left, or `offersMax` offers brought something. */
async function pullAll(url: string, offersMax = Number.POSITIVE_INFINITY): Promise<void> {
  const untilMs = performance.now() + QUIET_MS;
  for (let offers = 0; offers < offersMax; ) {
    const { triggers, withheld } = await pull(url);
    if (triggers.length === 0 && withheld.length === 0) return;
    if (performance.now() > untilMs) throw new Error(`still withheld: ${JSON.stringify(withheld)}`);
    if (triggers.length > 0) offers += 1;
    else await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function startStream(environment: Record<string, string> = {}): Promise<Child> {
  const child = startChild('stream', { ...stage.environment, ...environment });
  if (environment.FLYWHEEL_FAILPOINT === undefined) await child.ready;
  return child;
}

async function waitingForever(): Promise<string[]> {
  const rows = await stage.rows<{ id: string }>(`
    SELECT trigger_id AS id FROM triggers FINAL GROUP BY id HAVING countIf(status = 'expired') = 0 ORDER BY id`);
  return rows.map(({ id }) => id);
}

beforeAll(async () => {
  stage = await openStage('told-once');
  file = path.join(stage.dir, 'told.txt');
  const plainFile = path.join(stage.dir, 'keys.json');
  const keys = await ensureApiKeys({ plainFile, hashedFile: stage.config.serveKeysFile });
  authorization = `Bearer ${keys.secret}`;
});
afterEach(endChildren);
afterAll(async () => {
  await stage?.close();
});

describe('a receiver of triggers', () => {
  it('is told each once, whatever is killed or lost', async () => {
    const entries = mixedLog({
      seed: 9,
      startMs: Date.UTC(2024, 5, 1),
      days: 5,
      records: 300,
      buyers: Array.from({ length: 60 }, (_, number) => `u:told${number}`),
      prefix: 'told',
    });
    const acknowledged: Acknowledged = new Set();
    await feed(stage, entries, acknowledged);
    const { child: serve, url } = await startServe();

    const killed = await startStream({ FLYWHEEL_FAILPOINT: 'after-commit:6' });
    expect((await killed.ended).signal, killed.errors()).toBe('SIGKILL');
    const second = await startStream();
    await pullAll(url, 4);
    expect(told().length).toBeGreaterThan(0);
    second.signal('SIGKILL');
    await second.ended;
    const third = await startStream();
    await pullAll(url);
    await stage.untilDrained();
    expect((await third.stop()).code, third.errors()).toBe(0);
    await serve.stop();
    expect(told().sort()).toEqual(await waitingForever());

    // Redis is lost, and `serve` remembers nothing: the receipts come back out of the log before anything is offered.
    await forgetState(stage);
    const { child: serveAfter, url: urlAfter } = await startServe();
    const fourth = await startStream();
    await pullAll(urlAfter);
    await stage.untilDrained();
    expect(new Set(told()).size).toBe(told().length);
    expect(told().sort()).toEqual(await waitingForever());
    await expectVerified(stage);
    expect((await fourth.stop()).code, fourth.errors()).toBe(0);
    await serveAfter.stop();
  }, 120_000);
});
