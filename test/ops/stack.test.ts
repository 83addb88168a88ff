// The local stack as a whole: what survives a restart, what happens when a part or the parent dies, and each refusal's message.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Admin, Consumer, Producer, stringDeserializers, stringSerializers } from '@platformatic/kafka';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type ChildEvent, type ChildOptions, findTool, superviseChild } from '../../ops/local/child.ts';
import { assertFolderFree, type ProcessList, takeFolder } from '../../ops/local/pids.ts';
import { assertPortFree, ephemeralPorts } from '../../ops/local/ports.ts';
import { type Stack, type StackOptions, startStack } from '../../ops/local/stack.ts';

const PROJECT = fileURLToPath(new URL('../..', import.meta.url));
const JARS = path.join(PROJECT, '.flywheel', 'kafka');

let dir: string;
let events: ChildEvent[];
let stack: Stack | undefined;
const spawned: ChildProcess[] = [];

beforeEach(() => {
  dir = mkdtempSync(path.join(tmpdir(), 'flywheel-stack-'));
  events = [];
});

afterEach(async () => {
  await stack?.stop();
  stack = undefined;
  for (const child of spawned.splice(0)) child.kill('SIGKILL');
  rmSync(dir, { recursive: true, force: true });
});

async function start(parts: StackOptions['parts'], options: Partial<StackOptions> = {}): Promise<Stack> {
  stack = await startStack({
    dir,
    ports: 'ephemeral',
    parts,
    kafkaJarsFolder: JARS,
    onEvent: (event) => events.push(event),
    ...options,
  });
  return stack;
}

/** Runs `ops/local/main.ts` in a process of its own and resolves with its addresses. */
async function startElsewhere(parts: string): Promise<{ parent: ChildProcess; redisUrl: string }> {
  const args = [
    '--import',
    'tsx',
    'ops/local/main.ts',
    '--dir',
    dir,
    '--ports',
    'ephemeral',
    '--parts',
    parts,
  ];
  const parent = spawn(process.execPath, args, { cwd: PROJECT, stdio: ['ignore', 'pipe', 'inherit'] });
  spawned.push(parent);
  for await (const line of createInterface({ input: parent.stdout! })) {
    return { parent, ...(JSON.parse(line) as { redisUrl: string }) };
  }
  throw new Error('main.ts ended without an address');
}

function take(): Promise<ProcessList> {
  return takeFolder(dir, (message) => events.push({ name: 'pids.json', kind: 'noted', message }));
}

function recordedPids(): number[] {
  const file = JSON.parse(readFileSync(path.join(dir, 'pids.json'), 'utf8')) as {
    children: { pid: number }[];
  };
  return file.children.map((child) => child.pid);
}

function isAlive(pid: number): boolean {
  return existsSync(`/proc/${pid}`) && !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
}

test('Kafka keeps its log in a folder of any letters, also where the locale has none', async () => {
  const outer = dir;
  dir = path.join(outer, 'Büro', '数据');
  const locale = process.env.LC_ALL;
  process.env.LC_ALL = 'C';
  try {
    const marks: string[] = [];
    for (let round = 0; round < 2; round += 1) {
      const { stop } = await start(['kafka']);
      stack = undefined;
      await stop();
      marks.push(readFileSync(path.join(dir, 'kafka', 'data', 'meta.properties'), 'utf8'));
    }
    expect(marks[1]).toBe(marks[0]);
    expect([readdirSync(outer), readdirSync(path.join(outer, 'Büro'))]).toEqual([['Büro'], ['数据']]);
  } finally {
    if (locale === undefined) delete process.env.LC_ALL;
    else process.env.LC_ALL = locale;
    dir = outer;
  }
});

