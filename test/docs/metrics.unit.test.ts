// docs/metrics.md says what the registries say. After a change of theirs: npx vitest run --project unit test/docs/metrics -u
import { expect, it } from 'vitest';
import { type Family, metricsByProcess } from '../ops/support/registries.ts';

const where = {
  stream:
    '`stream`, at `STREAM_METRICS_PORT`: from the log to Redis, ClickHouse and Kafka, and what it came to.',
  serve: '`serve`, at its own address: what is asked of it.',
  jobs: '`jobs`, at `JOBS_METRICS_PORT`: webhooks, the pasts of funnels, sources and budgets. What is not of one process alone is told by the one that leads.',
};

function row({ name, type, labels, help }: Family): string {
  return `| \`${name}\` | ${type} | ${labels.map((label) => `\`${label}\``).join(', ')} | ${help.replaceAll('|', '\\|')} |`;
}

it('docs/metrics.md has each metric that a process registers, with its labels and its sentence', async () => {
  const all = await metricsByProcess();
  const sections = Object.entries(where).flatMap(([process, text]) => [
    ...['', `## ${process}`, '', text, ''],
    ...['| metric | kind | labels | what |', '|---|---|---|---|'],
    ...all[process as keyof typeof all].map(row),
  ]);
  const page = [
    '# Metrics',
    '',
    'Prometheus text, at `/metrics` of each process, without a key. Made from what the processes register; a test holds the two together. Beside these each has those of Node and of',
    'the process itself (`nodejs_…`, `process_…`). A histogram has `_bucket`, `_count` and `_sum`. Labels have few values: names of definitions, of keys (the first 200), partitions, closed lists.',
    'Most stand on a dashboard (`ops/grafana/`) or in a rule (`ops/prometheus/`, with [what to do](operating.md#alerts)); the others are for questions of your own.',
    ...sections,
  ];
  await expect(`${page.join('\n')}\n`).toMatchFileSnapshot('../../docs/metrics.md');
});
