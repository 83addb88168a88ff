// A fuzzer that knows the OpenAPI document finds no 5xx, no undocumented status, no body that its schema does not describe.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { ensureSchemathesis } from '../setup/schemathesis.ts';
import { serveInNamespace, type TestServing } from './serving.ts';

const SEED = 20_261_124;
const EXAMPLES_MAX = 12;
const checks = [
  'not_a_server_error',
  'status_code_conformance',
  'content_type_conformance',
  'response_schema_conformance',
  'unsupported_method',
];

/** A stream of events would go on for an hour. */
const settings = `
[[operations]]
include-path = "/v1/events/live"
parameters = { "query.seconds" = 0.1 }
`;

let program: string;
let serving: TestServing;
const folder = mkdtempSync(path.join(tmpdir(), 'flywheel-schemathesis-'));

beforeAll(async () => {
  program = ensureSchemathesis();
  writeFileSync(path.join(folder, 'schemathesis.toml'), settings);
  serving = await serveInNamespace('schemathesis', {
    kafkaBrokers: inject('kafkaBrokers'),
    redisUrl: inject('redisUrl'),
    clickhouseUrl: inject('clickhouseUrl'),
  });
});

afterAll(async () => {
  await serving.close();
  rmSync(folder, { recursive: true });
});

function run(args: readonly string[]): Promise<{ code: number | null; output: string }> {
  const child = spawn(program, args, {
    cwd: folder,
    env: { PATH: process.env.PATH, HOME: folder, NO_COLOR: '1' },
  });
  let output = '';
  child.stdout.on('data', (part) => (output += part));
  child.stderr.on('data', (part) => (output += part));
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, output })));
}

/** What can be asked without anything being there before: a schema is compared only where an answer is no problem. */
const ANSWERS = [
  ...['definitions', 'deliveries', 'sources', 'triggers'].map((name) => `GET /v1/${name}`),
  ...['campaigns', 'funnel', 'identity', 'north-star', 'opportunities'].map(
    (name) => `GET /v1/reports/${name}`,
  ),
  ...['identify', 'page', 'screen'].map((name) => `POST /v1/${name}`),
];

/** What serve has answered, by its own metrics: `<method> <route>` with each status. */
async function answered(): Promise<{ route: string; status: string }[]> {
  const text = await (await fetch(`${serving.url}/metrics`)).text();
  const line = /^flywheel_serve_route_seconds_count\{method="(\w+)",route="([^"]+)",status="(\d+)"\} [1-9]/gm;
  return [...text.matchAll(line)].map(([, method, route, status]) => ({
    route: `${method} ${route}`,
    status: status!,
  }));
}

it('schemathesis finds nothing', async () => {
  const { code, output } = await run([
    'run',
    `${serving.url}/docs/json`,
    ...['--header', `Authorization: Bearer ${serving.keys.secret}`],
    ...['--checks', checks.join(',')],
    ...['--phases', 'examples,coverage,fuzzing'],
    ...['--max-examples', String(EXAMPLES_MAX), '--seed', String(SEED), '--generation-database', 'none'],
    ...['--request-timeout', '60', '--suppress-health-check', 'all', '--no-color'],
  ]);
  expect(output).toMatch(/[1-9][\d,]* generated/);
  expect(code, output.slice(-20_000)).toBe(0);
  const all = await answered();
  expect(all.filter(({ status }) => status === '401')).toEqual([]);
  const good = new Set(all.filter(({ status }) => status === '200').map(({ route }) => route));
  expect(ANSWERS.filter((route) => !good.has(route))).toEqual([]);
});