describe('Kafka and Redis', () => {
  test('take a record each, keep it over a restart, and come back after a kill', async () => {
    const first = await start(['kafka', 'redis']);
    const bootstrapBrokers = [first.kafkaBrokers!];
    const admin = new Admin({ clientId: 'test', bootstrapBrokers });
    await admin.createTopics({ topics: ['kept'], partitions: 3, replicas: 1 });
    await admin.close();
    const producer = new Producer({ clientId: 'test', bootstrapBrokers, serializers: stringSerializers });
    await expect(producer.send({ messages: [{ topic: 'unknown', key: 'k', value: 'v' }] })).rejects.toThrow();
    await producer.send({ messages: [{ topic: 'kept', key: 'k', value: 'v' }], acks: -1 });
    await producer.close();
    const redis = new Redis(first.redisUrl!);
    await redis.set('kept', 'v');
    expect(await redis.config('GET', 'appendfsync')).toEqual(['appendfsync', 'always']);
    redis.disconnect();
    await first.stop();

    const second = await start(['kafka', 'redis']);
    expect(await firstValue(second.kafkaBrokers!)).toBe('v');
    expect(await getFrom(second.redisUrl!)).toBe('v');

    process.kill(second.pidOf('redis')!, 'SIGKILL');
    process.kill(second.pidOf('kafka')!, 'SIGKILL');
    await expect
      .poll(
        () =>
          events
            .filter((event) => event.kind === 'restarted')
            .map((event) => event.name)
            .sort(),
        { timeout: 60_000 },
      )
      .toEqual(['kafka', 'redis']);
    expect(await firstValue(second.kafkaBrokers!)).toBe('v');
    expect(await getFrom(second.redisUrl!)).toBe('v');
    expect(events.map((event) => event.message)).toContain('redis was ended by SIGKILL');
  }, 180_000);
});

async function firstValue(broker: string): Promise<string> {
  const consumer = new Consumer({
    clientId: 'test',
    groupId: `test-${Date.now()}`,
    bootstrapBrokers: [broker],
    deserializers: stringDeserializers,
  });
  const stream = await consumer.consume({ topics: ['kept'], mode: 'earliest', autocommit: false });
  try {
    for await (const message of stream) return message.value;
    throw new Error('no record');
  } finally {
    await consumer.close(true);
  }
}

async function getFrom(url: string): Promise<string | null> {
  const redis = new Redis(url);
  try {
    return await redis.get('kept');
  } finally {
    redis.disconnect();
  }
}

test('Prometheus scrapes stream, serve and jobs', async () => {
  const { prometheusUrl, ports } = await start(['prometheus']);
  const targets = async (): Promise<string[]> => {
    const answer = await fetch(`${prometheusUrl}/api/v1/targets?state=active`);
    const { data } = (await answer.json()) as { data: { activeTargets: { scrapeUrl: string }[] } };
    return data.activeTargets.map((target) => target.scrapeUrl).sort();
  };
  const expected = [ports.serve, ports.streamMetrics, ports.jobsMetrics].map(
    (port) => `http://127.0.0.1:${port}/metrics`,
  );
  await expect.poll(targets, { timeout: 20_000 }).toEqual(expected.sort());
});

test('a part that runs elsewhere replaces the local one', async () => {
  const running = await start(['kafka', 'redis', 'clickhouse'], {
    external: { kafkaBrokers: 'broker:9092', clickhouseUrl: 'http://far:8123' },
  });
  expect(running).toMatchObject({ kafkaBrokers: 'broker:9092', clickhouseUrl: 'http://far:8123' });
  expect(running.redisUrl).toMatch(/^redis:\/\/127\.0\.0\.1:\d+$/);
  expect(recordedPids()).toEqual([running.pidOf('redis')]);
});

describe('a port that is taken after it was picked', () => {
  const holders: Server[] = [];
  afterEach(() => {
    for (const holder of holders.splice(0)) holder.close();
  });

  async function takenPort(): Promise<number> {
    const holder = createServer();
    holders.push(holder);
    await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve));
    return (holder.address() as { port: number }).port;
  }

  test('is left for others, and the part that needed it listens there', async () => {
    const port = await takenPort();
    let picks = 0;
    const pickPorts = async () => {
      picks += 1;
      const ports = await ephemeralPorts();
      return picks < 3 ? { ...ports, redis: port } : ports;
    };
    const { redisUrl, ports, pidOf } = await start(['redis'], { pickPorts });
    expect(picks).toBe(3);
    expect(ports.redis).not.toBe(port);
    expect(redisUrl).toBe(`redis://127.0.0.1:${ports.redis}`);
    expect(recordedPids()).toEqual([pidOf('redis')]);
    expect(await getFrom(redisUrl!)).toBeNull();
  });

  test('is named after a few attempts that all met it', async () => {
    const port = await takenPort();
    let picks = 0;
    const pickPorts = async () => {
      picks += 1;
      return { ...(await ephemeralPorts()), redis: port };
    };
    await expect(start(['redis'], { pickPorts })).rejects.toMatchObject({
      code: 'PORT_TAKEN',
      message: expect.stringContaining(`Redis needs port ${port}`),
    });
    expect(picks).toBe(5);
  });

  test('cannot be one that the system gives to outgoing connections', async () => {
    for (let round = 0; round < 20; round += 1) {
      const ports = Object.values(await ephemeralPorts());
      expect(new Set(ports).size).toBe(ports.length);
      expect(Math.max(...ports)).toBeLessThan(32_768);
    }
  });
});

