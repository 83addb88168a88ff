// Logistic regression by iteratively reweighted least squares, for rows with few features each. Deterministic.

/** The features of a row that are not 0, and whether it happened (0 or 1). */
export interface SparseRow {
  readonly features: readonly (readonly [column: number, value: number])[];
  readonly outcome: number;
}

export interface FitOptions {
  readonly columns: number;
  /** Pulls every coefficient but the first (the intercept) towards 0. */
  readonly ridge: number;
  readonly iterationsMax: number;
}

function logitOf(row: SparseRow, coefficients: Float64Array): number {
  let logit = 0;
  for (const [column, value] of row.features) logit += coefficients[column]! * value;
  return logit;
}

/** Gradient and Hessian of the penalised log-likelihood. */
function derivatives(
  rows: readonly SparseRow[],
  coefficients: Float64Array,
  { columns, ridge }: FitOptions,
): { gradient: Float64Array; hessian: Float64Array } {
  const gradient = new Float64Array(columns);
  const hessian = new Float64Array(columns * columns);
  for (const row of rows) {
    const probability = 1 / (1 + Math.exp(-logitOf(row, coefficients)));
    const weight = probability * (1 - probability);
    for (const [i, value] of row.features) {
      gradient[i]! += (row.outcome - probability) * value;
      for (const [j, other] of row.features) hessian[i * columns + j]! += weight * value * other;
    }
  }
  for (let i = 1; i < columns; i += 1) {
    gradient[i]! -= ridge * coefficients[i]!;
    hessian[i * columns + i]! += ridge;
  }
  return { gradient, hessian };
}

/** Solves A·x = b for a symmetric positive definite A by Cholesky's factors. */
function solve(matrix: Float64Array, right: Float64Array): Float64Array {
  const n = right.length;
  const lower = new Float64Array(n * n);
  for (let i = 0; i < n; i += 1) {
    for (let j = 0; j <= i; j += 1) {
      let sum = matrix[i * n + j]!;
      for (let k = 0; k < j; k += 1) sum -= lower[i * n + k]! * lower[j * n + k]!;
      if (i === j && sum <= 0) throw new Error('the features say the same thing twice: raise the ridge');
      lower[i * n + j] = i === j ? Math.sqrt(sum) : sum / lower[j * n + j]!;
    }
  }
  const x = Float64Array.from(right);
  for (let i = 0; i < n; i += 1) {
    for (let k = 0; k < i; k += 1) x[i]! -= lower[i * n + k]! * x[k]!;
    x[i]! /= lower[i * n + i]!;
  }
  for (let i = n - 1; i >= 0; i -= 1) {
    for (let k = i + 1; k < n; k += 1) x[i]! -= lower[k * n + i]! * x[k]!;
    x[i]! /= lower[i * n + i]!;
  }
  return x;
}

/** @throws Error if it does not converge within `iterationsMax` steps. */
export function fitLogistic(rows: readonly SparseRow[], options: FitOptions): Float64Array {
  const coefficients = new Float64Array(options.columns);
  for (let iteration = 0; iteration < options.iterationsMax; iteration += 1) {
    const { gradient, hessian } = derivatives(rows, coefficients, options);
    const step = solve(hessian, gradient);
    let largest = 0;
    step.forEach((change, column) => {
      coefficients[column]! += change;
      largest = Math.max(largest, Math.abs(change));
    });
    if (largest < 1e-8) return coefficients;
  }
  throw new Error(`the regression did not converge in ${options.iterationsMax} steps`);
}

/** Mean log-loss of the fitted coefficients: lower is better. */
export function logLoss(rows: readonly SparseRow[], coefficients: Float64Array): number {
  let sum = 0;
  for (const row of rows) {
    const logit = logitOf(row, coefficients);
    sum += Math.log1p(Math.exp(-Math.abs(logit))) + Math.max(logit, 0) - row.outcome * logit;
  }
  return sum / rows.length;
}
