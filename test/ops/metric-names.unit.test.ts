// All that Flywheel's own registries say keeps Prometheus' conventions: by promtool on the real text, and by rules that it
// does not know (labels from a list of bounded ones, a prefix, help in sentences).
import { spawnSync } from 'node:child_process';
import { beforeAll, describe, expect, it } from 'vitest';
import { findTool } from '../../ops/local/child.ts';
import { type Family, metricsText, ownMetrics } from './support/registries.ts';

/** Each with what bounds its values. */
const boundedLabels = {
  definitions: [
    'account',
    'campaign',
    'currency',
    'definition',
    'experiment',
    'funnel',
    'receiver',
    'step',
    'variant',
  ],
  'code: closed unions': [
    ...[
      'change',
      'kind',
      'limit',
      'measure',
      'outcome',
      'part',
      'reason',
      'replaced',
      'result',
      'stage',
      'state',
      'status',
      'verdict',
    ],
    ...['le', 'table', 'topic'],
  ],
  'the number of partitions': ['partition'],
  'routes, and `none` for what is no route': ['method', 'route'],
  'names in the keys file, cut at 200': ['key', 'source'],
};

let families: Family[];
let text: string;

beforeAll(async () => {
  text = await metricsText();
  families = await ownMetrics();
});

describe('the metrics of stream, serve and jobs', () => {
  it('pass promtool', () => {
    const { status, stdout, stderr } = spawnSync(findTool('promtool', 'prometheus'), ['check', 'metrics'], {
      input: text,
      encoding: 'utf8',
    });
    expect([status, stdout + stderr]).toEqual([0, '']);
  });

  it('are many, each named once, in the project’s own name', () => {
    const names = families.map(({ name }) => name);
    expect(names.length).toBeGreaterThan(60);
    expect(new Set(names).size).toBe(names.length);
    for (const name of names) expect(name).toMatch(/^flywheel_[a-z_]+$/);
  });

  it('say what they count, in a sentence', () => {
    for (const { name, help } of families) expect(`${name}: ${help}`).toMatch(/: ['A-Z0-9].{8,}\.$/);
  });

  it('end with `_total` if they only rise, and only then', () => {
    for (const { name, type } of families)
      expect([name, name.endsWith('_total')]).toEqual([name, type === 'counter']);
  });

  it('are in base units', () => {
    for (const { name } of families)
      expect(name).not.toMatch(/_(ms|milliseconds|microseconds|minutes|hours|kb|mb|kilobytes|percent)(_|$)/);
  });

  it('have only labels with few values', () => {
    const known = new Set(Object.values(boundedLabels).flat());
    for (const { name, labels } of families)
      for (const label of labels) expect([name, label, known.has(label)]).toEqual([name, label, true]);
  });
});
