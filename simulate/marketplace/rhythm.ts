// When people work: a weekly curve of activity by local hour, and the "busy time" that passes under it.
// A process of constant rate in busy time is a process that follows the curve in real time, and in any whole week
// the same busy time passes everywhere: that is what makes the truth about the next seven days exact.
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const WEEK_HOURS = 168;

const weekday = [
  0.15, 0.1, 0.08, 0.07, 0.09, 0.15, 0.35, 0.7, 1.3, 2, 2.3, 2.2, 1.6, 1.7, 2.1, 2.1, 1.9, 1.5, 1, 0.8, 0.75,
  0.65, 0.45, 0.25,
];
/** Monday first, as the epoch's week is counted here. */
const dayWeights = [1.1, 1.15, 1.12, 1.08, 1, 0.5, 0.45];

/** Share of a week's activity in each local hour of the week, times 168: the mean is 1. */
export const weeklyCurve: readonly number[] = (() => {
  const raw = dayWeights.flatMap((day) => weekday.map((hour) => day * hour));
  const mean = raw.reduce((sum, value) => sum + value, 0) / WEEK_HOURS;
  return raw.map((value) => value / mean);
})();

/** Busy hours that have passed in a week before each hour of it. */
const passed: readonly number[] = (() => {
  const sums = [0];
  for (const value of weeklyCurve) sums.push(sums.at(-1)! + value);
  return sums;
})();

/** 1970-01-01 was a Thursday: three days after a Monday. */
const THURSDAY_MS = 3 * DAY_MS;

/** Busy days since a Monday before the epoch, on the clock of `utcOffsetMinutes`. */
export function busyDaysAt(timeMs: number, utcOffsetMinutes: number): number {
  const hours = (timeMs + utcOffsetMinutes * 60_000 + THURSDAY_MS) / HOUR_MS;
  const week = Math.floor(hours / WEEK_HOURS);
  const within = hours - week * WEEK_HOURS;
  const hour = Math.floor(within);
  return (week * WEEK_HOURS + passed[hour]! + (within - hour) * weeklyCurve[hour]!) / 24;
}

/** The time at which so many busy days have passed: the inverse of `busyDaysAt`. */
export function timeAtBusyDays(busyDays: number, utcOffsetMinutes: number): number {
  const busyHours = busyDays * 24;
  const week = Math.floor(busyHours / WEEK_HOURS);
  const within = busyHours - week * WEEK_HOURS;
  let low = 0;
  let high = WEEK_HOURS - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (passed[middle]! <= within) low = middle;
    else high = middle - 1;
  }
  const hours = week * WEEK_HOURS + low + (within - passed[low]!) / weeklyCurve[low]!;
  return hours * HOUR_MS - utcOffsetMinutes * 60_000 - THURSDAY_MS;
}

/** Activity in the hour of `timeMs` against the week's mean. */
export function activityAt(timeMs: number, utcOffsetMinutes: number): number {
  const hours = Math.floor((timeMs + utcOffsetMinutes * 60_000 + THURSDAY_MS) / HOUR_MS);
  return weeklyCurve[((hours % WEEK_HOURS) + WEEK_HOURS) % WEEK_HOURS]!;
}
