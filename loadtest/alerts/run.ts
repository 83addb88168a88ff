// `npm run alerts`: a whole stack with its own Prometheus, one fault after the other, and how long it takes until the alert
// for it fires. The rules are the project's own with the waiting (`for:`) cut to nothing. Writes loadtest/results/alerts.json;
// `npm run alerts -- TEXT` tries the faults whose name has the text, and writes nothing.
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { startStack } from '../../ops/local/stack.ts';
import { ensureApiKeys } from '../../platform/api-keys.ts';
import { openClickHouse } from '../../platform/clickhouse.ts';
import { readConfig } from '../../platform/config.ts';
import { createProducer } from '../../platform/kafka.ts';
import { migrate } from '../../platform/migrate.ts';
import { namespaceOf } from '../../platform/namespace.ts';
import { openRedis } from '../../platform/redis.ts';
import { faults } from './faults.ts';
import { alertOf, type Fault, hoarding, isWanted, type Victim, type WantedAlert, wait } from './victim.ts';

const PROJECT = fileURLToPath(new URL('../..', import.meta.url));
const FIRES_WITHIN_MS = 120_000;
const TICK_MS = 1_000;
const QUIET_WITHIN_MS = 180_000;
/** Some scrapes of health before the first fault: an alert that fires without one would be found here. */
const QUIET_MS = 20_000;

interface Fired {
  readonly alert: string;
  /** From the fault to the first look that showed it; null: it did not fire in time. */
  readonly seconds: number | null;
  readonly labels?: Readonly<Record<string, string>>;
}

interface ActiveAlert {
  readonly state: string;
  readonly labels: Readonly<Record<string, string>>;
}

const print = (line: string): void => void process.stdout.write(`${line}\n`);

/** The project's rules as they are but for their patience: how long a thing must be so, or how far back is looked. */
async function impatientRules(folder: string): Promise<string> {
  const from = path.join(PROJECT, 'ops/prometheus');
  await mkdir(folder, { recursive: true });
  for (const name of (await readdir(from)).filter((each) => each.endsWith('.rules.yml'))) {
    const text = await readFile(path.join(from, name), 'utf8');
    const hasty = text
      .replaceAll(/^( +)for: \w+$/gm, '$1for: 0s')
      .replaceAll('oldest_open_seconds) > 900', 'oldest_open_seconds) > 20');
    await writeFile(
      path.join(folder, name),
      hasty
        .replaceAll('[30m]', '[1m]')
        // Else what one fault set off still fires when the next one comes.
        .replaceAll('"owner|take-over|source"}[5m]', '"owner|take-over|source"}[1m]')
        .replaceAll('offset 10m', 'offset 10s')
        // Of the objectives: else a share of all that was asked since the beginning.
        .replaceAll(/(objective_\w+:rate5m|partitions:stale)\[\w+\]/g, '$1[1m]')
        .replaceAll('partitions:known offset 5m', 'partitions:known offset 1m'),
    );
  }
  return path.join(folder, '*.rules.yml');
}

async function firing(prometheus: string): Promise<ActiveAlert[]> {
  const answer = await fetch(`${prometheus}/api/v1/alerts`);
  const { data } = (await answer.json()) as { data: { alerts: ActiveAlert[] } };
  return data.alerts.filter(({ state }) => state === 'firing');
}

/** The fault before may have set off what this one must: it is waited until that is over, or taken for what it is. */
async function untilQuiet(alerts: readonly WantedAlert[], prometheus: string): Promise<void> {
  const untilMs = performance.now() + QUIET_WITHIN_MS;
  const isOn = async (): Promise<boolean> =>
    (await firing(prometheus)).some(({ labels }) => alerts.some((alert) => isWanted(alert, labels)));
  while ((await isOn()) && performance.now() < untilMs) await wait(TICK_MS);
}