describe('processes that outlive or die', () => {
  test('children end with a parent that is killed', async () => {
    const { parent } = await startElsewhere('redis,clickhouse');
    const children = recordedPids();
    expect(children.filter(isAlive)).toHaveLength(2);
    parent.kill('SIGKILL');
    await expect.poll(() => children.filter(isAlive), { timeout: 10_000 }).toEqual([]);
  });

  test('a folder in use is refused, and free again after SIGTERM', async () => {
    const { parent } = await startElsewhere('redis');
    const children = recordedPids();
    await expect(start(['redis'])).rejects.toMatchObject({
      code: 'FOLDER_IN_USE',
      message: expect.stringContaining(`process ${parent.pid}`),
    });
    const ended = new Promise((resolve) => parent.once('exit', resolve));
    parent.kill('SIGTERM');
    expect(await ended).toBe(0);
    expect(children.filter(isAlive)).toEqual([]);
    await start(['redis']);
  });

  test('only our own left-overs are ended at the next start', async () => {
    const left = spawn('sleep', ['600.25']);
    const foreign = spawn('sleep', ['600.75']);
    spawned.push(left, foreign);
    const processes = await take();
    processes.add('left', left.pid!, '600.25');
    processes.add('reused', foreign.pid!, 'redis-server');
    processes.release();
    await take();
    expect(isAlive(left.pid!)).toBe(false);
    expect(isAlive(foreign.pid!)).toBe(true);
  });

  // Who holds a port is known by /proc.
  test.runIf(process.platform === 'linux')(
    'what they listen on is looked at when our own have ended, and is refused of others',
    async () => {
      const ports = await ephemeralPorts();
      const options = { pickPorts: async () => ports, beside: ['stream', 'serve', 'jobs'] as const };
      const listen = async (command: string, flag: string, script: string): Promise<ChildProcess> => {
        const child = spawn(command, [flag, script], { stdio: ['ignore', 'pipe', 'inherit'] });
        spawned.push(child);
        await once(child.stdout!, 'data');
        return child;
      };
      // Its first thread ends at once, the process with what it listens on a second later.
      const script = `import ctypes, os, signal, socket, threading, time
def end(*_):
    threading.Thread(target=lambda: (time.sleep(1), os._exit(0))).start()
    ctypes.CDLL(None).pthread_exit(None)
signal.signal(signal.SIGTERM, end)
listener = socket.create_server(('127.0.0.1', ${ports.streamMetrics}))
print('listens', flush=True)
time.sleep(600)`;
      const left = await listen('python3', '-c', script);
      const processes = await take();
      processes.add('stream', left.pid!, script);
      processes.release();
      await (await start([], options)).stop();
      stack = undefined;
      expect(isAlive(left.pid!)).toBe(false);

      const foreign = await listen(
        process.execPath,
        '-e',
        `require('node:net').createServer().listen(${ports.streamMetrics}, '127.0.0.1', () => console.log('listens'))`,
      );
      await expect(start([], options)).rejects.toMatchObject({
        code: 'PORT_TAKEN',
        message: expect.stringContaining(`the metrics of stream needs port ${ports.streamMetrics}`),
      });
      expect(isAlive(foreign.pid!)).toBe(true);
      assertFolderFree(dir);
    },
  );

  test('one that is not ready yet is stopped with the rest, when another one failed', async () => {
    const running = await start([]);
    // Held from its beginning, so that it neither becomes ready nor ends by itself, however busy the machine is.
    const jobs = running.startFlywheel('jobs', {
      REDIS_URL: 'redis://127.0.0.1:1',
      KAFKA_BROKERS: '127.0.0.1:1',
      JOBS_METRICS_PORT: `${running.ports.jobsMetrics}`,
    });
    jobs.catch(() => {});
    await expect.poll(recordedPids, { interval: 5 }).toHaveLength(1);
    const pids = recordedPids();
    process.kill(pids[0]!, 'SIGSTOP');
    await expect(running.startFlywheel('stream', { STREAM_METRICS_PORT: 'none' })).rejects.toMatchObject({
      code: 'CHILD_CRASHED',
      message: expect.stringMatching(/^stream exited with code 1 while starting/),
    });
    expect(pids.filter(isAlive)).toHaveLength(1);
    const stopped = running.stop();
    process.kill(pids[0]!, 'SIGCONT');
    await stopped;
    stack = undefined;
    expect([pids.filter(isAlive), recordedPids()]).toEqual([[], []]);
    await expect(jobs).rejects.toThrow();
  });
});

