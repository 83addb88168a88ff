// Counts what was compared, by kind, and keeps every difference: the first ones in full, all of them in number; and what was
// not compared, and why.
export interface Difference {
  readonly kind: string;
  /** What was looked at: a key, an offset, a window and cell. */
  readonly where: string;
  readonly expected: unknown;
  readonly actual: unknown;
}

export interface KindResult {
  readonly kind: string;
  readonly compared: number;
  readonly differences: number;
}

/** What was there to compare and was not. */
export interface LeftOut {
  readonly kind: string;
  readonly count: number;
  /** Who or what it is, and why. */
  readonly why: string;
}

/** Differences of one kind that are kept in full; the rest is counted. */
const KEPT_PER_KIND_MAX = 1_000;
/** Two sums of the same terms in another order. */
const RELATIVE_TOLERANCE = 1e-9;
/** Below it a decayed sum is nothing but rounding of denormal numbers. */
const NEGLIGIBLE = 1e-200;

export class Comparison {
  readonly differences: Difference[] = [];
  readonly #compared = new Map<string, number>();
  readonly #different = new Map<string, number>();
  readonly #leftOut = new Map<string, LeftOut>();

  /** Names a kind, so that it is listed even if nothing of it was there to compare. */
  expectKind(...kinds: readonly string[]): void {
    for (const kind of kinds) if (!this.#compared.has(kind)) this.#compared.set(kind, 0);
  }

  counted(kind: string, howMany = 1): void {
    this.#compared.set(kind, (this.#compared.get(kind) ?? 0) + howMany);
  }

  /** Counts with what was left out for the same reason before; nothing is said of none. */
  leaveOut(kind: string, why: string, count = 1): void {
    if (count === 0) return;
    const name = `${kind}: ${why}`;
    this.#leftOut.set(name, { kind, why, count: count + (this.#leftOut.get(name)?.count ?? 0) });
  }

  get leftOut(): LeftOut[] {
    return [...this.#leftOut.values()];
  }

  differ(kind: string, where: string, expected: unknown, actual: unknown): void {
    const before = this.#different.get(kind) ?? 0;
    this.#different.set(kind, before + 1);
    this.expectKind(kind);
    if (before < KEPT_PER_KIND_MAX) this.differences.push({ kind, where, expected, actual });
  }

  /** One thing compared; plain data is equal if its canonical JSON is. */
  equal(kind: string, where: string, expected: unknown, actual: unknown): boolean {
    this.counted(kind);
    if (Object.is(expected, actual) || canonical(expected) === canonical(actual)) return true;
    this.differ(kind, where, expected, actual);
    return false;
  }

  /** One number compared, equal within a relative 1e-9. */
  near(kind: string, where: string, expected: number, actual: number): boolean {
    this.counted(kind);
    if (isNear(expected, actual)) return true;
    this.differ(kind, where, expected, actual);
    return false;
  }

  /** One record compared field by field: a difference names the fields that differ, not the whole. */
  fields(kind: string, where: string, expected: Fields, actual: Fields | undefined): boolean {
    this.counted(kind);
    if (actual === undefined) {
      this.differ(kind, where, expected, 'missing');
      return false;
    }
    let isSame = true;
    for (const name in expected) if (!sameField(expected[name], actual[name])) isSame = false;
    if (isSame) return true;
    const wrong = Object.keys(expected).filter((name) => !sameField(expected[name], actual[name]));
    this.differ(kind, where, pick(expected, wrong), pick(actual, wrong));
    return false;
  }

  compared(kind: string): number {
    return this.#compared.get(kind) ?? 0;
  }

  get differenceCount(): number {
    return [...this.#different.values()].reduce((sum, count) => sum + count, 0);
  }

  get kinds(): KindResult[] {
    return [...this.#compared].map(([kind, compared]) => ({
      kind,
      compared,
      differences: this.#different.get(kind) ?? 0,
    }));
  }
}

export type Fields = Readonly<Record<string, unknown>>;

function isNear(expected: number, actual: number): boolean {
  if (expected === actual) return true;
  const size = Math.max(Math.abs(expected), Math.abs(actual));
  return size < NEGLIGIBLE || Math.abs(expected - actual) <= RELATIVE_TOLERANCE * size;
}

function sameField(expected: unknown, actual: unknown): boolean {
  if (expected === actual) return true;
  // Whole numbers are counts, money and times: they are equal or not. Only fractions are subject to rounding.
  const isFraction = typeof expected === 'number' && !Number.isInteger(expected);
  if (isFraction && typeof actual === 'number') return isNear(expected, actual);
  if (typeof expected !== 'object') return false;
  return canonical(expected) === canonical(actual);
}

function pick(fields: Fields, names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(names.map((name) => [name, fields[name]]));
}

/** JSON with sorted keys: equal text for equal data. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).filter(([, inner]) => inner !== undefined);
    entries.sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${entries.map(([name, inner]) => `${JSON.stringify(name)}:${canonical(inner)}`).join(',')}}`;
  }
  return JSON.stringify(value) ?? 'undefined';
}
