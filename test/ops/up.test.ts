// `flywheel up` as a newcomer meets it: everything from nothing, a second start that goes on with what is there, and Ctrl-C.

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { FeedReport } from '../../cli/feed/report.ts';
import { SIMULATED_DAYS } from '../../cli/feed/sources.ts';
import type { Summary } from '../../cli/up-summary.ts';
import { createMarketplace } from '../../simulate/marketplace/marketplace.ts';
import { addKeyThatExpires, defineReceivers, sendOnwards, sendTraffic } from './support/traffic.ts';
import { expectWatched } from './support/watched.ts';

const PROJECT = fileURLToPath(new URL('../..', import.meta.url));
const BUYERS = 200;
const START_MS_MAX = 240_000;

let dir: string;
let first: Summary;
const runs: Run[] = [];

beforeAll(() => {
  dir = mkdtempSync(path.join(tmpdir(), 'flywheel-up-'));
});

// What a failed test left running holds the folder of the next one.
afterEach(async () => {
  for (const run of runs) {
    if (run.process.exitCode === null) run.process.kill('SIGINT');
    await run.code;
  }
});

afterAll(() => {
  rmSync(dir, { recursive: true, force: true });
});

interface Run {
  process: ChildProcess;
  output(): string;
  code: Promise<number | null>;
}

function up(...options: string[]): Run {
  return upIn({}, ...options);
}

