// The only file that reads settings from process.env (set-up, in bin/, looks whether parts run elsewhere). They are checked once,
// at start, with all faults in one message; docs/operating.md has each in its table.
import path from 'node:path';
import ipaddr from 'ipaddr.js';
import { z } from 'zod';
import { schemaFault } from './schema-fault.ts';

const port = z.coerce.number().int().min(0).max(65_535);

/** The items of a comma separated list. */
function listOf(text: string): string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

function areAddresses(text: string): boolean {
  return listOf(text).every((item) => ipaddr.isValid(item) || ipaddr.isValidCIDR(item));
}

const schema = z.object({
  FLYWHEEL_NAMESPACE: z.string().default('default'),
  FLYWHEEL_DIR: z.string().default('.flywheel'),
  KAFKA_BROKERS: z.string().default('127.0.0.1:19092'),
  REDIS_URL: z.string().default('redis://127.0.0.1:16379'),
  CLICKHOUSE_URL: z
    .url({ protocol: /^https?$/, error: 'must be like https://user:password@host:8443' })
    .default('http://127.0.0.1:18123'),
  SERVE_HOST: z.string().default('127.0.0.1'),
  SERVE_PORT: port.default(18_080),
  /** Comma separated addresses and CIDR ranges of the proxies in front, whose X-Forwarded-* say who really calls. */
  SERVE_TRUSTED_PROXIES: z.string().default('').refine(areAddresses, 'must be addresses or CIDR ranges'),
  /** Refusals (401) that one address may have a second, ten times as many at once; beyond it is told 429. */
  SERVE_REFUSED_PER_SECOND: z.coerce.number().int().min(1).max(100_000).default(10),
  STREAM_METRICS_PORT: port.default(18_081),
  /** Names this process in its consumer group, so that a restarted one rejoins at once. */
  STREAM_SLOT: z.string().default('0'),
  STREAM_BATCH_MAX: z.coerce.number().int().min(1).max(12_000).default(12_000),
  /** A process that dies without leaving is missed after so long; a restarted one of the same slot rejoins at once. */
  STREAM_SESSION_TIMEOUT_MS: z.coerce.number().int().min(1_000).default(45_000),
  /** How partitions move when a process joins or leaves; the same for all processes of a group. */
  STREAM_ASSIGNMENT: z.enum(['cooperative', 'eager']).default('cooperative'),
  /** Replicas that must have a commit before anything of it leaves the stream; 0 where Redis has none. */
  STREAM_WAIT_REPLICAS: z.coerce.number().int().min(0).max(10).default(0),
  /** How often the latest counts of open hours and days go to ClickHouse, if they changed. Oftener: fresher reports, more rows. */
  STREAM_FLUSH_MS: z.coerce.number().int().min(100).max(60_000).default(5_000),
  STREAM_CACHE: z.enum(['on', 'off']).default('on'),
  STREAM_CLOCK: z.enum(['on', 'off']).default('on'),
  /** JSON file of hashed API keys; written by `flywheel up` and `flywheel keys`. Absent: `keys.hashed.json` in FLYWHEEL_DIR. */
  SERVE_KEYS_FILE: z.string().optional(),
  /** The page snippet that `serve` gives out, where it is another than that of the build. */
  SERVE_SNIPPET_FILE: z.string().optional(),
  /** Where the commands that talk to a `serve` find it, and with which key; else what `flywheel up` left on this machine. */
  FLYWHEEL_URL: z.url().optional(),
  SECRET_KEY: z.string().optional(),
  JOBS_METRICS_PORT: port.default(18_082),
  /** JSON file of the receivers' signing secrets by name; written by `flywheel deliveries secret`. Absent: `webhook-secrets.json` in FLYWHEEL_DIR. */
  JOBS_SECRETS_FILE: z.string().optional(),
  /** Comma separated hosts (`host` or `host:port`) that may be called though their address is not a public one. */
  JOBS_ALLOW_HOSTS: z.string().default(''),
  /** An intent is sent within so long or not at all; who takes over waits for it. */
  JOBS_INTENT_LIFE_MS: z.coerce.number().int().min(100).max(60_000).default(10_000),
  /** Tests only: the step of the commit protocol at which the process kills itself, `name` or `name:n` for the n-th time. */
  FLYWHEEL_FAILPOINT: z.string().default(''),
  /** Tests only: one named bug, which `flywheel verify` must find. */
  FLYWHEEL_BUG: z.string().default(''),
});

