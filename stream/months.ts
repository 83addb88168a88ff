// Cuts rows into inserts by the months of their times: ClickHouse refuses more than 100 partitions in one insert, for ever.

/** A month of average length can meet three calendar months, when the middle one is a February. */
const MONTHS_PER_INSERT_MAX = 33;
const MONTH_MS = 2_629_746_000;

/** A month of average length, as a number: cheaper for each row than the calendar. */
export function monthOf(timeMs: number): number {
  return Math.floor(timeMs / MONTH_MS);
}

/** Which rows go into which insert, by their places, the months ascending; null if one insert may take all as they are. */
export function insertsByMonth(months: readonly number[]): number[][] | null {
  if (new Set(months).size <= MONTHS_PER_INSERT_MAX) return null;
  const sorted = months.map((_, index) => index).sort((a, b) => months[a]! - months[b]!);
  const inserts: number[][] = [];
  let current: number[] = [];
  let met = new Set<number>();
  for (const index of sorted) {
    const month = months[index]!;
    if (!met.has(month) && met.size >= MONTHS_PER_INSERT_MAX) {
      inserts.push(current);
      current = [];
      met = new Set();
    }
    met.add(month);
    current.push(index);
  }
  inserts.push(current);
  return inserts;
}
