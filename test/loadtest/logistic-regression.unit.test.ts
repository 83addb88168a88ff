// The fit finds the coefficients that made the data, and says when it cannot.
import { expect, it } from 'vitest';
import { fitLogistic, logLoss, type SparseRow } from '../../loadtest/logistic-regression.ts';
import { normal, randomOf } from '../../simulate/marketplace/random.ts';

const truth = [-1, 2, -0.5];

function rowsOf(count: number): SparseRow[] {
  const random = randomOf('regression');
  return Array.from({ length: count }, () => {
    const features = [
      [0, 1],
      [1, normal(random)],
      [2, normal(random)],
    ] as const;
    const logit = features.reduce((sum, [column, value]) => sum + truth[column]! * value, 0);
    return { features, outcome: random() < 1 / (1 + Math.exp(-logit)) ? 1 : 0 };
  });
}

it('finds them within the error of so many rows, the same each time', () => {
  const rows = rowsOf(40_000);
  const options = { columns: 3, ridge: 0.01, iterationsMax: 30 };
  const fitted = fitLogistic(rows, options);
  for (const [column, coefficient] of truth.entries()) expect(fitted[column]).toBeCloseTo(coefficient, 1);
  expect(fitLogistic(rows, options)).toEqual(fitted);
  expect(logLoss(rows, fitted)).toBeLessThan(logLoss(rows, new Float64Array(3)));
  expect(logLoss(rows, fitted)).toBeLessThanOrEqual(logLoss(rows, Float64Array.from(truth)));
});

it('pulls towards 0 with the ridge, and refuses features that say the same thing without one', () => {
  const rows = rowsOf(500);
  const loose = fitLogistic(rows, { columns: 3, ridge: 0, iterationsMax: 50 });
  const tight = fitLogistic(rows, { columns: 3, ridge: 200, iterationsMax: 50 });
  expect(Math.abs(tight[1]!)).toBeLessThan(Math.abs(loose[1]!));
  const twice = rows.map(({ features, outcome }) => ({ features: features.slice(0, 1), outcome }));
  expect(() => fitLogistic(twice, { columns: 2, ridge: 0, iterationsMax: 50 })).toThrow('raise the ridge');
});
