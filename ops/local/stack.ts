// The one-command stack: the local parts side by side, each replaceable by one that runs elsewhere.

import { mkdirSync } from 'node:fs';
import path from 'node:path';
import type { ChildEvent, Supervised } from './child.ts';
import { startClickHouse } from './clickhouse.ts';
import { type FlywheelCommand, startFlywheel } from './flywheel-process.ts';
import { startKafka } from './kafka.ts';
import type { PartContext } from './part.ts';
import { takeFolder } from './pids.ts';
import { assertPortFree, DEFAULT_PORTS, ephemeralPorts, type PortName, type Ports } from './ports.ts';
import { startPrometheus } from './prometheus.ts';
import { startRedis } from './redis.ts';
import { StackError } from './stack-error.ts';

export type PartName = 'kafka' | 'redis' | 'clickhouse' | 'prometheus';

/** Who depends on others goes before them. */
const STOP_ORDER = ['jobs', 'serve', 'stream', 'prometheus', 'clickhouse', 'kafka', 'redis'] as const;

const PORT_ATTEMPTS_MAX = 5;

const ALL_PARTS: readonly PartName[] = ['kafka', 'redis', 'clickhouse', 'prometheus'];

/** What to start and where. */
export interface StackOptions {
  /** Holds data, logs and the list of processes; a second start on the same folder goes on with its data. */
  dir: string;
  ports: 'default' | 'ephemeral';
  /** How ephemeral ports are picked; for tests, which plant one that is taken. */
  pickPorts?: (() => Promise<Ports>) | undefined;
  /** All four when left out. */
  parts?: readonly PartName[] | undefined;
  /** Which of Flywheel's own processes will run beside the parts: their ports must be free before any part is started. */
  beside?: readonly FlywheelCommand[] | undefined;
  /** Parts that run elsewhere: no local one is started for them. */
  external?:
    | {
        kafkaBrokers?: string | undefined;
        redisUrl?: string | undefined;
        clickhouseUrl?: string | undefined;
      }
    | undefined;
  /** Where Kafka's jars are kept; `<dir>/kafka` when left out. Tests share one, so that they are fetched once. */
  kafkaJarsFolder?: string | undefined;
  /** Pattern of Prometheus' rule files; those of the project when left out. */
  prometheusRules?: string | undefined;
  /** Told of crashed and restarted parts. */
  onEvent?: ((event: ChildEvent) => void) | undefined;
  /** Told of each part as it becomes ready, with the time it took. */
  onReady?: ((part: PartName, elapsedMs: number) => void) | undefined;
}

/** A running stack. A part that was left out has no address. */
export interface Stack {
  kafkaBrokers: string | undefined;
  redisUrl: string | undefined;
  clickhouseUrl: string | undefined;
  prometheusUrl: string | undefined;
  /** Ports set aside for `serve` and for the metrics of `stream` and `jobs`. */
  ports: Ports;
  logFolder: string;
  /** The process of a local part or of Flywheel, for tests that kill it. */
  pidOf(name: PartName | FlywheelCommand): number | undefined;
  /** Starts `stream`, `serve` or `jobs` beside the parts; `environment` as platform/config.ts reads it. */
  startFlywheel(command: FlywheelCommand, environment: Record<string, string>): Promise<void>;
  /** Stops one of them again. */
  stopFlywheel(command: FlywheelCommand): Promise<void>;
  /** The parts and processes that were given up. */
  staysDown(): readonly string[];
  /** Starts those again, and resolves when each is ready or given up again. */
  startAgain(): Promise<void>;
  /** Stops everything, last dependant first, and gives the folder free. */
  stop(): Promise<void>;
}

/**
 * Starts the parts at the same time and resolves when all answer; when one fails, stops the others and throws its error.
 * What a start that was killed has left is ended first.
 * @throws StackError
 */
