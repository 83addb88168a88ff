// The dashboards as they are kept: what their builders make, complete for who looks at them, and of metrics that there are.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { boards, fileText } from '../../ops/grafana/dashboards.ts';
import { ownMetrics } from './support/registries.ts';

const names = Object.keys(boards) as (keyof typeof boards)[];
const panels = names.flatMap((board) =>
  boards[board].rows.flatMap((row) => row.panels.map((panel) => ({ board, ...panel }))),
);

describe('the dashboards', () => {
  it.each(names)('%s.json is what its builder makes (else: npm run dashboards)', (name) => {
    const kept = readFileSync(new URL(`../../ops/grafana/${name}.json`, import.meta.url), 'utf8');
    expect(kept).toBe(fileText(name));
    const { uid, panels: built } = JSON.parse(kept) as { uid: string; panels: { id: number }[] };
    expect(uid).toBe(`flywheel-${name}`);
    expect(built.length).toBeGreaterThan(10);
  });

  it('say on every panel what it shows, in which unit, and name every line', () => {
    expect(panels.length).toBeGreaterThan(45);
    for (const { title, description, unit, queries } of panels) {
      expect(`${title}: ${description}`).toMatch(/: .{30,}\.$/);
      expect(unit).not.toBe('');
      expect(queries).not.toHaveLength(0);
      for (const { legend } of queries) expect(legend).not.toBe('');
    }
  });

  it('show a second’s worth where the unit says so, and nothing else there', () => {
    const paced = panels.filter(({ unit }) => unit === 'cps' || unit === 'reqps');
    expect(paced.length).toBeGreaterThan(10);
    for (const { title, queries } of paced)
      for (const { expr } of queries) expect(`${title}: ${expr}`).toContain('rate(');
  });

  it('have no two panels of one name', () => {
    for (const name of names) {
      const titles = panels.filter(({ board }) => board === name).map(({ title }) => title);
      expect(new Set(titles).size).toBe(titles.length);
    }
  });

  it('show only metrics that there are, and every one of them', async () => {
    const metrics = await ownMetrics();
    const series = metrics.flatMap(({ name, type }) =>
      type === 'histogram' ? [`${name}_bucket`, `${name}_count`, `${name}_sum`] : [name],
    );
    const shown = panels.flatMap(({ queries }) =>
      queries.flatMap(({ expr }) => expr.match(/(?<![:\w])flywheel_\w+/g) ?? []),
    );
    expect(shown.filter((name) => !series.includes(name))).toEqual([]);
    const unseen = metrics
      .map(({ name }) => name)
      .filter((name) => !shown.some((one) => one.startsWith(name)));
    expect(unseen).toEqual([]);
  });
});
