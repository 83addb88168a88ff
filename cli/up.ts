// `flywheel up`: the whole of Flywheel on one machine. Starts the parts, brings the namespace up to date, starts `stream`
// and `serve`, feeds them, waits until all has arrived everywhere, shows what happened, and keeps going until Ctrl-C.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { Command } from 'commander';
import type { ChildEvent } from '../ops/local/child.ts';
import { flywheelCommandLine } from '../ops/local/flywheel-process.ts';
import { type Stack, startStack } from '../ops/local/stack.ts';
import { type ApiKeyPair, ensureApiKeys, readApiKeys } from '../platform/api-keys.ts';
import { openClickHouse } from '../platform/clickhouse.ts';
import { type Config, readConfig, readExternalParts } from '../platform/config.ts';
import { openTopicAdmin } from '../platform/kafka-topics.ts';
import { migrate } from '../platform/migrate.ts';
import { namespaceOf } from '../platform/namespace.ts';
import { lagOf } from '../platform/progress.ts';
import { FeedError } from './feed/post.ts';
import { createRoom } from './feed/room.ts';
import { runFeed } from './feed/run.ts';
import { runTrickle } from './feed/trickle.ts';
import { addresses } from './up-addresses.ts';
import { addUpOptions, dirOf, type UpOptions } from './up-options.ts';
import { isDrainedInTime, looking, pauseNotice } from './up-progress.ts';
import { createSteps, progressBar, type Steps } from './up-steps.ts';
import { describeSummary, readSummary, type Summary } from './up-summary.ts';

const STEPS = 5;
/** A key that was rotated is in its file at once. */
const TRICKLE_RETRY_MS = 5_000;
const TRICKLE_PER_SECOND = 5;
const DRAIN_MS_MAX = 15 * 60_000;

/** Everything that a later step needs of the earlier ones. */
interface Running {
  readonly stack: Stack;
  /** Settings of the processes of this start, as they are given to them. */
  readonly config: Config;
  readonly environment: Record<string, string>;
  readonly keys: ApiKeyPair;
  readonly url: string;
}

/** While one of these stays down, nothing that is fed arrives: there is nothing to wait for. */
const NEEDED_BY_WORK: readonly string[] = ['kafka', 'redis', 'clickhouse', 'stream', 'serve'];

/** Thrown where Ctrl-C or a part that the work needs and that stays down ends the work early. */
class Stopped extends Error {
  readonly exitCode: number;
  constructor(message: string, exitCode: number) {
    super(message);
    this.exitCode = exitCode;
  }
}

async function up(options: UpOptions): Promise<number> {
  const stopping = new AbortController();
  const steps = createSteps(options.stepsBefore, options.stepsBefore + STEPS);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (!stopping.signal.aborted) steps.print(`stopping (${signal}) …`);
      stopping.abort(new Stopped('stopped before it was done', 130));
    });
  }
  let stack: Stack | undefined;
  process.on('SIGUSR2', () => void startAgain(stack, steps));
  let isWorking = true;
  const onEvent = (event: ChildEvent): void => {
    steps.print(event.message);
    if (event.kind !== 'gave-up') return;
    if (isWorking && NEEDED_BY_WORK.includes(event.name))
      stopping.abort(new Stopped(`${event.name} stays down`, 1));
    else steps.print(`Everything else goes on. To start ${event.name} again: kill -USR2 ${process.pid}`);
  };
  try {
    stack = await startParts(options, steps, onEvent);
    const running = await startProcesses(options, steps, stack, stopping.signal);
    await feed(options, running, steps, stopping.signal);
    await drain(running, steps, stopping.signal);
    const summary = await summarise(running);
    stopping.signal.throwIfAborted();
    for (const line of describeSummary(summary)) steps.print(line);
    const verified = options.verify ? await verify(running, stopping.signal) : true;
    isWorking = false;
    if (options.once) steps.print(JSON.stringify(summary));
    else await stayUp(options, running, steps, stopping.signal);
    return verified && stack.staysDown().length === 0 ? 0 : 1;
  } catch (error) {
    // What is cut off by the end fails each in its own words; why it ends is what counts.
    const reason: unknown = stopping.signal.aborted ? stopping.signal.reason : error;
    if (!(reason instanceof Stopped)) throw error;
    steps.print(reason.message);
    return reason.exitCode;
  } finally {
    const down = stack?.staysDown() ?? [];
    await stack?.stop();
    if (stopping.signal.aborted)
      steps.print(['stopped', ...down.map((name) => `${name} was down`)].join('; '));
  }
}