async function provoke(fault: Fault, victim: Victim, prometheus: string): Promise<Fired[]> {
  print(`\n${fault.name}`);
  await untilQuiet(fault.alerts, prometheus);
  const before = new Set((await firing(prometheus)).map(({ labels }) => JSON.stringify(labels)));
  const fired = new Map<WantedAlert, Fired>();
  const startedMs = performance.now();
  for (let tick = 0; fired.size < fault.alerts.length; tick += 1) {
    const elapsedMs = performance.now() - startedMs;
    if (elapsedMs > FIRES_WITHIN_MS) break;
    await fault.cause(victim, tick).catch((error: Error) => print(`  (${error.message})`));
    // What fired before this fault tells nothing of it.
    const now = (await firing(prometheus)).filter(({ labels }) => !before.has(JSON.stringify(labels)));
    for (const wanted of fault.alerts) {
      const found = now.find(({ labels }) => isWanted(wanted, labels));
      if (found === undefined || fired.has(wanted)) continue;
      const seconds = Math.round((performance.now() - startedMs) / 100) / 10;
      const alert = alertOf(wanted);
      fired.set(wanted, { alert, seconds, labels: found.labels });
      print(`  ${alert} fires after ${seconds} s ${JSON.stringify(found.labels)}`);
    }
    await wait(TICK_MS);
  }
  await fault.mend(victim);
  const missing = fault.alerts
    .filter((wanted) => !fired.has(wanted))
    .map((wanted): Fired => {
      const labels = typeof wanted === 'string' ? {} : { labels: wanted.labels };
      return { alert: alertOf(wanted), seconds: null, ...labels };
    });
  for (const { alert, labels = {} } of missing)
    print(`  ${alert} ${JSON.stringify(labels)} did NOT fire within ${FIRES_WITHIN_MS / 1_000} s`);
  return [...fired.values(), ...missing];
}

async function main(): Promise<number> {
  const [wanted = ''] = process.argv.slice(2);
  const chosen = faults.filter(({ name }) => name.includes(wanted));
  if (chosen.length === 0) {
    const names = faults.map(({ name }) => `\n  ${name}`).join('');
    print(`there is no fault with ${JSON.stringify(wanted)} in its name; there are${names}`);
    return 1;
  }
  const dir = await mkdtemp(path.join(tmpdir(), 'flywheel-alerts-'));
  const stack = await startStack({
    dir,
    ports: 'ephemeral',
    kafkaJarsFolder: path.join(readConfig().dir, 'kafka'),
    prometheusRules: await impatientRules(path.join(dir, 'rules')),
  });
  try {
    const environment = {
      ...{ FLYWHEEL_DIR: dir, KAFKA_BROKERS: stack.kafkaBrokers!, REDIS_URL: stack.redisUrl! },
      CLICKHOUSE_URL: stack.clickhouseUrl!,
      SERVE_PORT: String(stack.ports.serve),
      STREAM_METRICS_PORT: String(stack.ports.streamMetrics),
      JOBS_METRICS_PORT: String(stack.ports.jobsMetrics),
      SERVE_KEYS_FILE: path.join(dir, 'keys.hashed.json'),
      JOBS_SECRETS_FILE: path.join(dir, 'webhook-secrets.json'),
      JOBS_ALLOW_HOSTS: '127.0.0.1',
    };
    const config = readConfig(environment);
    await migrate({ config });
    const keys = await ensureApiKeys({
      plainFile: path.join(dir, 'keys.json'),
      hashedFile: config.serveKeysFile,
    });
    await Promise.all([
      stack.startFlywheel('stream', environment),
      stack.startFlywheel('serve', environment),
      stack.startFlywheel('jobs', { ...environment, ...(await hoarding(dir)) }),
    ]);
    const quiet = { onWarning: () => {} };
    const victim: Victim = {
      ...{ stack, config, environment, keys, namespace: namespaceOf(config.namespace) },
      redis: await openRedis({ url: config.redisUrl, ...quiet }),
      clickhouse: openClickHouse({
        ...{ url: config.clickhouseUrl, database: namespaceOf(config.namespace).database },
      }),
      producer: await createProducer({
        ...{ brokers: config.kafkaBrokers, clientId: 'alerts', deliveryTimeoutMs: 10_000, ...quiet },
      }),
      url: `http://127.0.0.1:${stack.ports.serve}`,
    };
    await wait(QUIET_MS);
    const prometheus = stack.prometheusUrl!;
    const without = (await firing(prometheus)).map(({ labels }) => labels.alertname!);
    print(`without a fault: ${without.length === 0 ? 'nothing fires' : without.join(', ')}`);
    const results: { fault: string; alerts: Fired[] }[] = [];
    for (const fault of chosen) {
      results.push({ fault: fault.name, alerts: await provoke(fault, victim, prometheus) });
    }
    const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: PROJECT, encoding: 'utf8' });
    const machine = `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}`;
    const report = { date: new Date().toISOString(), commit: commit.trim(), machine, without, results };
    const file = path.join(PROJECT, 'loadtest/results/alerts.json');
    if (wanted === '') await writeFile(file, `${JSON.stringify(report, null, 2)}\n`);
    const all = results.flatMap(({ alerts }) => alerts);
    const count = all.filter(({ seconds }) => seconds !== null).length;
    const written = wanted === '' ? `; written to ${path.relative(PROJECT, file)}` : '';
    print(`\n${count} of ${all.length} alerts fired${written}`);
    return count === all.length && without.length === 0 ? 0 : 1;
  } finally {
    await stack.stop();
    await rm(dir, { recursive: true, force: true });
  }
}

process.exit(await main());