function upIn(environment: Record<string, string>, ...options: string[]): Run {
  const args = ['bin/flywheel.js', 'up', '--dir', dir, '--ports', 'ephemeral'];
  const child = spawn(process.execPath, [...args, '--buyers', String(BUYERS), ...options], {
    cwd: PROJECT,
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
  }
  const run: Run = {
    process: child,
    output: () => output,
    code: new Promise((resolve) => child.once('exit', resolve)),
  };
  runs.push(run);
  return run;
}

function childrenNamed(name?: string): { name: string; pid: number }[] {
  const { children } = JSON.parse(readFileSync(path.join(dir, 'pids.json'), 'utf8')) as {
    children: { name: string; pid: number }[];
  };
  return name === undefined ? children : children.filter((child) => child.name === name);
}

function pidsLeft(): number[] {
  const children = childrenNamed();
  return children.map(({ pid }) => pid).filter((pid) => existsSync(`/proc/${pid}`));
}

/** What the messages that were fed say of who is who. */
function impliedIdentity(): Summary['identity'] {
  const report = JSON.parse(
    readFileSync(path.join(dir, 'feeds', 'default-simulate.json'), 'utf8'),
  ) as FeedReport;
  const { seed, endMs } = report;
  const startMs = endMs! - SIMULATED_DAYS * 86_400_000;
  const marketplace = createMarketplace({
    seed: seed!,
    startMs,
    endMs: endMs!,
    buyers: BUYERS,
    idPrefix: 'again',
  });
  for (const _ of marketplace.messages());
  const { visitors, users, usersWithSeveralVisitors, visitorsOfSeveralUsers, companies, members } =
    marketplace.report().identity;
  return {
    ...{ visitorsJoined: visitors, users, usersWithSeveralVisitors, companies, members },
    sharedDevices: visitorsOfSeveralUsers,
  };
}

test(
  '--once feeds, drains, ends with the summary as JSON and leaves nothing running',
  async () => {
    const run = up('--once');
    expect(await run.code, run.output()).toBe(0);
    first = JSON.parse(run.output().trimEnd().split('\n').at(-1)!) as Summary;
    expect(first.namespace).toBe('default');
    expect(first.events.buyers).toBeGreaterThan(BUYERS / 2);
    const { applied = 0, late = 0, duplicate = 0 } = first.events.byVerdict;
    expect(applied).toBeGreaterThan(first.events.buyers);
    expect(applied + late + duplicate).toBe(first.events.total);
    expect(first.opportunities?.opened).toBeGreaterThan(0);
    expect(first.identity).toEqual(impliedIdentity());
    expect(first.identity!.visitorsJoined).toBeGreaterThan(5);
    for (const { steps } of first.funnels) {
      const buyers = steps.map((step) => step.buyers);
      expect(buyers).toEqual([...buyers].sort((a, b) => b - a));
    }
    expect(first.funnels.length).toBeGreaterThan(0);
    expect(first.campaigns.length).toBeGreaterThan(0);
    expect(first.accounts.map(({ account }) => account).sort()).toEqual(
      [...new Set(first.campaigns.map(({ account }) => account))].sort(),
    );
    expect(first.transitions.new).toBeGreaterThan(0);
    expect(first.triggers.waiting).toBeGreaterThan(0);
    expect(run.output()).toMatch(/\[1\/5\] .*\[2\/5\] .*\[3\/5\] .*\[4\/5\] .*\[5\/5\] /s);
    expect(statSync(path.join(dir, 'keys.json')).mode & 0o777).toBe(0o600);
    expect(pidsLeft()).toEqual([]);
  },
  START_MS_MAX,
);

test(
  'a second start goes on with the data, keeps live events coming, and Ctrl-C ends it in order',
  async () => {
    const run = up();
    await expect
      .poll(() => run.output(), { timeout: START_MS_MAX, interval: 200 })
      .toContain('Ctrl-C stops everything.');
    expect(run.output()).toContain('by an earlier start');
    const url = /API +(\S+)/.exec(run.output())![1]!;
    const secret = /secret (sk_\S+)/.exec(run.output())![1]!;
    const write = /write (wk_\S+)/.exec(run.output())![1]!;
    expect((await fetch(`${url}/readyz`)).status).toBe(200);

    const sent = await fetch(`${url}/v1/track`, {
      method: 'POST',
      headers: { authorization: `Basic ${btoa(`${write}:`)}`, 'content-type': 'application/json' },
      body: '{"userId":"you","event":"Product Viewed"}',
    });
    expect(sent.status).toBe(200);
    const buyer = async (): Promise<number> =>
      (await fetch(`${url}/v1/buyers/u:you`, { headers: { authorization: `Bearer ${secret}` } })).status;
    await expect.poll(buyer, { timeout: 20_000 }).toBe(200);

    const clickhouse = /ClickHouse (\S+)/.exec(run.output())![1]!;
    const events = async (): Promise<number> => {
      const answer = await fetch(`${clickhouse}/?database=flywheel&query=SELECT+count()+FROM+events+FINAL`);
      return Number(await answer.text());
    };
    await expect.poll(events, { timeout: 20_000 }).toBeGreaterThan(first.events.total + 1);

    const prometheus = /Prometheus +(http\S+)/.exec(run.output())![1]!;
    expect(run.output()).toMatch(/Grafana .*Import.*engine,growth,campaigns/);
    await defineReceivers(url, { write, secret }, path.join(dir, 'webhook-secrets.json'));
    await addKeyThatExpires(path.join(dir, 'keys.hashed.json'));
    await sendTraffic(url, { write, secret });
    await expectWatched(prometheus, () => sendOnwards(url, { write, secret }));

    run.process.kill('SIGINT');
    expect(await run.code, run.output()).toBe(0);
    expect(pidsLeft()).toEqual([]);
  },
  START_MS_MAX,
);

/** Kills it as often as it is started, until `up` says that it stays down. */
async function killUntilItStaysDown(run: Run, name: string): Promise<void> {
  const killed = new Set<number>();
  await expect
    .poll(
      () => {
        for (const { pid } of childrenNamed(name)) {
          if (killed.has(pid)) continue;
          killed.add(pid);
          process.kill(pid, 'SIGKILL');
        }
        return run.output();
      },
      { timeout: 90_000, interval: 50 },
    )
    .toContain(`${name} died after 5 restarts and stays down`);
}

test(
  'what stays down is said, stops nothing else, can be started again, and is told of by the exit code',
  async () => {
    const run = up();
    const said = (text: string | RegExp) =>
      expect.poll(() => run.output(), { timeout: START_MS_MAX, interval: 200 }).toMatch(text);
    await said('Ctrl-C stops everything.');
    const url = /API +(\S+)/.exec(run.output())![1]!;
    await killUntilItStaysDown(run, 'jobs');
    await said(/last lines of .*jobs\.log/);
    await said(`Everything else goes on. To start jobs again: kill -USR2 ${run.process.pid}`);
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
    expect(childrenNamed('jobs')).toEqual([]);

    run.process.kill('SIGUSR2');
    await said('starting again: jobs …');
    await expect.poll(() => childrenNamed('jobs').length, { timeout: 30_000 }).toBe(1);
    await killUntilItStaysDown(run, 'prometheus');
    run.process.kill('SIGINT');
    expect(await run.code, run.output()).toBe(1);
    expect(run.output()).toContain('stopped; prometheus was down');
    expect(pidsLeft()).toEqual([]);
  },
  START_MS_MAX,
);

test(
  '--once ends with an error when what the work needs stays down',
  async () => {
    const run = up('--once', '--namespace', 'halted');
    await expect
      .poll(() => run.output(), { timeout: START_MS_MAX, interval: 50 })
      .toContain('[3/5] stream, serve and jobs: up');
    await killUntilItStaysDown(run, 'stream');
    expect(await run.code, run.output()).toBe(1);
    expect(run.output()).toContain('\nstream stays down\n');
    expect(pidsLeft()).toEqual([]);
  },
  START_MS_MAX,
);

const REES46 = `event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session
2019-10-01 00:00:00 UTC,view,44600062,2103807459595387724,,shiseido,35.79,541312140,72d76fde-8bb3-4e00-8c23-a032dfed738c
2019-10-01 00:00:04 UTC,purchase,1004237,2053013555631882655,electronics.smartphone,apple,1081.98,535871217,c6bd7419-2748-4c56-95b4-8cec9ff8b80d
`;

/** Before anything else in each process; `verify` is held there, so that it is neither over nor says more when the signal comes. */
const HOLD_VERIFY = `if (process.argv[2] === 'verify') {
  process.stderr.write('verify: held\\n');
  await new Promise(() => setInterval(() => {}, 60_000));
}
`;

test(
  'SIGTERM while it verifies a replay ends verify and then itself, without a word of success',
  async () => {
    const file = path.join(dir, 'two.csv');
    writeFileSync(file, REES46);
    const hold = path.join(dir, 'hold-verify.mjs');
    writeFileSync(hold, HOLD_VERIFY);
    const run = upIn({ NODE_OPTIONS: `--import=${hold}` }, '--replay', `rees46:${file}`, '--verify');
    await expect.poll(() => run.output(), { timeout: START_MS_MAX, interval: 20 }).toMatch(/^verify: held$/m);
    run.process.kill('SIGTERM');
    expect(await run.code, run.output()).toBe(130);
    expect(run.output()).toContain('\nstopping (SIGTERM) …\nstopped before it was done\nstopped\n');
    expect(run.output()).not.toContain('Ctrl-C stops everything.');
    expect(pidsLeft()).toEqual([]);
  },
  START_MS_MAX,
);

test('what cannot be fed is refused before anything is started', async () => {
  const format = up('--replay', 'no-such-format:README.md');
  const file = up('--replay', 'rees46:no-such-file.csv');
  expect([await format.code, await file.code]).toEqual([1, 1]);
  expect(format.output()).toContain('has no format no-such-format; there are simulate, rees46');
  expect(file.output()).toMatch(/names .*no-such-file\.csv, which is not there/);
  expect(format.output()).not.toContain('[1/5]');
});
