// Starts of one clone at once: one installs and builds, the others wait for it, and none waits for one that was killed.
// What a start was cut off at is done by the next.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { isInRange } from '../../bin/machine.js';
import { isRunning, startTicksOf } from '../../bin/process-lock.js';

const PROJECT = fileURLToPath(new URL('../..', import.meta.url));
const STARTS = 6;

/** As much of npm as the bootstrap sees: it takes until it is let go on, and breaks off where another one is at it. */
const NPM = `#!/bin/sh
mkdir installing || exit 1
echo "$1" >> ran
head -c 300000 /dev/zero
until [ -e go-on ]; do sleep 0.05; done
mkdir -p node_modules/node-rdkafka
: > node_modules/node-rdkafka/index.js
cp "$(cat unpacks)" node_modules/.package-lock.json
rmdir installing
`;

let clone: string;
let started: ChildProcess[];

/** A clone with nothing installed, whose tools are there and whose build is none. */
beforeEach(() => {
  started = [];
  clone = mkdtempSync(path.join(tmpdir(), 'flywheel-clone-'));
  cpSync(path.join(PROJECT, 'bin'), path.join(clone, 'bin'), { recursive: true });
  writeFileSync(path.join(clone, 'bin', 'build.js'), "export const ensureBuild = async () => 'built';\n");
  writeFileSync(path.join(clone, 'package.json'), '{ "type": "module" }');
  lock('package-lock.json', []);
  writeFileSync(path.join(clone, 'unpacks'), 'package-lock.json');
  const tools = path.join(clone, 'tools');
  mkdirSync(tools);
  for (const name of ['python3', 'g++', 'make', 'prometheus', 'chromium'])
    writeFileSync(path.join(tools, name), '#!/bin/sh\n', { mode: 0o755 });
  writeFileSync(path.join(tools, 'npm'), NPM, { mode: 0o755 });
});

afterEach(() => {
  for (const child of started) child.kill('SIGKILL');
  rmSync(clone, { recursive: true, force: true });
});

/** Writes a lock file that names node-rdkafka and these optional packages, each for some machines. */
function lock(file: string, optional: readonly { name: string; os: string; node?: string }[]): void {
  const packages: Record<string, object> = { 'node_modules/node-rdkafka': { version: '1.0.0' } };
  for (const { name, os, node = '>=20' } of optional)
    packages[`node_modules/${name}`] = {
      ...{ version: '2.0.0', optional: true, os: [os], cpu: [process.arch], engines: { node } },
    };
  mkdirSync(path.dirname(path.join(clone, file)), { recursive: true });
  writeFileSync(path.join(clone, file), JSON.stringify({ packages }));
}

interface Start {
  readonly process: ChildProcess;
  output(): string;
  readonly ended: Promise<{ code: number | null; output: string }>;
}

