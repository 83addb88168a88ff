// Records that come to more than Kafka takes: what a writer packed is small in `events`, and large in what the stream makes of it.
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { createProducer } from '../../platform/kafka.ts';
import { buyerPartition } from '../../platform/keys.ts';
import { validateRejectedRecord } from '../../platform/validate.ts';
import { nothingImplied } from '../../verify/implied.ts';
import { verify } from '../../verify/main.ts';
import { endChildren, startChild } from './support/child.ts';
import { openStage, type Stage } from './support/stage.ts';

const VISITOR = 'a:v1';
const USER = 'u:u1';
const START_MS = Date.UTC(2026, 0, 1);
const JUNK_BYTES = 7_000_000;
const LARGE_BYTES = 1_300_000;
/** As base64 that is all that a reject may be, and its reason. */
const KEPT_BYTES = 5 * 1024 * 1024;

let stage: Stage;

beforeAll(async () => {
  stage = await openStage('too-large');
});
afterEach(endChildren);
afterAll(() => stage?.close());

/** Written as somebody else may write it: packed, and past every check of collect. */
async function write(key: string, values: readonly string[]): Promise<number[]> {
  const producer = await createProducer({
    brokers: stage.config.kafkaBrokers,
    clientId: 'packing',
    deliveryTimeoutMs: 30_000,
    compression: 'gzip',
  });
  const place = { topic: stage.namespace.topics.events, partition: buyerPartition(key), key };
  const offsets = await producer.sendBatch(values.map((value) => ({ ...place, value })));
  await producer.close();
  return offsets;
}

function record(messageId: string, fields: Readonly<Record<string, unknown>>): string {
  const times = { timestamp: START_MS, receivedAt: START_MS, supplied: true };
  return JSON.stringify({ kind: 'track', messageId, anonymousId: VISITOR.slice(2), ...times, ...fields });
}

async function rejects(): Promise<{ source_id: string; reason: string; detail: string; bytes: number }[]> {
  return stage.rows(
    'SELECT source_id, reason, detail, length(base64Decode(raw)) AS bytes FROM rejects FINAL ORDER BY reason, source_id',
  );
}

it('are put aside with a reason, and hold nothing up', async () => {
  const child = startChild('stream', stage.environment);
  const { metrics } = await child.ready;
  await write(USER, [record('identify', { kind: 'identify', userId: USER.slice(2) })]);
  await stage.untilDrained();
  const text = 'x'.repeat(LARGE_BYTES);
  const [, offset] = await write(VISITOR, [
    '{'.repeat(JUNK_BYTES),
    record('large', { event: 'Page Viewed', properties: { text } }),
    record('small', { event: 'Page Viewed' }),
  ]);
  await stage.untilDrained();
  const source = `events:1:${buyerPartition(VISITOR)}:${offset}:0`;
  expect(await rejects()).toEqual([
    {
      source_id: '',
      reason: 'malformed',
      detail: expect.stringContaining(`(kept: the first ${KEPT_BYTES} of ${JUNK_BYTES} bytes)`),
      bytes: KEPT_BYTES,
    },
    {
      source_id: source,
      reason: 'tooLarge',
      detail: expect.stringMatching(
        /^a record for events\/\d+, of u:u1, has \d+ bytes; at most \d+ are taken$/,
      ),
      bytes: expect.toSatisfy((bytes) => bytes > LARGE_BYTES),
    },
  ]);
  const records = await stage.log(stage.namespace.topics.events);
  const forwards = records.flatMap(({ value }) => {
    const said = value!.toString();
    return said.includes(`"kind":"forward"`) ? [JSON.parse(said).record.messageId] : [];
  });
  expect(forwards).toEqual(['small']);
  const told = (await stage.log(stage.namespace.topics.rejected)).map(({ value }) =>
    validateRejectedRecord(JSON.parse(value!.toString())),
  );
  expect(told.map(({ ok }) => ok)).toEqual([true, true]);
  const said = await (await fetch(String(metrics))).text();
  expect(said).toContain('flywheel_outbox_too_large_total{topic="events"} 1');
  expect(child.errors()).toMatch(new RegExp(`put aside: .*${source}`));
  expect((await child.stop()).code, child.errors()).toBe(0);
  // What was put aside is not done, and the oracle says so; of the other it keeps as much as the stream does.
  const { differences } = await verify({
    config: stage.config,
    implied: nothingImplied,
    waitMs: 10_000,
    onProgress: () => {},
  });
  const at = `events ${buyerPartition(VISITOR)} offset ${offset}`;
  expect(differences.map(({ kind, where }) => `${kind}: ${where}`)).toEqual([
    `rejected records: ${at}`,
    `forward records: ${at} to ${buyerPartition(USER)} number 0`,
  ]);
});
