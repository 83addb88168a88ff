// The role `jobs` looks after the sources: its leader tells Prometheus and leaves its evaluation for the API.
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { insertCompact } from '../../platform/clickhouse.ts';
import { readSourceHealth } from '../../platform/source-health.ts';
import { columns } from '../../stream/rows.ts';
import { endChildren, startChild } from '../e2e/support/child.ts';
import { openStage, type Stage } from '../e2e/support/stage.ts';

const MINUTE_MS = 60_000;
const DAYS = 15;
let stage: Stage;

function row(source: string, receivedMs: number, offset: number): unknown[] {
  const named: Record<string, unknown> = {
    key: 'u:1',
    time: receivedMs,
    generation: 1,
    partition: 0,
    offset,
    kind: 'track',
    event: 'Viewed',
    verdict: 'applied',
    source,
    received_at: receivedMs,
    appended_at: receivedMs,
    record: '{"kind":"track","properties":{"sku":"a"}}',
  };
  return columns.events.map((column) => named[column] ?? '');
}

beforeAll(async () => {
  stage = await openStage('sources', { environment: { JOBS_METRICS_PORT: '0' } });
  const nowMs = Date.now();
  const rows: unknown[][] = [];
  for (let ago = DAYS * 24 * 60; ago >= 0; ago -= 10) {
    rows.push(row('shop', nowMs - ago * MINUTE_MS, rows.length));
    if (ago >= 120) rows.push(row('app', nowMs - ago * MINUTE_MS, rows.length));
  }
  await insertCompact(stage.clickhouse, 'events', columns.events, rows);
});
afterEach(endChildren);
afterAll(() => stage.close());

it('the leader says who is quiet', async () => {
  const jobs = startChild('jobs', stage.environment);
  const { metrics } = await jobs.ready;
  const untilMs = performance.now() + 20_000;
  let text = '';
  while (!text.includes('flywheel_source_quiet{')) {
    if (performance.now() > untilMs) throw new Error(`no evaluation in ${text}${jobs.errors()}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
    text = await (await fetch(String(metrics))).text();
  }
  expect(text).toContain('flywheel_source_quiet{source="shop"} 0');
  expect(text).toContain('flywheel_source_quiet{source="app"} 1');
  expect(text).toContain('flywheel_source_shape_changes{source="shop",change="property_gone"} 0');
  const age = Number(/flywheel_source_last_event_age_seconds\{source="app"\} (\S+)/.exec(text)![1]);
  expect(age).toBeGreaterThan(7_199);
  const evaluated = Number(/^flywheel_sources_evaluated_timestamp_seconds (\S+)/m.exec(text)![1]);
  expect(Date.now() / 1_000 - evaluated).toBeLessThan(60);
  const report = await readSourceHealth(stage.redis, stage.namespace);
  expect(report!.sources.map(({ source, quiet }) => [source, quiet.status])).toEqual([
    ['app', 'quiet'],
    ['shop', 'lively'],
  ]);
  expect(await jobs.stop()).toEqual({ code: 0, signal: null });
});
