// The opportunity score against the simulator's truth, on marketplaces that it was not fitted on.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { behaviours, score } from '../../domain/definition.ts';
import { scoreOf } from '../../domain/score.ts';
import { samplesOf } from '../../loadtest/score-samples.ts';

// Simulating takes seconds.
const TIMEOUT_MS = 180_000;
const read = (path: string): unknown =>
  JSON.parse(readFileSync(new URL(`../../definitions/${path}`, import.meta.url), 'utf8'));
const definition = score.parse(read('score/opportunity.json'));
const map = behaviours.parse(read('behaviours/default.json'));

interface Scored {
  readonly predicted: number;
  readonly truth: number;
}

interface Decile {
  readonly count: number;
  readonly predicted: number;
  readonly truth: number;
}

/** Equally many buyers a decile, by rising prediction. */
function decilesOf(scored: readonly Scored[]): Decile[] {
  const sorted = [...scored].sort((a, b) => a.predicted - b.predicted);
  return Array.from({ length: 10 }, (_, decile) => {
    const part = sorted.slice(
      Math.floor((decile * sorted.length) / 10),
      Math.floor(((decile + 1) * sorted.length) / 10),
    );
    const mean = (value: (each: Scored) => number): number =>
      part.reduce((sum, each) => sum + value(each), 0) / part.length;
    return { count: part.length, predicted: mean((e) => e.predicted), truth: mean((e) => e.truth) };
  });
}

/** Every tenth of the scale from 0 to 1 that holds enough buyers for a mean. */
function bandsOf(scored: readonly Scored[]): Decile[] {
  return Array.from({ length: 10 }, (_, band) => {
    const part = scored.filter((each) => Math.min(9, Math.floor(each.predicted * 10)) === band);
    const mean = (value: (each: Scored) => number): number =>
      part.reduce((sum, each) => sum + value(each), 0) / part.length;
    return { count: part.length, predicted: mean((e) => e.predicted), truth: mean((e) => e.truth) };
  }).filter((band) => band.count >= 100);
}

function print(title: string, rows: readonly Decile[]): void {
  const line = (cells: readonly string[]): string => cells.map((cell) => cell.padStart(10)).join('');
  const lines = rows.map((row, index) =>
    line([`${index + 1}`, `${row.count}`, row.predicted.toFixed(4), row.truth.toFixed(4)]),
  );
  console.log([title, line(['#', 'buyers', 'predicted', 'truth']), ...lines].join('\n'));
}

function scoredOf(seed: string, days: readonly number[]): { scored: Scored[]; outcomes: Scored[] } {
  const scored: Scored[] = [];
  const samples = samplesOf({
    seed,
    endMs: Date.UTC(2026, 2, 29),
    buyers: 8_000,
    days,
    horizonMs: definition.horizonMs,
    halfLifeMs: definition.halfLifeMs,
    behaviours: map,
    onTruths: (timeMs, truths, known) => {
      for (const { key, probability } of truths) {
        const buyer = known.get(key);
        if (buyer === undefined) continue;
        scored.push({ predicted: scoreOf(definition, buyer, timeMs).probability, truth: probability });
      }
    },
  });
  const outcomes = samples.map(({ buyer, timeMs, wentDeep }) => ({
    predicted: scoreOf(definition, buyer, timeMs).probability,
    truth: wentDeep ? 1 : 0,
  }));
  return { scored, outcomes };
}

describe('the opportunity score', { timeout: TIMEOUT_MS }, () => {
  it.each(['unseen-1', 'unseen-2'])(
    'is a probability: within 0.1 of the truth in every decile (%s)',
    (seed) => {
      const { scored, outcomes } = scoredOf(seed, [12, 17.5, 22.8]);
      const tables = {
        'against the planted truth, by decile': decilesOf(scored),
        'against the planted truth, by tenths of the scale': bandsOf(scored),
        'against what happened, by decile': decilesOf(outcomes),
      };
      for (const [title, table] of Object.entries(tables)) {
        print(`${seed}: ${title}`, table);
        for (const row of table) expect(Math.abs(row.predicted - row.truth)).toBeLessThan(0.1);
      }
      expect(scored.length).toBeGreaterThan(10_000);
      const deciles = tables['against the planted truth, by decile'];
      expect(deciles[9]!.truth).toBeGreaterThan(5 * deciles[4]!.truth);
    },
  );

  it('stays a probability at the end of the period, when all histories are long', () => {
    const { scored } = scoredOf('unseen-3', [29]);
    const table = decilesOf(scored);
    print('unseen-3: last day, by decile', table);
    for (const row of table) expect(Math.abs(row.predicted - row.truth)).toBeLessThan(0.1);
  });
});
