// The serve benchmark: each route beside a bare Fastify POST of the same body, driven by k6 in alternating rounds of one run,
// and then each alone at half of its rate. Ratios are what counts; the machine, which k6 shares, decides the rest.
import { type ChildProcess, spawn } from 'node:child_process';
import { cp, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { memoryFlags } from '../../ops/local/flywheel-process.ts';
import { type Stack, startStack } from '../../ops/local/stack.ts';
import { type ApiKeyPair, ensureApiKeys } from '../../platform/api-keys.ts';
import { readConfig } from '../../platform/config.ts';
import { migrate } from '../../platform/migrate.ts';
import { cpuSecondsOf, endWithUs, median, type Origin, originOf } from '../measured.ts';
import { BUSY_SHARE_MAX, untilQuiet } from '../quiet.ts';
import { ensureK6, type K6Run, runK6 } from './k6.ts';

export interface ServeBenchOptions {
  readonly rounds: number;
  /** How long each run is driven. */
  readonly seconds: number;
  /** Only this route, if it is given. */
  readonly route: string | undefined;
  /** Folder for the stack's data and k6. */
  readonly dir: string;
  /** Where k6 is kept between runs. */
  readonly toolsDir: string;
  print(line: string): void;
}

/** One server under load. */
export interface Driven {
  readonly requestsPerSecond: number;
  readonly cpuMicrosPerRequest: number;
  readonly p99Ms: number;
}

/** Driven at a rate, whatever the answers take. */
export interface Paced extends Driven {
  readonly withinThresholds: boolean;
  /** Requests that were due and could not be begun, because too many were under way. */
  readonly dropped: number;
}

export interface RouteResult {
  readonly route: string;
  readonly callers: number;
  readonly bare: Driven;
  readonly full: Driven;
  /** full ÷ bare, requests per second. */
  readonly ratio: number;
  readonly goal: number;
  /** Driven at half of the rate above, and the bare server at half of its own: what of it the machine does. */
  readonly half: Paced;
  readonly bareHalf: Paced;
}

export interface ServeBenchResult extends Origin {
  readonly routes: readonly RouteResult[];
  readonly seconds: number;
  readonly rounds: number;
}

const STREAM_SETTLES_MS = 3_000;
/** Far more than can be bid away: a bid of nothing costs less than one that sets money aside. */
const BUDGET_MICROS = 1_000_000_000_000_000;
const isTypeScript = import.meta.url.endsWith('.ts');
const here = path.dirname(new URL(import.meta.url).pathname);

interface Route {
  readonly name: string;
  readonly script: string;
  readonly path: string;
  readonly goal: number;
  /** Requests under way at a time: bid managers have few connections, sites have many visitors. */
  readonly callers: number;
  /** How long ours is driven before anything is measured, seconds: until what the route needs has compiled its code. */
  readonly warmSeconds: number;
  /** Whether `stream` is there: it takes what collect wrote, and two of the parts that it writes to, out of the same cores. */
  readonly besideStream: boolean;
  authorization(keys: ApiKeyPair): string;
}

const bearer = ({ secret }: ApiKeyPair): string => `Bearer ${secret}`;
const basic = ({ write }: ApiKeyPair): string => `Basic ${Buffer.from(`${write}:`).toString('base64')}`;
const collect = {
  script: 'collect.js',
  path: '/v1/track',
  goal: 0.5,
  callers: 256,
  // Kafka compiles for longer than Node: at first it took a third of a core for it.
  warmSeconds: 60,
  authorization: basic,
};
/** Those without `stream` last: it is stopped for them. */
const routes: readonly Route[] = [
  {
    name: 'assignment',
    script: 'assignment.js',
    besideStream: true,
    path: '/ofrep/v1/evaluate/flags/inquiry-form',
    goal: 0.7,
    callers: 64,
    warmSeconds: 10,
    authorization: bearer,
  },
  {
    name: 'bid',
    script: 'bid.js',
    besideStream: true,
    path: '/v1/bids',
    goal: 0.6,
    callers: 64,
    warmSeconds: 10,
    authorization: bearer,
  },
  { ...collect, name: 'collect beside stream', besideStream: true },
  { ...collect, name: 'collect', besideStream: false },
];

export const routeNames: readonly string[] = routes.map(({ name }) => name);

interface Server {
  readonly url: string;
  pid(): number;
}

interface Bench {
  readonly k6: string;
  readonly folder: string;
  readonly seconds: number;
  readonly keys: ApiKeyPair;
  readonly bare: Server;
  readonly full: Server;
}

export async function benchServe(options: ServeBenchOptions): Promise<ServeBenchResult> {
  const k6 = await ensureK6(options.toolsDir);
  const stack = await startStack({
    dir: options.dir,
    ports: 'ephemeral',
    parts: ['kafka', 'redis', 'clickhouse'],
  });
  const bare = startBare();
  try {
    const keys = await startEngine(stack, options.dir);
    const bench: Bench = {
      k6,
      folder: path.join(options.dir, 'k6'),
      seconds: options.seconds,
      keys,
      bare: { url: `${await urlOf(bare)}/bare`, pid: () => bare.pid! },
      full: { url: `http://127.0.0.1:${stack.ports.serve}`, pid: () => stack.pidOf('serve')! },
    };
    const results: RouteResult[] = [];
    const wanted = routes.filter(({ name }) => options.route === undefined || name === options.route);
    for (const route of wanted) {
      if (!route.besideStream) await stack.stopFlywheel('stream');
      results.push(await measure(bench, route, options));
    }
    const { rounds, seconds } = options;
    return { routes: results, seconds, rounds, ...(await originOf()) };
  } finally {
    bare.kill('SIGTERM');
    await stack.stop();
  }
}

function startBare(): ChildProcess {
  const loader = isTypeScript ? ['--import', 'tsx'] : [];
  const script = path.join(here, `bare.${isTypeScript ? 'ts' : 'js'}`);
  const args = [...memoryFlags('serve'), ...loader, script];
  return endWithUs(spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] }));
}