export async function startStack(options: StackOptions): Promise<Stack> {
  const dir = path.resolve(options.dir);
  mkdirSync(dir, { recursive: true });
  const onEvent = options.onEvent ?? (() => {});
  const processes = await takeFolder(dir, (message) =>
    onEvent({ name: 'pids.json', kind: 'noted', message }),
  );
  const logFolder = path.join(dir, 'logs');
  const pickPorts = options.pickPorts ?? ephemeralPorts;
  const ports: Ports = options.ports === 'default' ? DEFAULT_PORTS : await pickPorts();
  const context: PartContext = { dir, logFolder, processes, onEvent };
  const running = new Map<PartName | FlywheelCommand, Supervised>();
  const starting = new Set<Promise<unknown>>();
  const stopping = new AbortController();
  const stop = async (): Promise<void> => {
    stopping.abort();
    // One of them may have failed, and the others be on their way.
    await Promise.allSettled(starting);
    for (const name of STOP_ORDER) await running.get(name)?.stop();
    processes.release();
  };
  // Not before the folder is taken: what a killed start has left may hold a port until it is ended.
  await assertPortsFree(options, ports).catch((error: unknown) => {
    processes.release();
    throw error;
  });
  const starts = localParts(options).map(async (part) => {
    const startedAt = performance.now();
    const start = (): Promise<Supervised> => startPart(part, context, ports, options);
    const repick = async (): Promise<void> => {
      const others = await pickPorts();
      for (const name of portsOf[part]) ports[name] = others[name];
    };
    running.set(part, options.ports === 'default' ? await start() : await startOnFreePort(start, repick));
    options.onReady?.(part, performance.now() - startedAt);
  });
  const failed = (await Promise.allSettled(starts)).find((result) => result.status === 'rejected');
  if (failed !== undefined) {
    await stop();
    throw failed.reason;
  }
  const down = (): Supervised[] => [...running.values()].filter((part) => part.staysDown());
  return {
    ...addressesOf(running, ports, options),
    ports,
    logFolder,
    pidOf: (name) => running.get(name)?.pid(),
    startFlywheel: async (command, environment) => {
      const started = startFlywheel(context, command, environment, stopping.signal).then((process) => {
        running.set(command, process);
      });
      starting.add(started);
      await started.finally(() => starting.delete(started));
    },
    stopFlywheel: async (command) => {
      await running.get(command)?.stop();
      running.delete(command);
    },
    staysDown: () => down().map(({ name }) => name),
    startAgain: async () => {
      await Promise.all(down().map((part) => part.startAgain()));
    },
    stop,
  };
}

/** What each part listens on. */
const portsOf: Record<PartName, readonly PortName[]> = {
  kafka: ['kafka', 'kafkaController'],
  redis: ['redis'],
  clickhouse: ['clickhouse'],
  prometheus: ['prometheus'],
};

/** What each of Flywheel's own listens on, beside the parts. */
const ownPorts: Record<FlywheelCommand, { what: string; port: PortName }> = {
  stream: { what: 'the metrics of stream', port: 'streamMetrics' },
  serve: { what: 'serve', port: 'serve' },
  jobs: { what: 'the metrics of jobs', port: 'jobsMetrics' },
};

/** @throws StackError PORT_TAKEN */
async function assertPortsFree({ beside = [] }: StackOptions, ports: Ports): Promise<void> {
  for (const command of beside) {
    const { what, port } = ownPorts[command];
    await assertPortFree(what, ports[port]);
  }
}

/** Between picking a port and listening on it, another program can take it: then others are picked. */
async function startOnFreePort(
  start: () => Promise<Supervised>,
  repick: () => Promise<void>,
): Promise<Supervised> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await start();
    } catch (error) {
      if (attempt === PORT_ATTEMPTS_MAX || !isPortTaken(error)) throw error;
      await repick();
    }
  }
}

function isPortTaken(error: unknown): boolean {
  if (!(error instanceof StackError)) return false;
  return (
    error.code === 'PORT_TAKEN' ||
    (error.code === 'CHILD_CRASHED' && /address already in use|EADDRINUSE/i.test(error.message))
  );
}

function localParts({ parts = ALL_PARTS, external }: StackOptions): PartName[] {
  const elsewhere: Record<PartName, string | undefined> = {
    kafka: external?.kafkaBrokers,
    redis: external?.redisUrl,
    clickhouse: external?.clickhouseUrl,
    prometheus: undefined,
  };
  return parts.filter((part) => elsewhere[part] === undefined);
}

function startPart(
  part: PartName,
  context: PartContext,
  ports: Ports,
  options: StackOptions,
): Promise<Supervised> {
  switch (part) {
    case 'kafka':
      return startKafka(context, {
        port: ports.kafka,
        controllerPort: ports.kafkaController,
        jarsFolder: path.resolve(options.kafkaJarsFolder ?? path.join(context.dir, 'kafka')),
      });
    case 'redis':
      return startRedis(context, { port: ports.redis });
    case 'clickhouse':
      return startClickHouse(context, { port: ports.clickhouse });
    case 'prometheus':
      return startPrometheus(context, {
        port: ports.prometheus,
        streamTarget: `127.0.0.1:${ports.streamMetrics}`,
        serveTarget: `127.0.0.1:${ports.serve}`,
        jobsTarget: `127.0.0.1:${ports.jobsMetrics}`,
        rules: options.prometheusRules,
      });
  }
}

function addressesOf(
  running: ReadonlyMap<string, Supervised>,
  ports: Ports,
  { external }: StackOptions,
): Pick<Stack, 'kafkaBrokers' | 'redisUrl' | 'clickhouseUrl' | 'prometheusUrl'> {
  const local = (part: PartName, address: string): string | undefined =>
    running.has(part) ? address : undefined;
  return {
    kafkaBrokers: external?.kafkaBrokers ?? local('kafka', `127.0.0.1:${ports.kafka}`),
    redisUrl: external?.redisUrl ?? local('redis', `redis://127.0.0.1:${ports.redis}`),
    clickhouseUrl: external?.clickhouseUrl ?? local('clickhouse', `http://127.0.0.1:${ports.clickhouse}`),
    prometheusUrl: local('prometheus', `http://127.0.0.1:${ports.prometheus}`),
  };
}
