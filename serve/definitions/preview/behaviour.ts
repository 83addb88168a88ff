// What funnels, behaviours, scores and lifecycles would have said of what buyers did.
import type {
  BehaviourMap,
  FunnelDefinition,
  LifecycleDefinition,
  ScoreDefinition,
} from '../../../domain/definition.ts';
import { type ActiveBuyer, churnDueMs, stageAfterActivity } from '../../../domain/lifecycle.ts';
import { countryWeightOf } from '../../../domain/weight.ts';
import { type Measure, mappingOf, type Past } from './past.ts';

/** ClickHouse's names of the modes; nothing of a request becomes SQL text. */
const modes: Readonly<Record<FunnelDefinition['mode'], string>> = {
  default: '',
  strict_order: ", 'strict_order'",
  strict_increase: ", 'strict_increase'",
  'strict_order+strict_increase': ", 'strict_order', 'strict_increase'",
};

/** How many buyers reached each step at least once within the period. */
export async function measureFunnel(
  funnel: FunnelDefinition,
  past: Past,
  { rules = past.rules, group = 'steps' } = {},
): Promise<Measure[]> {
  const { steps, windowMs, mode } = funnel;
  const parameters = { ...mappingOf(rules), steps, windowMs };
  const levels = await past.events<{ level: number; buyers: number }>(
    { name: 'preview-funnel', replace: { modes: modes[mode] } },
    parameters,
  );
  return steps.map((step, index) => ({
    group,
    name: `${index + 1} ${step}`,
    value: levels.reduce((sum, { level, buyers }) => sum + (level > index ? buyers : 0), 0),
  }));
}

/** How many events are which behaviour, and what becomes of every funnel in force. */
export async function measureBehaviours(rules: BehaviourMap['rules'], past: Past): Promise<Measure[]> {
  const counts = await past.events<{ behaviour: string; events: number }>(
    'preview-behaviours',
    mappingOf(rules),
  );
  const measures = counts.map(({ behaviour, events }) => ({
    group: 'events',
    name: behaviour === '' ? '(none)' : behaviour,
    value: events,
  }));
  for (const { id, document } of past.list<FunnelDefinition>('funnel')) {
    measures.push(...(await measureFunnel(document, past, { rules, group: `funnel ${id}` })));
  }
  return measures;
}

/** Never empty: ClickHouse's `transform` asks for at least one name. */
function weighted(weights: Readonly<Record<string, number>>): { names: string[]; weights: number[] } {
  return { names: ['', ...Object.keys(weights)], weights: [0, ...Object.values(weights)] };
}

/** Rows of before say UK, and definitions may: one country, whatever either calls it. */
function weightedCountries(given: Readonly<Record<string, number>>): { names: string[]; weights: number[] } {
  const names = [...new Set(['', 'GB', 'UK', ...Object.keys(given)])];
  return { names, weights: names.map((name) => countryWeightOf(given, name)) };
}

/** The score's distribution over the buyers of the period, as of its end. */
export async function measureScore(score: ScoreDefinition, past: Past): Promise<Measure[]> {
  const [engagement, country] = [weighted(score.engagement), weightedCountries(score.country)];
  const [industry, level] = [weighted(score.industry), weighted(score.level)];
  const [row] = await past.events<{ buyers: number; mean: number | null; deciles: (number | null)[] }>(
    'preview-score',
    {
      ...mappingOf(past.rules),
      toMs: past.toMs,
      halfLifeMs: score.halfLifeMs,
      cap: score.cap,
      intercept: score.intercept,
      engaging: engagement.names,
      coefficients: engagement.weights,
      countries: country.names,
      countryWeights: country.weights,
      industries: industry.names,
      industryWeights: industry.weights,
      levels: level.names,
      levelWeights: level.weights,
    },
  );
  if (row === undefined || row.buyers === 0) return [{ group: 'buyers', name: 'scored', value: 0 }];
  return [
    { group: 'buyers', name: 'scored', value: row.buyers },
    { group: 'score', name: 'mean', value: row.mean ?? 0 },
    ...row.deciles.map((value, index) => ({ group: 'score', name: `p${index + 1}0`, value: value ?? 0 })),
  ];
}

/** One buyer's stage at `untilMs`, who was unknown before the first of these behaviours. */
function stageAt(
  life: readonly (readonly [timeMs: number, behaviour: string])[],
  definition: LifecycleDefinition,
  untilMs: number,
): ActiveBuyer['stage'] {
  const counts = new Map<string, number>();
  const buyer: ActiveBuyer = { stage: null, lastMs: 0, maturedMs: 0, totals: [] };
  const leave = (nowMs: number): void => {
    const dueMs = churnDueMs(buyer, definition);
    if (dueMs !== 0 && dueMs <= nowMs) buyer.stage = 'churned';
  };
  for (const [timeMs, behaviour] of life) {
    leave(timeMs);
    buyer.lastMs = timeMs;
    counts.set(behaviour, (counts.get(behaviour) ?? 0) + 1);
    buyer.totals = [...counts].map(([name, count]) => ({ behaviour: name, count }));
    for (
      let change = stageAfterActivity(buyer, definition);
      change !== null;
      change = stageAfterActivity(buyer, definition)
    ) {
      buyer.stage = change.to;
      if (change.reason === 'matured') buyer.maturedMs = timeMs;
    }
  }
  leave(untilMs);
  return buyer.stage;
}

/** How many buyers of the period are in which stage at its end. */
export async function measureLifecycle(lifecycle: LifecycleDefinition, past: Past): Promise<Measure[]> {
  const lives = await past.events<{ life: [number, string][] }>('preview-lives', {
    ...mappingOf(past.rules),
    oneIn: past.oneIn,
  });
  const counts = { new: 0, mature: 0, retained: 0, churned: 0 };
  for (const { life } of lives) {
    const stage = stageAt(life, lifecycle, past.toMs);
    if (stage !== null) counts[stage] += past.oneIn;
  }
  return Object.entries(counts).map(([name, value]) => ({ group: 'stages', name, value }));
}
