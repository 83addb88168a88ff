// The registries of `stream`, `serve` and `jobs` as their processes fill them, without the processes.
import { Registry } from 'prom-client';
import { createBudgetMetrics } from '../../../jobs/budget-metrics.ts';
import { createJobsMetrics } from '../../../jobs/metrics.ts';
import { createSourceMetrics } from '../../../jobs/source-metrics.ts';
import { namespaceOf } from '../../../platform/namespace.ts';
import { keysFileMetrics } from '../../../serve/keys-file.ts';
import { createFoldMetrics } from '../../../stream/fold-metrics.ts';
import { createStreamMetrics } from '../../../stream/metrics.ts';
import { registerPartitionMetrics } from '../../../stream/partition-metrics.ts';
import { appOf, world } from '../../serve/without-parts.ts';

/** One metric and its labels, as its registry knows them: with or without samples. */
export interface Family {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly labels: readonly string[];
}

function streamRegistry(): Registry {
  const registry = new Registry();
  createStreamMetrics(registry, ['events', 'spend', 'rejected']);
  const counters = createFoldMetrics(registry).of('events');
  counters.verdict('applied');
  counters.looked(2, 1);
  counters.stateWritten('u:1', 300);
  counters.counted({
    ...{ kind: 'count', series: 'funnel:sourcing', revision: 1 },
    ...{ timeMs: 0, cell: '||', column: 0, amount: 1 },
  });
  counters.committed();
  registerPartitionMetrics(registry, ['events', 'spend', 'rejected'], () => [
    {
      ...{ topic: 'events', partition: 3, lag: 1, watermarkMs: 1, waitingMs: 1 },
      ...{ paused: false, full: false, undelivered: 0, undeliveredMs: 0, states: 1, windows: 1, triggers: 1 },
    },
  ]);
  return registry;
}

function jobsRegistry(): Registry {
  const registry = new Registry();
  createJobsMetrics(registry);
  createSourceMetrics(registry, () => 0);
  createBudgetMetrics(registry, {
    redis: {} as never,
    namespace: namespaceOf('default'),
    generation: 1,
    accounts: () => [],
  });
  return registry;
}

async function serveRegistry(): Promise<Registry> {
  const made = world();
  await (await appOf(made)).close();
  keysFileMetrics(made.dependencies.metrics.registry);
  return made.dependencies.metrics.registry;
}

/** Names of Flywheel's own metrics with labels; those of Node and the process are their library's. */
async function ownFamilies(registry: Registry): Promise<Family[]> {
  const metrics = await registry.getMetricsAsJSON();
  return metrics
    .filter(({ name }) => name.startsWith('flywheel_'))
    .map(({ name, help, type }) => {
      const { labelNames = [] } = registry.getSingleMetric(name) as unknown as { labelNames?: string[] };
      return { name, help, type: String(type), labels: labelNames };
    });
}

/** By the process that has them. */
export async function metricsByProcess(): Promise<Readonly<Record<'stream' | 'serve' | 'jobs', Family[]>>> {
  return {
    stream: await ownFamilies(streamRegistry()),
    serve: await ownFamilies(await serveRegistry()),
    jobs: await ownFamilies(jobsRegistry()),
  };
}

export async function ownMetrics(): Promise<Family[]> {
  return Object.values(await metricsByProcess()).flat();
}

/** The text that Prometheus would read of Flywheel's own metrics, all processes in one. */
export async function metricsText(): Promise<string> {
  const registries = [streamRegistry(), await serveRegistry(), jobsRegistry()];
  const parts = await Promise.all(
    registries.map(async (registry) => {
      const names = (await ownFamilies(registry)).map(({ name }) => name);
      return Promise.all(names.map((name) => registry.getSingleMetricAsString(name)));
    }),
  );
  return `${parts.flat().join('\n\n')}\n`;
}