/** All that was given up: whoever sends the signal has mended the cause. */
async function startAgain(stack: Stack | undefined, steps: Steps): Promise<void> {
  const down = stack?.staysDown() ?? [];
  steps.print(down.length === 0 ? 'nothing stays down' : `starting again: ${down.join(', ')} …`);
  await stack?.startAgain();
}

async function startParts(
  options: UpOptions,
  steps: Steps,
  onEvent: (event: ChildEvent) => void,
): Promise<Stack> {
  const dir = dirOf(options);
  const took: string[] = [];
  let stack: Stack | undefined;
  await steps.run('Kafka, Redis, ClickHouse, Prometheus', 10, async (report) => {
    stack = await startStack({
      dir,
      ports: options.ports,
      beside: ['stream', 'serve', 'jobs'],
      external: readExternalParts(),
      // The bootstrap puts the jars there; they serve every data folder.
      kafkaJarsFolder: path.join(readConfig().dir, 'kafka'),
      onEvent,
      onReady: (part, elapsedMs) => {
        took.push(`${part} ${(elapsedMs / 1000).toFixed(1)} s`);
        report(took.join(', '));
      },
    });
    return 'up';
  });
  return stack!;
}

async function startProcesses(
  options: UpOptions,
  steps: Steps,
  stack: Stack,
  signal: AbortSignal,
): Promise<Running> {
  const dir = dirOf(options);
  const environment: Record<string, string> = {
    FLYWHEEL_NAMESPACE: options.namespace ?? options.replay?.format ?? readConfig().namespace,
    FLYWHEEL_DIR: dir,
    KAFKA_BROKERS: stack.kafkaBrokers!,
    REDIS_URL: stack.redisUrl!,
    CLICKHOUSE_URL: stack.clickhouseUrl!,
    SERVE_PORT: String(stack.ports.serve),
    STREAM_METRICS_PORT: String(stack.ports.streamMetrics),
    JOBS_METRICS_PORT: String(stack.ports.jobsMetrics),
    JOBS_SECRETS_FILE: path.join(dir, 'webhook-secrets.json'),
    // Receivers on this machine are what one tries things out with.
    JOBS_ALLOW_HOSTS: '127.0.0.1,localhost',
    SERVE_KEYS_FILE: path.join(dir, 'keys.hashed.json'),
  };
  const config = readConfig(environment);
  let keys: ApiKeyPair | undefined;
  await steps.run('topics, tables, definitions, keys', 3, async (report) => {
    signal.throwIfAborted();
    await migrate({ config, print: report, warn: steps.print });
    keys = await ensureApiKeys({
      plainFile: path.join(dir, 'keys.json'),
      hashedFile: config.serveKeysFile,
    });
    return `namespace ${config.namespace} is up to date`;
  });
  await steps.run('stream, serve and jobs', 3, async () => {
    signal.throwIfAborted();
    await Promise.all([
      stack.startFlywheel('stream', environment),
      stack.startFlywheel('serve', environment),
      stack.startFlywheel('jobs', environment),
    ]);
    return 'up';
  });
  return { stack, config, environment, keys: keys!, url: `http://127.0.0.1:${stack.ports.serve}` };
}

/** The identity of the log: a feed into a log that is gone counts for nothing. */
async function logIdOf(config: Config): Promise<string> {
  const admin = openTopicAdmin(config.kafkaBrokers);
  try {
    const [events] = await admin.describe([namespaceOf(config.namespace).topics.events]);
    return events!.id;
  } finally {
    await admin.close();
  }
}