async function urlOf(bare: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    bare.once('error', reject);
    bare.once('exit', (code) => reject(new Error(`the bare server ended with ${code}`)));
    bare.stdout!.once('data', (text: Buffer) => resolve(text.toString().trim()));
  });
}

/** Migrates, and starts `stream` and `serve` as `flywheel up` does. */
async function startEngine(stack: Stack, dir: string): Promise<ApiKeyPair> {
  const environment = {
    FLYWHEEL_NAMESPACE: 'bench-serve',
    FLYWHEEL_DIR: dir,
    KAFKA_BROKERS: stack.kafkaBrokers!,
    REDIS_URL: stack.redisUrl!,
    CLICKHOUSE_URL: stack.clickhouseUrl!,
    SERVE_PORT: String(stack.ports.serve),
    STREAM_METRICS_PORT: '0',
    SERVE_KEYS_FILE: path.join(dir, 'keys.hashed.json'),
  };
  const config = readConfig(environment);
  await migrate({ config, definitionsDir: await writeDefinitions(dir) });
  const plainFile = path.join(dir, 'keys.json');
  const keys = await ensureApiKeys({ plainFile, hashedFile: config.serveKeysFile });
  await Promise.all([stack.startFlywheel('stream', environment), stack.startFlywheel('serve', environment)]);
  // The definitions have to pass the stream before an account can lease.
  await new Promise((resolve) => setTimeout(resolve, STREAM_SETTLES_MS));
  return keys;
}

async function writeDefinitions(dir: string): Promise<string> {
  const root = path.join(dir, 'definitions');
  const shipped = new URL('../../definitions/', import.meta.url).pathname;
  for (const type of ['behaviours', 'funnel', 'lifecycle', 'opportunity', 'settings', 'score', 'experiment'])
    await cp(path.join(shipped, type), path.join(root, type), { recursive: true });
  const account = {
    name: 'The account of the benchmark',
    currency: 'EUR',
    dailyBudgetMicros: BUDGET_MICROS,
    totalBudgetMicros: null,
    utcOffsetMinutes: 0,
  };
  const campaign = {
    name: 'The campaign of the benchmark',
    accountId: 'bench',
    channel: 'search',
    valueMicros: 18_000_000,
    maxBidMicros: 3_000_000,
    scoreId: 'opportunity',
    countries: ['DE'],
  };
  for (const [type, document] of Object.entries({ account, campaign })) {
    await mkdir(path.join(root, type), { recursive: true });
    await writeFile(path.join(root, type, 'bench.json'), JSON.stringify(document));
  }
  return root;
}