function start(...args: string[]): Start {
  const PATH = `${path.join(clone, 'tools')}${path.delimiter}${process.env.PATH}`;
  const child = spawn(process.execPath, args, {
    cwd: clone,
    env: { PATH, KAFKA_BROKERS: 'far:9092', REDIS_URL: 'redis://far' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  started.push(child);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
  }
  const ended = new Promise<{ code: number | null; output: string }>((resolve) =>
    child.once('close', (code) => resolve({ code, output })),
  );
  return { process: child, output: () => output, ended };
}

const prepare = (): Start => start('bin/bootstrap.js', 'prepare');

/** Holds the lock until it is killed. */
async function startHolder(): Promise<Start> {
  const holder = start(
    '--input-type=module',
    '-e',
    "import { alone } from './bin/lock.js'; await alone(() => new Promise((resolve) => setTimeout(resolve, 600_000)))",
  );
  const name = (): string => readdirSync(path.join(clone, '.flywheel', 'preparing'))[0] ?? '';
  await expect.poll(name, { timeout: 10_000 }).toMatch(new RegExp(`^${holder.process.pid}\\b`));
  return holder;
}

/** What each ended with; those that failed are shown in full. */
async function failuresOf(starts: readonly Start[]): Promise<string[]> {
  const ends = await Promise.all(starts.map(({ ended }) => ended));
  return ends.filter(({ code }) => code !== 0).map(({ output }) => output);
}

test('of several first starts one installs, and the others wait for it and say so', async () => {
  const starts = Array.from({ length: STARTS }, prepare);
  const waiting = /waiting for process \d+, which installs or builds in this folder/;
  const isSettled = ({ output, process: { exitCode } }: Start) => waiting.test(output()) || exitCode !== null;
  await expect.poll(() => starts.filter(isSettled).length, { timeout: 30_000 }).toBe(STARTS - 1);
  writeFileSync(path.join(clone, 'go-on'), '');
  expect(await failuresOf(starts)).toEqual([]);
  expect(readFileSync(path.join(clone, 'ran'), 'utf8')).toBe('ci\nrebuild\n');
  expect(starts.filter(({ output }) => output().includes('packages: installed'))).toHaveLength(1);
});

test('what a killed start held is taken over, by one', async () => {
  const holder = await startHolder();
  writeFileSync(path.join(clone, 'go-on'), '');
  const waiter = prepare();
  await expect
    .poll(waiter.output, { timeout: 10_000 })
    .toContain(`waiting for process ${holder.process.pid},`);
  holder.process.kill('SIGKILL');
  await holder.ended;
  expect(await failuresOf([waiter, ...Array.from({ length: STARTS }, prepare)])).toEqual([]);
  expect(readFileSync(path.join(clone, 'ran'), 'utf8')).toBe('ci\nrebuild\n');
  expect(readdirSync(path.join(clone, '.flywheel', 'preparing'))).toEqual(['free']);
});

test('a start that fails lets the next one go on', async () => {
  mkdirSync(path.join(clone, 'installing'));
  writeFileSync(path.join(clone, 'go-on'), '');
  expect(await prepare().ended).toMatchObject({ code: 1, output: expect.stringContaining('npm ci') });
  rmSync(path.join(clone, 'installing'), { recursive: true });
  const { code, output } = await prepare().ended;
  expect([code, output]).toEqual([0, expect.not.stringContaining('waiting')]);
});

test('a library for this machine that did not come is told of, and fetched by the next start', async () => {
  const here = { name: '@x/lib-here', os: process.platform };
  const others = [
    { name: '@x/lib-there', os: 'plan9' },
    { name: '@x/lib-later', os: process.platform, node: '>=1000' },
  ];
  lock('package-lock.json', [here, ...others]);
  lock('without.json', []);
  lock('with.json', [here]);
  writeFileSync(path.join(clone, 'go-on'), '');
  const run = async (unpacks: string) => {
    writeFileSync(path.join(clone, 'ran'), '');
    writeFileSync(path.join(clone, 'unpacks'), unpacks);
    const { code, output } = await prepare().ended;
    return { code, output, ran: readFileSync(path.join(clone, 'ran'), 'utf8') };
  };
  const first = await run('without.json');
  expect(first).toMatchObject({ code: 1, ran: 'ci\n' });
  expect(first.output).toMatch(/^npm ci left out @x\/lib-here: .* start again\.$/m);
  expect(await run('with.json')).toMatchObject({ code: 0, ran: 'ci\nrebuild\n' });
  const third = await run('with.json');
  expect(third).toMatchObject({ code: 0, ran: '' });
  expect(third.output).toContain('packages: up to date');
});

describe('what cannot be written', () => {
  const log = () => path.join(clone, '.flywheel', 'logs', 'npm-ci.log');
  const TOLD =
    /^(npm ci .* failed with code 1\. )?\.flywheel\/logs\/npm-ci\.log cannot be written: EISDIR.*$/m;

  test('is told where it is a log, and what wrote into it comes to its end', async () => {
    mkdirSync(log(), { recursive: true });
    writeFileSync(path.join(clone, 'go-on'), '');
    mkdirSync(path.join(clone, 'installing'));
    const failed = await prepare().ended;
    expect([failed.code, TOLD.exec(failed.output)?.[1]]).toEqual([1, expect.stringMatching(/^npm ci/)]);
    expect(failed.output).not.toMatch(/^ +at /m);
    rmSync(path.join(clone, 'installing'), { recursive: true });
    const well = await prepare().ended;
    expect([well.code, TOLD.exec(well.output)?.[1]]).toEqual([0, undefined]);
    expect(well.output).toMatch(TOLD);
  });

  test('is told where it is the lock', async () => {
    writeFileSync(path.join(clone, '.flywheel'), '');
    cpSync(path.join(PROJECT, 'bin', 'build.js'), path.join(clone, 'bin', 'build.js'));
    symlinkSync(path.join(PROJECT, 'node_modules'), path.join(clone, 'node_modules'));
    for (const { ended } of [prepare(), start('bin/build.js')]) {
      const { code, output } = await ended;
      expect([code, output]).toEqual([
        1,
        expect.stringMatching(/^Nothing can be prepared here: \w+: .*chown .*'$/m),
      ]);
      expect(output).not.toMatch(/^ +at /m);
    }
  });

  test.runIf(existsSync('/dev/full'))('is told where it is the last of a log', async () => {
    mkdirSync(path.dirname(log()), { recursive: true });
    symlinkSync('/dev/full', log());
    const script = `import { runLogged } from './bin/steps.js';
      await runLogged('npm-ci', 'echo', ['all']);`;
    expect(await start('--input-type=module', '-e', script).ended).toEqual({
      code: 0,
      output: expect.stringMatching(/npm-ci\.log cannot be written: ENOSPC/),
    });
  });
});

test("of Kafka's jars that did not come whole nothing is left or taken for whole", async () => {
  const kafka = path.join(clone, '.flywheel', 'kafka');
  const pom = path.join(clone, 'ops', 'local', 'kafka', 'pom.xml');
  mkdirSync(path.dirname(pom), { recursive: true });
  writeFileSync(pom, '<project/>');
  writeFileSync(path.join(clone, 'go-on'), '');
  const own = `libs.${process.pid}`;
  for (const name of ['libs.99999999', own, 'other.99999999'])
    mkdirSync(path.join(kafka, name), { recursive: true });
  const fetchJars = (mvn: string) => {
    writeFileSync(
      path.join(clone, 'tools', 'mvn'),
      `#!/bin/sh\nfor last; do :; done\nout=$(echo "$last" | cut -d= -f2)\n${mvn}`,
      {
        mode: 0o755,
      },
    );
    return start(
      '--input-type=module',
      '-e',
      `import { mkdirSync, writeFileSync } from 'node:fs';
       import { ensureKafkaJars } from './bin/kafka-jars.js';
       delete process.env.KAFKA_BROKERS;
       mkdirSync('.flywheel/kafka/libs.' + process.pid);
       writeFileSync('.flywheel/kafka/libs.' + process.pid + '/half.jar', '');
       await ensureKafkaJars();`,
    ).ended;
  };
  const failed = await fetchJars('touch "$out/kafka.jar"; exit 1');
  expect([failed.code, readdirSync(kafka).sort()]).toEqual([1, [own, 'other.99999999']]);
  expect(await fetchJars('touch "$out/kafka.jar"')).toEqual({ code: 0, output: '' });
  expect(readdirSync(kafka).sort()).toEqual(['libs', own, 'other.99999999']);
  expect(readdirSync(path.join(kafka, 'libs')).sort()).toEqual(['kafka.jar', 'pom.xml']);
});

test("another user's process runs, also where /proc does not show it", () => {
  const kill = vi.spyOn(process, 'kill').mockImplementation(() => {
    throw Object.assign(new Error('kill EPERM'), { code: 'EPERM' });
  });
  try {
    expect(isRunning(99_999_999)).toBe(true);
  } finally {
    kill.mockRestore();
  }
  expect(isRunning(99_999_999)).toBe(false);
});

test.runIf(process.platform === 'linux')(
  'a process whose first thread has ended runs until the last has',
  async () => {
    const script = `import ctypes, threading, time
threading.Thread(target=time.sleep, args=(600,)).start()
ctypes.CDLL(None).pthread_exit(None)`;
    const child = spawn('python3', ['-c', script], { stdio: 'ignore' });
    started.push(child);
    const status = () => readFileSync(`/proc/${child.pid}/status`, 'utf8');
    await expect.poll(status, { timeout: 60_000 }).toMatch(/^State:\tZ/m);
    expect([status(), startTicksOf(child.pid!)]).toEqual([
      expect.stringMatching(/^Threads:\t2$/m),
      expect.any(String),
    ]);
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(startTicksOf(child.pid!)).toBeUndefined();
  },
);

test('ranges of versions are read as npm reads them', () => {
  const isIn = (range: string) =>
    ['20.0.0', '20.19.1', '21.9.9', '22.12.0'].filter((v) => isInRange(v, range));
  expect(isIn('^20.19.0 || >=22.12.0')).toEqual(['20.19.1', '22.12.0']);
  expect(isIn('>= 10')).toHaveLength(4);
  expect(isIn('>=20.19')).toEqual(['20.19.1', '21.9.9', '22.12.0']);
  expect(isIn('^21')).toEqual(['21.9.9']);
  expect(isIn('<21')).toEqual([]);
});
