// Previews of definitions of before GB stood for UK, over rows of then and of now: one country, whatever either calls it.
import { expect, it } from 'vitest';
import { campaign, score } from '../../domain/definition.ts';
import { measureScore } from '../../serve/definitions/preview/behaviour.ts';
import { measureCampaign } from '../../serve/definitions/preview/outcomes.ts';
import type { Past } from '../../serve/definitions/preview/past.ts';

it.each([
  [{ UK: 0.5, DE: 0.1 }, 0.5],
  [{ GB: 0.5 }, 0.5],
  [{ UK: 0.5, GB: -1 }, -1],
  [{ DE: 0.1 }, 0],
])('a score that weighs %j weighs both names by %d', async (country, weight) => {
  let asked: Record<string, unknown> = {};
  const events = async (_: unknown, parameters: Record<string, unknown>) => {
    asked = parameters;
    return [];
  };
  const definition = score.parse({
    name: 's',
    horizonMs: 60_000,
    halfLifeMs: 60_000,
    intercept: 0,
    engagement: {},
    country,
  });
  await measureScore(definition, { rules: [], toMs: 0, events } as unknown as Past);
  const { countries, countryWeights } = asked as { countries: string[]; countryWeights: number[] };
  const weighed = Object.fromEntries(countries.map((name, index) => [name, countryWeights[index]]));
  expect(weighed).toMatchObject({ '': 0, UK: weight, GB: weight });
  expect(countries).toHaveLength(new Set(countries).size);
});

it.each([[['UK']], [['GB']]])('a campaign for %j is shown to both', async (countries) => {
  const rows = ['UK', 'GB', 'DE'].map((country) => ({ day: '2026-01-01', country, cost_micros: 100 }));
  const definition = { ...campaign.parse({ name: 'c', accountId: 'a', channel: 'search' }), countries };
  const past = { fromMs: 0, list: () => [], spend: async () => rows } as unknown as Past;
  const measures = await measureCampaign(definition, past, 'c');
  expect(measures).toContainEqual({ group: 'spent', name: 'where it is shown, micros', value: 200 });
});
