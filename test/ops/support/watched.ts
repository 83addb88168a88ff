// Every expression of the dashboards and the rules, asked of a live Prometheus that scrapes the running processes.
import { readdirSync, readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { boards } from '../../../ops/grafana/dashboards.ts';
import type { TriggerStatus } from '../../../stream/work.ts';

/** Two scrapes are needed for a rate, some more until everything has happened once. */
const WAIT_MS = 60_000;
/** In the place of what Grafana fills in. */
const RATE_INTERVAL = '1m';
const RULES = new URL('../../../ops/prometheus/', import.meta.url);

/**
 * What rules look for and does not happen here: triggers wait for days before they expire. What it is called is held by the
 * type of the code that says it.
 */
const tooSeldom: readonly string[] = [
  `flywheel_triggers_total{status="${'expired' satisfies TriggerStatus}"}`,
];

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

/** What nobody does here: a panel of it shows its 0. */
const UNDONE =
  /ALERTS|flywheel_(backfill_keys|key_limited_total|deliveries_settled_total|trigger_acknowledgements_total)/;

/** Of all that has happened by then the 0 of a panel that has none to show would stand for a metric that is gone, too. */
function withoutFallback(expr: string): string {
  return UNDONE.test(expr) ? expr : expr.replace(/ or vector\(0\)$/, '');
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

/** Every value that a matcher names, alone: one that is not there any more is not hidden by those that are. */
function eachValue(matcher: string): string[] {
  const [, label, operator, pattern] = /^(\w+)(!?[=~]+)"(.*)"$/.exec(matcher)!;
  if (operator !== '=~' || !/^[\w|-]+$/.test(pattern!)) return [matcher];
  return pattern!.split('|').map((value) => `${label}="${value}"`);
}

/** Of one selector of a rule: one for each value that it names. What it leaves out must be there too, else it is called something else by now, and counts. */
function selectorsOf(metric: string, braces: string): string[] {
  const matchers: string[] = braces.match(/\w+!?[=~]+"[^"]*"/g) ?? [];
  if (matchers.length === 0) return [metric];
  return matchers.flatMap((matcher, index) => {
    const whole = eachValue(matcher).map((one) => `${metric}{${matchers.with(index, one).join(',')}}`);
    return matcher.includes('!=') ? [...whole, `${metric}{${matcher.replace('!=', '=')}}`] : whole;
  });
}

/**
 * An alert that does not fire returns nothing: what it looks at must be there, with each value of a label that it selects by.
 */
function selectorsOfRules(): string[] {
  const texts = readdirSync(RULES)
    .filter((name) => name.endsWith('.rules.yml'))
    .map((name) => readFileSync(new URL(name, RULES), 'utf8'));
  const selectors = texts.flatMap((text) =>
    [
      ...text.matchAll(/(?<![\w:])(flywheel[_:][\w:]+|nodejs_\w+|process_\w+|up(?=\{))(?:\{([^}]*)\})?/g),
    ].flatMap(([, metric, braces = '']) => selectorsOf(metric!, braces)),
  );
  return [...new Set(selectors)].filter((selector) => !tooSeldom.includes(selector));
}

async function withoutData(prometheus: string, expressions: readonly string[]): Promise<string[]> {
  const empty: string[] = [];
  for (const expr of expressions) if ((await seriesOf(prometheus, expr)) === 0) empty.push(expr);
  return empty;
}

/**
 * All rules were evaluated without an error, and all that is looked at is there, by what it is selected by.
 * @param onwards sends what comes of other traffic, at each look
 */
export async function expectWatched(prometheus: string, onwards: () => Promise<void>): Promise<void> {
  let missing = [...dashboardExpressions(), ...selectorsOfRules()];
  expect(missing.length).toBeGreaterThan(100);
  const untilMs = performance.now() + WAIT_MS;
  while (missing.length > 0 && performance.now() < untilMs) {
    await onwards();
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