async function measure(
  bench: Bench,
  route: Route,
  { rounds, print }: ServeBenchOptions,
): Promise<RouteResult> {
  const full: Server = { url: bench.full.url + route.path, pid: bench.full.pid };
  const sides: { bare: Driven; full: Driven }[] = [];
  /** Both sides begin on a quiet machine: what collect took is work for `stream` after it, beside which the bare server would be slower. */
  const driveInQuiet = async (server: Server, rate: number): Promise<Paced> => {
    const { waitedMs, busyShare } = await untilQuiet();
    if (busyShare >= BUSY_SHARE_MAX)
      print(
        `${route.name}: begun after ${waitedMs / 1_000} s, the cores ${Math.round(100 * busyShare)} % at work`,
      );
    return drive(bench, route, server, rate);
  };
  await drive(bench, route, bench.bare, 0);
  await drive({ ...bench, seconds: route.warmSeconds }, route, full, 0);
  for (let round = 1; round <= rounds; round += 1) {
    const bare = await driveInQuiet(bench.bare, 0);
    const driven = await driveInQuiet(full, 0);
    sides.push({ bare, full: driven });
    print(`${route.name}, round ${round}: bare ${show(bare)}, full ${show(driven)}`);
  }
  const medians = {
    bare: medianOf(sides.map(({ bare }) => bare)),
    full: medianOf(sides.map((side) => side.full)),
  };
  const halfOf = ({ requestsPerSecond }: Driven): number => Math.floor(requestsPerSecond / 2);
  const bareHalf = await driveInQuiet(bench.bare, halfOf(medians.bare));
  const half = await driveInQuiet(full, halfOf(medians.full));
  const ratio = medians.full.requestsPerSecond / medians.bare.requestsPerSecond;
  print(
    `${route.name}: ratio ${ratio.toFixed(2)} (goal ${route.goal}), at half rate ${show(half)}, bare ${show(bareHalf)}`,
  );
  return { route: route.name, callers: route.callers, ...medians, ratio, goal: route.goal, half, bareHalf };
}

/** @param rate requests a second; 0: as many as get answers */
async function drive(
  { k6, folder, seconds, keys }: Bench,
  route: Route,
  server: Server,
  rate: number,
): Promise<Paced> {
  const before = await cpuSecondsOf(server.pid());
  const run = await runK6(
    k6,
    path.join(here, route.script),
    {
      TARGET: server.url,
      RATE: rate,
      VUS: route.callers,
      SECONDS: seconds,
      AUTHORIZATION: route.authorization(keys),
    },
    { folder, timed: rate > 0 },
  );
  const cpuSeconds = (await cpuSecondsOf(server.pid())) - before;
  assertRight(run, route, server);
  return {
    requestsPerSecond: run.requestsPerSecond,
    cpuMicrosPerRequest: (cpuSeconds / run.requests) * 1e6,
    p99Ms: run.latencyMs['p(99)'],
    withinThresholds: run.passed,
    dropped: run.dropped,
  };
}

/** An answer that says nothing is no request served. */
function assertRight({ checksPassed }: K6Run, { name }: Route, { url }: Server): void {
  if (checksPassed === 1) return;
  const share = (100 * (1 - checksPassed)).toFixed(2);
  throw new Error(`${name}: ${share} % of the checks on the answers of ${url} failed`);
}

function medianOf(all: readonly Driven[]): Driven {
  return {
    requestsPerSecond: median(all.map((each) => each.requestsPerSecond)),
    cpuMicrosPerRequest: median(all.map((each) => each.cpuMicrosPerRequest)),
    p99Ms: median(all.map((each) => each.p99Ms)),
  };
}

function show({ requestsPerSecond, cpuMicrosPerRequest, p99Ms }: Driven): string {
  return `${Math.round(requestsPerSecond)}/s (${Math.round(cpuMicrosPerRequest)} CPU µs, p99 ${p99Ms.toFixed(1)} ms)`;
}
