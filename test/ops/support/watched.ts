// Every expression of the dashboards and the rules, asked of a live Prometheus that scrapes the running processes.
import { readdirSync, readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { boards } from '../../../ops/grafana/dashboards.ts';

/** Two scrapes are needed for a rate, some more until everything has happened once. */
const WAIT_MS = 60_000;
/** In the place of what Grafana fills in. */
const RATE_INTERVAL = '1m';
const RULES = new URL('../../../ops/prometheus/', import.meta.url);

/** What is rightly there only once it has happened, and does not here. */
const onlyOnceHappened = new Set(['flywheel_key_expires_in_seconds', 'flywheel_assignment_crossovers_total']);

interface RuleState {
  readonly name: string;
  readonly health: string;
  readonly lastError?: string;
  readonly query: string;
  readonly type: string;
}

async function ask<Data>(prometheus: string, path: string): Promise<Data> {
  const answer = await fetch(prometheus + path);
  const body = (await answer.json()) as { status: string; error?: string; data: Data };
  expect([path, body.status, body.error]).toEqual([path, 'success', undefined]);
  return body.data;
}

/** How many series it returns. */
async function seriesOf(prometheus: string, expr: string): Promise<number> {
  const path = `/api/v1/query?query=${encodeURIComponent(expr)}`;
  const { result } = await ask<{ result: unknown[] }>(prometheus, path);
  return result.length;
}

/** Receivers have been called by then: the 0 of a panel that has none to show would stand for a metric that is gone, too. */
function withoutFallback(expr: string): string {
  return /flywheel_deliver(y|ies)_/.test(expr) ? expr.replace(/ or vector\(0\)$/, '') : expr;
}

function dashboardExpressions(): string[] {
  return Object.values(boards).flatMap(({ rows }) =>
    rows.flatMap(({ panels }) =>
      panels.flatMap(({ queries }) =>
        queries.map(({ expr }) => withoutFallback(expr.replaceAll('$__rate_interval', RATE_INTERVAL))),
      ),
    ),
  );
}

/** An alert that does not fire returns nothing: what it looks at must be there. */
function metricsOfRules(): string[] {
  const texts = readdirSync(RULES)
    .filter((name) => name.endsWith('.rules.yml'))
    .map((name) => readFileSync(new URL(name, RULES), 'utf8'));
  const names = texts.flatMap(
    (text) => text.match(/(?<!\w)flywheel[_:][\w:]+|nodejs_\w+|process_\w+/g) ?? [],
  );
  return [...new Set(names)].filter((name) => !onlyOnceHappened.has(name));
}

async function withoutData(prometheus: string, expressions: readonly string[]): Promise<string[]> {
  const empty: string[] = [];
  for (const expr of expressions) if ((await seriesOf(prometheus, expr)) === 0) empty.push(expr);
  return empty;
}

/** All rules were evaluated without an error, and all that is looked at is there. */
export async function expectWatched(prometheus: string): Promise<void> {
  let missing = [...dashboardExpressions(), ...metricsOfRules()];
  expect(missing.length).toBeGreaterThan(100);
  const untilMs = performance.now() + WAIT_MS;
  while (missing.length > 0 && performance.now() < untilMs) {
    missing = await withoutData(prometheus, missing);
    if (missing.length > 0) await new Promise((resolve) => setTimeout(resolve, 1_000));
  }
  expect(missing).toEqual([]);
  const { groups } = await ask<{ groups: { rules: RuleState[] }[] }>(prometheus, '/api/v1/rules');
  const rules = groups.flatMap((group) => group.rules);
  expect(rules.length).toBeGreaterThan(50);
  expect(rules.filter(({ health }) => health !== 'ok')).toEqual([]);
  for (const { query } of rules) await seriesOf(prometheus, query);
}