describe('a list of processes that cannot be saved', () => {
  const obstacle = (): string => path.join(dir, 'pids.json.new');
  const messages = (): string[] => events.map(({ message }) => message);
  const UNSAVED = /^the list of processes cannot be saved and is tried again: EISDIR/;

  test('ends nobody: it is told once, the child is started again and watched, and the list is saved when it can be', async () => {
    const once = path.join(dir, 'once');
    const child = await supervise(`echo ready; [ -e ${once} ] && exec sleep 600.7; read -r _; exit 1`, true);
    // As a full disk does, at the child's end and again at its successor's start.
    mkdirSync(obstacle());
    writeFileSync(once, '');
    process.kill(child.pid()!, 'SIGKILL');
    await expect.poll(messages, { timeout: 10_000 }).toContain('part was restarted (1 of 5)');
    expect(messages()).toEqual([
      expect.stringMatching(UNSAVED),
      'part was ended by SIGKILL',
      'part was restarted (1 of 5)',
    ]);
    expect(recordedPids()).not.toContain(child.pid());
    rmSync(obstacle(), { recursive: true });
    await expect.poll(messages, { timeout: 10_000 }).toContain('the list of processes is saved again');
    expect(recordedPids()).toEqual([child.pid()]);
    const last = child.pid()!;
    await child.stop();
    expect([isAlive(last), recordedPids()]).toEqual([false, []]);
  });

  test('lets nobody take the folder that cannot be given back', async () => {
    mkdirSync(obstacle());
    await expect(take()).rejects.toThrow('EISDIR');
    rmSync(obstacle(), { recursive: true });
    await take();
  });
});

test('a child that cannot be asked whether it is ready does not run on unwatched', async () => {
  const script = 'echo ready; exec sleep 600.8';
  const pids: number[] = [];
  const isReady = (): boolean => {
    pids.push(...recordedPids());
    throw new Error('nobody can tell');
  };
  await expect(supervise(script, false, isReady)).rejects.toThrow('nobody can tell');
  expect(pids).toHaveLength(1);
  expect([pids.filter(isAlive), recordedPids()]).toEqual([[], []]);
});

