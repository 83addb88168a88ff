// Fits `definitions/score/opportunity.json` on simulated marketplaces: `npx tsx loadtest/fit-score.ts`.
// It learns from what happened, never from the simulator's truths; a test compares the result with those.
import { readFileSync, writeFileSync } from 'node:fs';
import { behaviours, type ScoreDefinition, score, standardBehaviours } from '../domain/definition.ts';
import { engagementAt } from '../domain/score.ts';
import { fitLogistic, logLoss, type SparseRow } from './logistic-regression.ts';
import { type Sample, samplesOf } from './score-samples.ts';

const DAY_MS = 86_400_000;
const SCORE_FILE = new URL('../definitions/score/opportunity.json', import.meta.url);
const BEHAVIOURS_FILE = new URL('../definitions/behaviours/default.json', import.meta.url);
/** Any fixed time will do: the marketplace repeats itself by the week. */
const END_MS = Date.UTC(2026, 0, 31);
const TRAINING_SEEDS = ['train-1', 'train-2', 'train-3', 'train-4'];
/** Late enough for sums to have filled, early enough for the horizon to end within the period. */
const DAYS = [11, 14.3, 17.6, 20.4, 22.9];
const HORIZON_MS = 7 * DAY_MS;
const HALF_LIVES_MS = [2, 3].map((day) => day * DAY_MS);
const CAPS = [1, 2];
const RIDGE = 2;

interface Columns {
  readonly names: string[];
  readonly index: Map<string, number>;
}

function columnOf(columns: Columns, name: string): number {
  const known = columns.index.get(name);
  if (known !== undefined) return known;
  columns.index.set(name, columns.names.length);
  columns.names.push(name);
  return columns.names.length - 1;
}

/** The terms of the score's formula (domain/score.ts), as columns. */
function rowOf(columns: Columns, sample: Sample, halfLifeMs: number, cap: number): SparseRow {
  const { buyer } = sample;
  const features: [number, number][] = [
    [0, 1],
    [columnOf(columns, `country.${buyer.country?.value ?? 'ZZ'}`), 1],
    [columnOf(columns, `industry.${buyer.industry?.value ?? 'unknown'}`), 1],
    [columnOf(columns, `level.${buyer.level?.value ?? 'unknown'}`), 1],
  ];
  const sums = buyer.engagement.find((each) => each.halfLifeMs === halfLifeMs);
  if (sums !== undefined) {
    for (const { behaviour, value } of engagementAt(sums, sample.timeMs, cap)) {
      features.push([columnOf(columns, `engagement.${behaviour}`), Math.log1p(value)]);
    }
  }
  return { features, outcome: sample.wentDeep ? 1 : 0 };
}

function weightsOf(columns: Columns, coefficients: Float64Array, group: string): Record<string, number> {
  const names = columns.names.filter((name) => name.startsWith(`${group}.`)).sort();
  return Object.fromEntries(
    names.map((name) => [name.slice(group.length + 1), rounded(coefficients[columns.index.get(name)!]!)]),
  );
}

function rounded(value: number): number {
  return Math.round(value * 10_000) / 10_000;
}

interface Fit {
  readonly definition: ScoreDefinition;
  readonly samples: number;
  readonly loss: number;
}

function fitOne(samples: readonly Sample[], halfLifeMs: number, cap: number): Fit {
  const columns: Columns = { names: [], index: new Map() };
  columnOf(columns, 'intercept');
  for (const behaviour of standardBehaviours) columnOf(columns, `engagement.${behaviour}`);
  const rows = samples.map((sample) => rowOf(columns, sample, halfLifeMs, cap));
  const coefficients = fitLogistic(rows, { columns: columns.names.length, ridge: RIDGE, iterationsMax: 50 });
  const definition = score.parse({
    name: 'Contact, inquiry or order within seven days',
    horizonMs: HORIZON_MS,
    halfLifeMs,
    cap,
    intercept: rounded(coefficients[0]!),
    engagement: weightsOf(columns, coefficients, 'engagement'),
    country: weightsOf(columns, coefficients, 'country'),
    level: weightsOf(columns, coefficients, 'level'),
    industry: weightsOf(columns, coefficients, 'industry'),
  });
  return { definition, samples: rows.length, loss: logLoss(rows, coefficients) };
}

/** The fit with the lowest log-loss over the half-lives and caps that are tried. */
function fitBest(): Fit {
  const map = behaviours.parse(JSON.parse(readFileSync(BEHAVIOURS_FILE, 'utf8')));
  const fits = HALF_LIVES_MS.flatMap((halfLifeMs) => {
    const samples = TRAINING_SEEDS.flatMap((seed) =>
      samplesOf({
        seed,
        endMs: END_MS,
        buyers: 6_000,
        days: DAYS,
        horizonMs: HORIZON_MS,
        halfLifeMs,
        behaviours: map,
      }),
    );
    return CAPS.map((cap) => {
      const fit = fitOne(samples, halfLifeMs, cap);
      console.log(`half-life ${halfLifeMs / DAY_MS} d, cap ${cap}: log-loss ${fit.loss.toFixed(5)}`);
      return fit;
    });
  });
  return fits.reduce((best, fit) => (fit.loss < best.loss ? fit : best));
}

const { definition, samples, loss } = fitBest();
writeFileSync(SCORE_FILE, `${JSON.stringify(definition, null, 2)}\n`);
console.log(
  `written: ${samples} samples, log-loss ${loss.toFixed(5)}, half-life ${definition.halfLifeMs / DAY_MS} d, cap ${definition.cap}`,
);