/** Feeds through the public API what was asked for; what an earlier start has fed is not fed again. */
async function feed(options: UpOptions, running: Running, steps: Steps, signal: AbortSignal): Promise<void> {
  const { config, url, keys } = running;
  const { format, file } = options.replay ?? { format: 'simulate', file: undefined };
  await steps.run(
    `feed ${file === undefined ? format : `${format}:${path.basename(file)}`}`,
    60,
    async (show) => {
      let fed = false;
      const sayPaused = pauseNotice(steps.print);
      const logId = await logIdOf(config);
      const report = await looking(config, signal, (look) =>
        runFeed({
          logId,
          config,
          url,
          secretKey: keys.secret,
          format,
          file,
          untilMs: options.until,
          buyers: options.buyers,
          signal,
          untilRoom: createRoom(async () => {
            const progress = await look();
            sayPaused(progress);
            return lagOf(progress);
          }, signal),
          onProgress: ({ sent, rejected, retries, share, elapsedMs }) => {
            fed = true;
            const total = share > 0 ? Math.round(sent / share) : undefined;
            show(`${progressBar(sent, total, elapsedMs)}, ${rejected} rejected, ${retries} retries`);
          },
        }),
      ).catch((error: unknown) => {
        signal.throwIfAborted();
        throw error;
      });
      const { events, spend } = report;
      const [behaviour, cost] = [events, spend].map(({ accepted }) => accepted.toLocaleString('en'));
      const what = `${behaviour} events and ${cost} rows of spend accepted, ${events.rejected + spend.rejected} rejected`;
      return fed ? what : `nothing to send: ${what} by an earlier start,`;
    },
  );
}

/** Waits until everything in the log has been applied and has reached Redis, ClickHouse and Kafka. */
async function drain({ config }: Running, steps: Steps, signal: AbortSignal): Promise<void> {
  await steps.run('drain', 10, (report) =>
    looking(config, signal, async (look) => {
      const sayPaused = pauseNotice(steps.print);
      if (await isDrainedInTime({ look, timeoutMs: DRAIN_MS_MAX, signal, report, sayPaused }))
        return 'all has arrived';
      throw new Stopped('not drained in time; see the log of stream', 1);
    }),
  );
}

async function summarise({ config, keys, url }: Running): Promise<Summary> {
  const { database, name } = namespaceOf(config.namespace);
  const clickhouse = openClickHouse({ url: config.clickhouseUrl, database });
  try {
    return await readSummary({ clickhouse, url, secretKey: keys.secret, namespace: name });
  } finally {
    await clickhouse.close();
  }
}

/**
 * Runs `flywheel verify` beside; true when it found no difference.
 * @throws the signal's reason, once `verify` has ended: it must not ask parts that are being stopped
 */
async function verify({ environment }: Running, signal: AbortSignal): Promise<boolean> {
  const [program, ...args] = flywheelCommandLine('verify');
  const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  const child = spawn('/usr/bin/env', [...variables, program!, ...args], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const end = (): void => void child.kill('SIGTERM');
  signal.addEventListener('abort', end);
  const code = await new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', resolve);
  }).finally(() => signal.removeEventListener('abort', end));
  signal.throwIfAborted();
  return code === 0;
}

/** Until the signal; while they cannot be sent it says so, once for each reason, and looks whether the key is another one by now. */
async function trickleOn({ url, keys, config }: Running, steps: Steps, signal: AbortSignal): Promise<void> {
  let { secret } = keys;
  let said = '';
  while (!signal.aborted) {
    try {
      await runTrickle({ url, secretKey: secret, ratePerSecond: TRICKLE_PER_SECOND, signal });
    } catch (error) {
      if (!(error instanceof FeedError)) throw error;
      // What it needs may stay down for long: that is no reason to end the rest.
      if (error.message !== said) steps.print(`no live events: ${error.message}`);
      said = error.message;
      await wait(TRICKLE_RETRY_MS, undefined, { signal }).catch(() => {});
      secret =
        (await readApiKeys(path.join(config.dir, 'keys.json')).catch(() => undefined))?.secret ?? secret;
    }
  }
}

/** Shows the addresses, keeps live events coming so that rolling numbers move, and returns when Ctrl-C is pressed. */
async function stayUp(
  options: UpOptions,
  running: Running,
  steps: Steps,
  signal: AbortSignal,
): Promise<void> {
  for (const line of addresses(running)) steps.print(line);
  if (options.replay === undefined) {
    steps.print(`${TRICKLE_PER_SECOND} live events a second go on coming, so that rolling numbers move.`);
    await trickleOn(running, steps, signal);
  } else {
    // Live events would make what is replayed late.
    if (!signal.aborted) await once(signal, 'abort');
  }
  const reason: unknown = signal.reason;
  if (reason instanceof Stopped && reason.exitCode !== 130) throw reason;
}

/** Adds the command. */
export function register(program: Command): void {
  const command = program
    .command('up')
    .description('start everything on this machine, feed it, show what happened, and go on until Ctrl-C');
  addUpOptions(command).action(async (options: UpOptions) => {
    if (options.until !== undefined && options.replay === undefined)
      command.error("error: option '--until <time>' is of --replay: the simulated marketplace ends now");
    process.exitCode = await up(options);
  });
}
