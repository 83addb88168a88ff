// What the API says of sources, and how their health is judged, from rows in the stream's layout.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { evaluateSources } from '../../jobs/source-watch.ts';
import { insertCompact } from '../../platform/clickhouse.ts';
import { writeSourceHealth } from '../../platform/source-health.ts';
import { columns } from '../../stream/rows.ts';
import { type Answering, answering, GENERATION, writeOnly } from './answering.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const NOW = Date.UTC(2026, 1, 20, 12, 30);

let here: Answering;
let offset = 0;

interface Sent {
  readonly source: string;
  readonly receivedMs: number;
  readonly delayMs?: number;
  readonly event?: string;
  readonly verdict?: string;
  readonly properties?: unknown;
  readonly context?: unknown;
}

function rowOf(sent: Sent): unknown[] {
  const {
    source,
    receivedMs,
    delayMs = 1_000,
    event = 'Viewed',
    verdict = 'applied',
    properties,
    context,
  } = sent;
  offset += 1;
  const named: Record<string, unknown> = {
    key: `u:${offset % 50}`,
    time: receivedMs - delayMs,
    generation: GENERATION,
    partition: offset % 12,
    offset,
    kind: 'track',
    event,
    verdict,
    message_id: `m${offset}`,
    source,
    received_at: receivedMs,
    appended_at: receivedMs,
    record: JSON.stringify({ kind: 'track', event, properties, context }),
  };
  return columns.events.map((column) => named[column] ?? '');
}

async function insertEvents(all: readonly Sent[]): Promise<void> {
  const rows = all.map(rowOf);
  await insertCompact(here.clickhouse, 'events', columns.events, rows);
  // What the stream may deliver twice counts once.
  await insertCompact(here.clickhouse, 'events', columns.events, rows);
}

function rejectRow(source: string, reason: string, index: number, raw: string, atMs: number): unknown[] {
  return [
    'collect',
    -1,
    index,
    `request-${source}`,
    atMs,
    reason,
    `why ${index}`,
    '/v1/track',
    Buffer.from(raw).toString('base64'),
    source,
  ];
}

async function insertReject(
  source: string,
  reason: string,
  index: number,
  raw: string,
  atMs = NOW - HOUR_MS + index,
): Promise<void> {
  const row = rejectRow(source, reason, index, raw, atMs);
  await insertCompact(here.clickhouse, 'rejects', columns.rejects, [row, row]);
}

/** Every 10 minutes of four weeks. */
function steady(source: string, untilMs: number, properties: (receivedMs: number) => unknown): Sent[] {
  const sent: Sent[] = [];
  for (let receivedMs = NOW - 28 * DAY_MS; receivedMs <= untilMs; receivedMs += 10 * MINUTE_MS)
    sent.push({ source, receivedMs, properties: properties(receivedMs) });
  return sent;
}

beforeAll(async () => {
  here = await answering('sources', { tables: true });
  here.clock.nowMs = NOW;
  await insertEvents([
    {
      source: 'site',
      receivedMs: NOW - 3 * HOUR_MS,
      delayMs: 1_000,
      properties: { sku: 'a', price: 5, seller: { id: 7, tags: ['x'] }, gone: null },
    },
    { source: 'site', receivedMs: NOW - 2 * HOUR_MS, delayMs: 2_000, properties: { sku: 'b', price: 5.5 } },
    {
      source: 'site',
      receivedMs: NOW - 2 * HOUR_MS + 1,
      delayMs: 100_000,
      verdict: 'late',
      properties: { sku: 3 },
      context: { page: { url: '/' } },
    },
    { source: 'site', receivedMs: NOW - HOUR_MS, event: 'Bought', verdict: 'duplicate' },
    { source: 'site', receivedMs: NOW - 8 * DAY_MS, event: 'Before the period' },
  ]);
  for (let index = 0; index < 5; index += 1)
    await insertReject('site', 'missing_id', index, `{"event":"nobody ${'x'.repeat(500)}"}`);
  await insertReject('only-bad', 'malformed', 9, '{"a":');
  await insertEvents(steady('steady', NOW, () => ({ sku: 'a' })));
  await insertEvents(steady('silent', NOW - 3 * HOUR_MS, () => ({ sku: 'a' })));
  const since = NOW - 12 * HOUR_MS;
  await insertEvents(
    steady('reshaped', NOW, (at) =>
      at < since ? { sku: 'a', price: 1, list: 'b' } : { price: '1', list: 'b', colour: 'red' },
    ),
  );
});
afterAll(() => here?.close());