describe('two starts at once', () => {
  /** Takes the folder in a process of its own and keeps it until it is killed; resolves with what came of it. */
  async function takeElsewhere(): Promise<string> {
    const script = `import { takeFolder } from './ops/local/pids.ts';
      takeFolder(${JSON.stringify(dir)}, () => {}).then(() => console.log('has it'), (error) => console.log(error.code));
      setTimeout(() => {}, 600_000);`;
    const args = ['--import', 'tsx', '--input-type=module', '-e', script];
    const child = spawn(process.execPath, args, { cwd: PROJECT, stdio: ['ignore', 'pipe', 'inherit'] });
    spawned.push(child);
    for await (const line of createInterface({ input: child.stdout! })) return line;
    throw new Error('it ended without a word');
  }

  test('after one that was killed: one has the folder at once, though what is left takes its time to end', async () => {
    const left = spawn('/bin/sh', ['-c', 'trap "sleep 3; exit" TERM; while :; do sleep 0.1; done # 600.3']);
    spawned.push(left);
    const killed = await take();
    killed.add('left', left.pid!, '600.3');
    killed.release();
    expect((await Promise.all([takeElsewhere(), takeElsewhere(), takeElsewhere()])).sort()).toEqual([
      'FOLDER_IN_USE',
      'FOLDER_IN_USE',
      'has it',
    ]);
    expect(isAlive(left.pid!)).toBe(false);
  });

  test('who holds the folder and was killed does not hold it any more', async () => {
    expect(await takeElsewhere()).toBe('has it');
    await expect(take()).rejects.toMatchObject({ code: 'FOLDER_IN_USE' });
    expect(() => assertFolderFree(dir)).toThrow(`process ${spawned.at(-1)!.pid} works in ${dir}`);
    spawned.at(-1)!.kill('SIGKILL');
    await once(spawned.at(-1)!, 'exit');
    assertFolderFree(dir);
    await take();
  });

  test('a holder whose file somebody removed leaves a folder that can be taken', async () => {
    (await take()).release();
    rmSync(path.join(dir, 'holder', 'free'));
    await take();
  });
});

describe('refusals', () => {
  test('a taken port is named', async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const { port } = taken.address() as { port: number };
    await expect(assertPortFree('Redis', port)).rejects.toMatchObject({
      code: 'PORT_TAKEN',
      message: expect.stringContaining(`Redis needs port ${port}`),
    });
    taken.close();
  });

  test('a missing tool is named with its package', () => {
    expect(() => findTool('no-such-server', 'no-such-package')).toThrow(
      'no-such-server is not installed. On Debian or Ubuntu: apt-get install no-such-package',
    );
  });

  test('a child that dies while starting shows the tail of its log', async () => {
    await expect(supervise('echo first; echo the reason >&2; exit 3', false)).rejects.toMatchObject({
      code: 'CHILD_CRASHED',
      message: expect.stringMatching(
        /part exited with code 3 while starting\.\nThe last lines of .*part\.log:\n {2}first\n {2}the reason/,
      ),
    });
  });

  test('a child that never becomes ready is ended and reported', async () => {
    await expect(supervise('echo waiting; exec sleep 600.5', false)).rejects.toMatchObject({
      code: 'CHILD_NOT_READY',
    });
    expect(recordedPids()).toEqual([]);
  });

  test('restarts are limited, then the part is reported with its last words', async () => {
    const child = await supervise('echo ready; echo bye; exit 1', true);
    await expect.poll(() => events.at(-1)?.kind, { timeout: 30_000 }).toBe('gave-up');
    expect(events.filter((event) => event.kind === 'restarted')).toHaveLength(5);
    expect(events.at(-1)?.message).toMatch(
      /part died after 5 restarts and stays down: exited with code 1\n[\s\S]*bye/,
    );
    await child.stop();
  }, 40_000);

  test('a part that was given up stays down until it is started again', async () => {
    const mended = path.join(dir, 'mended');
    const child = await supervise(`echo ready; [ -e ${mended} ] && exec sleep 600.6; exit 1`, true);
    expect(child.staysDown()).toBe(false);
    await expect.poll(() => child.staysDown(), { timeout: 30_000 }).toBe(true);
    expect(recordedPids()).toEqual([]);
    writeFileSync(mended, '');
    await child.startAgain();
    expect([child.staysDown(), recordedPids()]).toEqual([false, [child.pid()]]);
    expect(events.at(-1)?.message).toBe('part was restarted (1 of 5)');
    await child.startAgain();
    expect(recordedPids()).toEqual([child.pid()]);
    await child.stop();
    expect(recordedPids()).toEqual([]);
  }, 40_000);
});

async function supervise(
  script: string,
  restart: boolean,
  isReady: ChildOptions['isReady'] = (log) => log.includes('ready'),
) {
  return superviseChild(
    {
      name: 'part',
      command: '/bin/sh',
      args: ['-c', script],
      marker: script,
      logFolder: path.join(dir, 'logs'),
      isReady,
      readyWithinMs: 1000,
      stopWithinMs: 2000,
      restart,
    },
    await take(),
    (event) => events.push(event),
  );
}
