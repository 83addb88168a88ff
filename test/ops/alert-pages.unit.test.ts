// Alerts, their tests and their paragraphs are one set: who is woken finds what to look at, and each alert was seen to go off.
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { appOf, world } from '../serve/without-parts.ts';
import { ownMetrics } from './support/registries.ts';

const read = (path: string): string => readFileSync(new URL(path, import.meta.url), 'utf8');
const files = (path: string, ending: string): string[] =>
  readdirSync(new URL(path, import.meta.url)).filter((name) => name.endsWith(ending));

interface Alert {
  readonly name: string;
  readonly text: string;
}

const ruleFiles = files('../../ops/prometheus/', '.rules.yml').map((name) =>
  read(`../../ops/prometheus/${name}`),
);
const alerts: Alert[] = ruleFiles.flatMap((text) =>
  text
    .split(/^ {6}- /m)
    .filter((part) => part.startsWith('alert: '))
    .map((part) => ({ name: /^alert: (\w+)/.exec(part)![1]!, text: part })),
);
const page = read('../../docs/operating.md').split('\n## Alerts\n')[1]!;
const paragraphs = new Map(
  page
    .split('\n### ')
    .slice(1)
    .map((part): [string, string] => [part.slice(0, part.indexOf('\n')), part.slice(part.indexOf('\n'))]),
);

describe('every alert', () => {
  it('is there once, and so is its paragraph', () => {
    const names = alerts.map(({ name }) => name);
    expect(names.length).toBeGreaterThan(30);
    expect(new Set(names).size).toBe(names.length);
    expect([...paragraphs.keys()].sort()).toEqual([...names].sort());
  });

  it.each(alerts)('$name says how grave it is, what it is, and where to read on', ({ name, text }) => {
    expect(text).toMatch(/severity: (critical|warning|info)\n/);
    expect(text).toMatch(/\n {10}summary: .{20,}/);
    expect(text).toMatch(/\n {10}description: .{15,}/);
    expect(text).toMatch(/\n {8}for: \d+[sm]\n|\n {8}for: 1h\n/);
    expect(text).toContain(`runbook_url: docs/operating.md#${name.toLowerCase()}`);
    expect(paragraphs.get(name)!.length).toBeGreaterThan(150);
  });

  it('is made to go off by a test', () => {
    const tests = files('./prometheus/', '.test.yml').map((name) => read(`./prometheus/${name}`));
    const seen = tests.flatMap((text) =>
      [...text.matchAll(/alertname: (\w+)\n +exp_alerts:\n +- exp_labels/g)].map(([, name]) => name),
    );
    expect([...new Set(seen)].sort()).toEqual(alerts.map(({ name }) => name).sort());
  });
});

it('rules speak only of metrics that there are', async () => {
  const metrics = await ownMetrics();
  const known = new Set(
    metrics.flatMap(({ name, type }) =>
      type === 'histogram' ? [`${name}_bucket`, `${name}_count`, `${name}_sum`] : [name],
    ),
  );
  const named = ruleFiles.flatMap((text) => text.match(/(?<![:\w])flywheel_\w+/g) ?? []);
  expect(named.length).toBeGreaterThan(50);
  expect([...new Set(named)].filter((name) => !known.has(name))).toEqual([]);
});

/** `/v1/(a|b)` is `/v1/a` and `/v1/b`. */
function routesOf(pattern: string): string[] {
  const [, before, among, after] = /^([^(]*)\(([^)]*)\)(.*)$/.exec(pattern) ?? [];
  return among === undefined ? [pattern] : among.split('|').map((one) => before! + one + after!);
}

it('objectives are of routes that there are', async () => {
  const patterns = ruleFiles.flatMap((text) =>
    [...text.matchAll(/[{,]route=~?"([^"]+)"/g)].map(([, one]) => one!),
  );
  const routes = [...new Set(patterns.flatMap(routesOf))];
  expect(routes.length).toBeGreaterThan(15);
  const app = await appOf(world());
  const isThere = (url: string): boolean =>
    (['POST', 'GET'] as const).some((method) => app.hasRoute({ method, url }));
  // Those of evaluations, as one.
  const some = routes.filter((one) => one.endsWith('/.+')).map((one) => one.replace('.+', 'flags'));
  expect(some.map(isThere)).toEqual([true]);
  expect(routes.filter((one) => !one.endsWith('/.+') && !isThere(one))).toEqual([]);
  await app.close();
});