describe('GET /v1/sources', () => {
  it('lists what came in by each key', async () => {
    const { sources, period, evaluated } = await here.get('/v1/sources');
    expect(period).toEqual({ from: '2026-02-13T12:30:00.000Z', to: '2026-02-20T12:30:00.000Z' });
    expect(evaluated).toBeNull();
    const site = sources.find((one: { source: string }) => one.source === 'site');
    expect(site).toMatchObject({
      events: 4,
      verdicts: { applied: 0.5, late: 0.25, duplicate: 0.25 },
      rejects: 5,
      lastReceived: '2026-02-20T11:30:00.000Z',
      lastEvent: '2026-02-20T11:29:59.000Z',
      rhythm: 'unknown',
      alerts: [],
    });
    expect(site.rejectedShare).toBeCloseTo(5 / 9, 9);
    expect(site.delayMs.median).toBeCloseTo(1_500, 3);
    expect(site.delayMs.p95).toBeGreaterThan(50_000);
    const bad = sources.find((one: { source: string }) => one.source === 'only-bad');
    expect(bad).toMatchObject({ events: 0, rejects: 1, rejectedShare: 1, lastReceived: null, delayMs: null });
  });

  it('takes a secret key, and a period that is one', async () => {
    expect((await here.app.inject({ url: '/v1/sources', headers: writeOnly })).statusCode).toBe(403);
    await here.get('/v1/sources?from=yesterday', 400);
    await here.get('/v1/sources/site?by=minute', 400);
  });
});

describe('GET /v1/sources/{name}', () => {
  it('has volume, schema and rejects with examples', async () => {
    const site = await here.get('/v1/sources/site');
    expect(site.volume).toEqual([
      { start: '2026-02-20T11:00:00.000Z', events: 1, late: 0, duplicate: 1 },
      { start: '2026-02-20T10:00:00.000Z', events: 2, late: 1, duplicate: 0 },
      { start: '2026-02-20T09:00:00.000Z', events: 1, late: 0, duplicate: 0 },
    ]);
    expect((await here.get('/v1/sources/site?by=day')).volume).toEqual([
      { start: '2026-02-20T00:00:00.000Z', events: 4, late: 1, duplicate: 1 },
    ]);
    expect(site.schemaSampled).toBe(1);
    expect(
      site.schema.map(({ event, events }: { event: string; events: number }) => [event, events]),
    ).toEqual([
      ['Viewed', 3],
      ['Bought', 1],
    ]);
    const seen = site.schema[0].properties.map(
      (one: { path: string; type: string; count: number }) => `${one.path} ${one.type} ${one.count}`,
    );
    expect(seen.sort()).toEqual([
      'context.page object 1',
      'context.page.url string 1',
      'properties.price number 2',
      'properties.seller object 1',
      'properties.seller.id number 1',
      'properties.seller.tags array 1',
      'properties.sku number 1',
      'properties.sku string 2',
    ]);
    const sku = site.schema[0].properties.find(
      (one: { type: string; path: string }) => one.path === 'properties.sku' && one.type === 'string',
    );
    expect(sku.share).toBeCloseTo(2 / 3, 9);
    expect(sku).toMatchObject({
      firstSeen: '2026-02-20T09:30:00.000Z',
      lastSeen: '2026-02-20T10:30:00.000Z',
    });
    expect(site.rejectReasons).toHaveLength(1);
    const [reason] = site.rejectReasons;
    expect(reason).toMatchObject({ reason: 'missing_id', count: 5 });
    expect(reason.examples.map((example: { detail: string }) => example.detail)).toEqual([
      'why 4',
      'why 3',
      'why 2',
    ]);
    expect(reason.examples[0].raw).toHaveLength(400);
    expect(reason.examples[0]).toMatchObject({ origin: 'collect', route: '/v1/track' });
  });

  // ClickHouse's quicker parser refuses the whole record for such a number: every property was gone.
  it('has the properties beside a number beyond 64 bits, and that number', async () => {
    const receivedMs = NOW - HOUR_MS;
    // As JSON: 18446744073709552000, and -9223372036854776000 for what a client has in place of a number that is missing.
    const properties = { category: 'x', most: 2 ** 64, least: -(2 ** 63), own: { most: 2 ** 64 } };
    await insertEvents([{ source: 'far', receivedMs, properties, context: { ip: '::1' } }]);
    const { schema } = await here.get('/v1/sources/far');
    const seen = schema[0].properties.map((one: { path: string; type: string }) => `${one.path} ${one.type}`);
    expect(seen.sort()).toEqual([
      'context.ip string',
      'properties.category string',
      'properties.least number',
      'properties.most number',
      'properties.own object',
      'properties.own.most number',
    ]);
  });

  it('one that only sends rubbish; one that never sent', async () => {
    const bad = await here.get('/v1/sources/only-bad');
    expect(bad).toMatchObject({
      events: 0,
      schema: [],
      volume: [],
      rejectReasons: [{ reason: 'malformed' }],
    });
    expect(await here.get('/v1/sources/nobody', 404)).toMatchObject({ code: 'unknown_source' });
  });
});