export interface Config {
  readonly namespace: string;
  readonly dir: string;
  readonly kafkaBrokers: string;
  readonly redisUrl: string;
  readonly clickhouseUrl: string;
  readonly serveHost: string;
  readonly servePort: number;
  readonly serveTrustedProxies: readonly string[];
  readonly serveRefusedPerSecond: number;
  readonly streamMetricsPort: number;
  readonly streamSlot: string;
  readonly streamBatchMax: number;
  readonly streamSessionTimeoutMs: number;
  readonly streamAssignment: 'cooperative' | 'eager';
  readonly streamWaitReplicas: number;
  readonly streamCache: boolean;
  readonly streamFlushMs: number;
  readonly streamClock: boolean;
  readonly serveKeysFile: string;
  readonly serveSnippetFile: string | undefined;
  readonly serveUrl: string | undefined;
  readonly secretKey: string | undefined;
  readonly jobsMetricsPort: number;
  readonly jobsSecretsFile: string;
  readonly jobsAllowHosts: readonly string[];
  readonly jobsIntentLifeMs: number;
  readonly failpoint: string;
  readonly bug: string;
}

/**
 * A variable that is set to nothing counts as not set: an empty SERVE_HOST would listen on every interface.
 * @throws Error naming every variable that is wrong.
 */
export function readConfig(env: NodeJS.ProcessEnv = process.env): Config {
  const set = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
  const parsed = schema.safeParse(set, { error: schemaFault });
  if (!parsed.success) {
    const faults = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
    throw new Error(`the environment is wrong: ${faults.join('; ')}`);
  }
  const value = parsed.data;
  return {
    namespace: value.FLYWHEEL_NAMESPACE,
    dir: value.FLYWHEEL_DIR,
    kafkaBrokers: value.KAFKA_BROKERS,
    redisUrl: value.REDIS_URL,
    clickhouseUrl: value.CLICKHOUSE_URL,
    serveHost: value.SERVE_HOST,
    servePort: value.SERVE_PORT,
    serveTrustedProxies: listOf(value.SERVE_TRUSTED_PROXIES),
    serveRefusedPerSecond: value.SERVE_REFUSED_PER_SECOND,
    streamMetricsPort: value.STREAM_METRICS_PORT,
    streamSlot: value.STREAM_SLOT,
    streamBatchMax: value.STREAM_BATCH_MAX,
    streamSessionTimeoutMs: value.STREAM_SESSION_TIMEOUT_MS,
    streamAssignment: value.STREAM_ASSIGNMENT,
    streamWaitReplicas: value.STREAM_WAIT_REPLICAS,
    streamCache: value.STREAM_CACHE === 'on',
    streamFlushMs: value.STREAM_FLUSH_MS,
    streamClock: value.STREAM_CLOCK === 'on',
    serveKeysFile: value.SERVE_KEYS_FILE ?? path.join(value.FLYWHEEL_DIR, 'keys.hashed.json'),
    serveSnippetFile: value.SERVE_SNIPPET_FILE,
    serveUrl: value.FLYWHEEL_URL,
    secretKey: value.SECRET_KEY,
    jobsMetricsPort: value.JOBS_METRICS_PORT,
    jobsSecretsFile: value.JOBS_SECRETS_FILE ?? path.join(value.FLYWHEEL_DIR, 'webhook-secrets.json'),
    jobsAllowHosts: listOf(value.JOBS_ALLOW_HOSTS),
    jobsIntentLifeMs: value.JOBS_INTENT_LIFE_MS,
    failpoint: value.FLYWHEEL_FAILPOINT,
    bug: value.FLYWHEEL_BUG,
  };
}

/** The parts that somebody else runs: `flywheel up` starts no local one for them. */
export interface ExternalParts {
  readonly kafkaBrokers: string | undefined;
  readonly redisUrl: string | undefined;
  readonly clickhouseUrl: string | undefined;
}

/** One that is set to nothing runs here, as for `readConfig`. */
export function readExternalParts(env: NodeJS.ProcessEnv = process.env): ExternalParts {
  return {
    kafkaBrokers: env.KAFKA_BROKERS || undefined,
    redisUrl: env.REDIS_URL || undefined,
    clickhouseUrl: env.CLICKHOUSE_URL || undefined,
  };
}
