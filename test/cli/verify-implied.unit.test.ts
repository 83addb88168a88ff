// What `verify` demands is what the feeders' reports say: one that it cannot read is no report of nothing.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { newReport, readReport, reportFile, writeReport } from '../../cli/feed/report.ts';
import { runVerifyCommand } from '../../cli/verify.ts';

let dir: string;
let said: string;

beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'verify-implied-'));
  vi.stubEnv('FLYWHEEL_DIR', dir);
  // Nothing listens there: whatever is wrong with the reports is said before anything is asked.
  vi.stubEnv('CLICKHOUSE_URL', 'http://127.0.0.1:9');
  vi.stubEnv('REDIS_URL', 'redis://127.0.0.1:9');
  said = '';
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    said += String(text);
    return true;
  });
});
afterEach(async () => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  await rm(dir, { recursive: true });
});

const verified = (feedReport?: string[]) =>
  runVerifyCommand({ wait: 1, show: 1, json: true, ...(feedReport === undefined ? {} : { feedReport }) });

const report = newReport({
  id: 'default-simulate',
  namespace: 'default',
  format: 'simulate',
  file: null,
  logId: null,
  startedAt: new Date(0).toISOString(),
  seed: 'x',
  endMs: 1,
  untilMs: 1,
});

it('says which report cannot be read, cut off or of another form, and demands nothing less for it', async () => {
  const file = reportFile(dir, report.id);
  await mkdir(path.dirname(file));
  const text = JSON.stringify(report);
  for (const wrong of [text.slice(0, 200), '', '{}', text.replace('"running"', '"paused"')]) {
    await writeFile(file, wrong);
    said = '';
    expect(await verified()).toBe(2);
    expect(said).toContain(`${file} is no whole report of a feed`);
    expect(said).not.toContain('are they up?');
    await expect(readReport(file)).rejects.toMatchObject({ code: 'FEED_REPORT_UNREADABLE' });
  }
});

it('says so of one that is named and not there', async () => {
  expect(await verified([path.join(dir, 'none.json')])).toBe(2);
  expect(said).toMatch(/there is no report .*none\.json/);
});

it('reads those of before, and takes no folder for nothing fed', async () => {
  expect(await readReport(reportFile(dir, report.id))).toBeNull();
  await writeReport(reportFile(dir, report.id), report);
  const read = await readReport(reportFile(dir, report.id));
  expect(read).toEqual(report);
  expect(read).not.toHaveProperty('content');
});

it('says so of a folder that cannot be read', async () => {
  await writeFile(path.join(dir, 'feeds'), 'no folder');
  expect(await verified()).toBe(2);
  expect(said).toContain('feeds cannot be read');
});