describe('history that somebody sends late', () => {
  // What of it was counted was told by the beginning of the period that was asked for.
  it('is left out, whichever period is asked for, and a source with nothing else is told so', async () => {
    const receivedMs = NOW - HOUR_MS;
    const old = { receivedMs, delayMs: 10 * DAY_MS, event: 'Long ago', properties: { old: 1 } };
    await insertEvents([
      { source: 'mixed', receivedMs },
      { source: 'mixed', receivedMs, delayMs: 6 * DAY_MS },
      { source: 'mixed', ...old },
      { source: 'importer', ...old },
    ]);
    for (const from of ['', '?from=2026-02-20T00:00:00Z', '?from=2026-01-01T00:00:00Z']) {
      const { events, volume, schema } = await here.get(`/v1/sources/mixed${from}`);
      expect([events, volume.map((hour: { events: number }) => hour.events), schema]).toMatchObject([
        2,
        [2],
        [{ event: 'Viewed', events: 2 }],
      ]);
      expect((await here.get(`/v1/sources/importer${from}`, 404)).detail).toContain(
        'more than a week before',
      );
      const { sources } = await here.get(`/v1/sources${from}`);
      expect(sources.map((each: { source: string }) => each.source)).not.toContain('importer');
    }
  });
});

describe('alerts', () => {
  it('say who is quiet by its own rhythm, and what changed its shape', async () => {
    const report = await evaluateSources({ clickhouse: here.clickhouse, generation: GENERATION }, NOW);
    await writeSourceHealth(here.redis, here.namespace, report);
    const { sources, evaluated } = await here.get('/v1/sources');
    expect(evaluated).toBe('2026-02-20T12:30:00.000Z');
    const of = (name: string) => sources.find((one: { source: string }) => one.source === name);
    expect(of('steady')).toMatchObject({ rhythm: 'lively', alerts: [] });
    expect(of('site')).toMatchObject({ rhythm: 'unknown', alerts: [] });
    expect(of('silent')).toMatchObject({
      rhythm: 'quiet',
      alerts: [
        {
          alert: 'quiet',
          severity: 'warning',
          detail: expect.stringMatching(/^nothing for 3\.0 h: 17\.\d minutes/),
        },
      ],
    });
    const alerts = of('reshaped').alerts.map(
      (one: { alert: string; severity: string; path: string }) => `${one.alert} ${one.severity} ${one.path}`,
    );
    expect(alerts).toEqual([
      'property_gone warning properties.sku',
      'type_changed warning properties.price',
      'property_new info properties.colour',
    ]);
    expect((await here.get('/v1/sources/silent')).alerts).toHaveLength(1);
  });
});

describe('a list that is cut', () => {
  // It was told to have no events: all that it sent would have been turned away.
  it('has the figures of a smaller source that it names for its rejects', async () => {
    const receivedMs = NOW - 300 * DAY_MS;
    const many = Array.from({ length: 501 }, (_, index) => ({ source: `many-${index}`, receivedMs }));
    await insertEvents([...many, ...many, { source: 'small', receivedMs }]);
    await insertReject('small', 'malformed', 20, '{', receivedMs);
    await insertReject('rubbish', 'malformed', 21, '{', receivedMs);
    const day = (ms: number) => new Date(ms).toISOString();
    const { sources, truncated } = await here.get(
      `/v1/sources?from=${day(receivedMs - DAY_MS)}&to=${day(receivedMs + DAY_MS)}`,
    );
    expect([truncated, sources.length]).toEqual([true, 502]);
    const of = (name: string) => sources.find((one: { source: string }) => one.source === name);
    expect(of('small')).toMatchObject({
      events: 1,
      rejects: 1,
      rejectedShare: 0.5,
      lastReceived: day(receivedMs),
    });
    expect(of('rubbish')).toMatchObject({ events: 0, rejects: 1, rejectedShare: 1, lastReceived: null });
  });

  // The names of all of them were one parameter, which ClickHouse refused.
  it('names so many smaller ones as can be asked for, and says that there are more', async () => {
    const receivedMs = NOW - 400 * DAY_MS;
    await insertEvents(Array.from({ length: 501 }, (_, index) => ({ source: `many-${index}`, receivedMs })));
    const rejects = Array.from({ length: 3_000 }, (_, index) =>
      rejectRow(`refused-${index}`.padEnd(64, '界'), 'malformed', index, '{', receivedMs),
    );
    await insertCompact(here.clickhouse, 'rejects', columns.rejects, rejects);
    const day = (ms: number) => new Date(ms).toISOString();
    const { sources, truncated } = await here.get(
      `/v1/sources?from=${day(receivedMs - DAY_MS)}&to=${day(receivedMs + DAY_MS)}`,
    );
    expect(truncated).toBe(true);
    expect(sources.length).toBeGreaterThan(500);
    expect(sources.length).toBeLessThan(600);
  });

  it('says so, and keeps the newest hours', async () => {
    const hours = Array.from({ length: 2_001 }, (_, index) => NOW - (index + 1) * HOUR_MS);
    await insertEvents(hours.map((receivedMs) => ({ source: 'hourly', receivedMs })));
    const asked = '/v1/sources/hourly?from=2025-11-01T00:00:00Z';
    const byHour = await here.get(asked);
    expect([byHour.truncated, byHour.volume.length]).toEqual([true, 2_000]);
    expect(byHour.volume[0].start).toBe('2026-02-20T11:00:00.000Z');
    expect((await here.get(`${asked}&by=day`)).truncated).toBe(false);
    expect((await here.get('/v1/sources')).truncated).toBe(false);
  });
});
