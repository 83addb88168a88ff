// Whether a source has gone quiet, by its own rhythm: hours in which it is usually silent do not count, and a silence is
// long only beside the silences that are usual for it. No fixed number of minutes would fit a shop and a nightly import.
//
// Time is measured in *expected active minutes*: an hour of the week in which usually 40 minutes have events counts 40,
// a night counts nothing. In that measure a source's silences are comparable, by day and by night.

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const WEEK_HOURS = 168;
/** 1970-01-01 was a Thursday; any fixed beginning of a week will do. */
const hourOfWeek = (hourMs: number): number => Math.floor(hourMs / HOUR_MS) % WEEK_HOURS;

/** What an hour of receipt (UTC) held; hours without events are left out. Ascending. */
export interface ActiveHour {
  readonly startMs: number;
  readonly events: number;
  /** Minutes with at least one event, 1 to 60. */
  readonly minutes: number;
  readonly firstMs: number;
  readonly lastMs: number;
  /** When the last of them came into the log: long after its receipt, if it is history that is fed in. */
  readonly appendedMs: number;
}

/** Below it, a source has no rhythm yet. */
export const EVENTS_MIN = 100;
export const ACTIVE_HOURS_MIN = 12;
/** A week, so that its weekend is among the silences. */
export const HISTORY_MS_MIN = 7 * DAY_MS;
/** From here on the hour of the week is known, and a silence unlike all others was an outage, not a weekend. */
const WEEKLY_MS_MIN = 14 * DAY_MS;
/** A shorter silence is never told. */
export const SILENCE_MS_MIN = 5 * MINUTE_MS;
/**
 * How far beyond the longest usual silence one must be: a tenth, and so many times what lies between the usual and the
 * longest. A source as regular as a clock has nothing between them; one that comes at random has much, and with few
 * silences to go by the longest is still to be seen.
 */
const MARGIN = 1.1;
const SPREADS = 1;
const SPREADS_OF_FEW = 3;
const FEW_SILENCES = 168;
/** A silence so many times the next longest was an outage itself, and is no measure; so many are left out at most. */
const OUTAGE_FACTOR = 3;
const OUTAGES_MAX = 3;

export interface Quiet {
  /** `unknown`: too little history to have a rhythm. */
  readonly status: 'lively' | 'quiet' | 'unknown';
  readonly lastMs: number;
  readonly silentMs: number;
  /** Expected active minutes within the silence. */
  readonly missedMinutes: number;
  /** Above it the source is quiet. */
  readonly allowedMinutes: number;
}

interface Rhythm {
  /** Expected active minutes of the hour that begins then. */
  rate(hourMs: number): number;
}

/**
 * The mean of the hour of the week, once two weeks are known; before that of the hour of the day. The silence at the end is history too, but not of what is usual.
 */
function rhythmOf(hours: readonly ActiveHour[], untilMs: number): Rhythm {
  const fromMs = hours[0]!.startMs;
  const known = untilMs - fromMs;
  const cycle = known >= WEEKLY_MS_MIN ? WEEK_HOURS : 24;
  const sums = new Array<number>(cycle).fill(0);
  const counts = new Array<number>(cycle).fill(0);
  for (let hourMs = fromMs; hourMs < untilMs; hourMs += HOUR_MS) counts[hourOfWeek(hourMs) % cycle]! += 1;
  for (const { startMs, minutes } of hours) sums[hourOfWeek(startMs) % cycle]! += minutes;
  return {
    rate: (hourMs) => {
      const slot = hourOfWeek(hourMs) % cycle;
      return counts[slot] === 0 ? 0 : sums[slot]! / counts[slot]!;
    },
  };
}

/** Expected active minutes between two times, each hour's spread evenly over it. */
function expectedBetween(rhythm: Rhythm, fromMs: number, toMs: number): number {
  let expected = 0;
  for (let hourMs = Math.floor(fromMs / HOUR_MS) * HOUR_MS; hourMs < toMs; hourMs += HOUR_MS) {
    const part = Math.min(toMs, hourMs + HOUR_MS) - Math.max(fromMs, hourMs);
    expected += (rhythm.rate(hourMs) * part) / HOUR_MS;
  }
  return expected;
}

/**
 * The longest silence that is no alarm. Silences are sampled at the turn of each active hour: from its last event to the next
 * hour's first. Such a sample meets long ones more often than short ones, which is what is wanted.
 */
function allowedOf(silences: readonly number[], knownMs: number): number {
  const descending = [...silences].sort((a, b) => b - a);
  let at = 0;
  while (
    knownMs >= WEEKLY_MS_MIN &&
    at < OUTAGES_MAX &&
    at + 1 < descending.length &&
    descending[at]! > OUTAGE_FACTOR * Math.max(descending[at + 1]!, 1)
  )
    at += 1;
  const longest = descending[at] ?? 0;
  const median = descending[Math.floor(descending.length / 2)] ?? 0;
  const spreads = silences.length >= FEW_SILENCES ? SPREADS : SPREADS_OF_FEW;
  // At least one event was to be expected.
  return Math.max(1, MARGIN * longest + spreads * (longest - median));
}

/** @param hours of the past weeks, up to `nowMs` */
export function quietOf(hours: readonly ActiveHour[], nowMs: number): Quiet {
  const last = hours.at(-1);
  const lastMs = last?.lastMs ?? 0;
  // A source whose history is being fed in is not silent, however old what comes is.
  const silentSinceMs = hours.reduce((latestMs, { appendedMs }) => Math.max(latestMs, appendedMs), lastMs);
  const silentMs = Math.max(0, nowMs - silentSinceMs);
  const events = hours.reduce((sum, hour) => sum + hour.events, 0);
  const unknown = { status: 'unknown', lastMs, silentMs, missedMinutes: 0, allowedMinutes: 0 } as const;
  if (last === undefined || events < EVENTS_MIN || hours.length < ACTIVE_HOURS_MIN) return unknown;
  if (lastMs - hours[0]!.firstMs < HISTORY_MS_MIN) return unknown;
  const rhythm = rhythmOf(hours, lastMs);
  const silences = hours
    .slice(1)
    .map((hour, index) => expectedBetween(rhythm, hours[index]!.lastMs, hour.firstMs));
  const allowedMinutes = allowedOf(silences, lastMs - hours[0]!.firstMs);
  const missedMinutes = expectedBetween(rhythm, silentSinceMs, nowMs);
  const isQuiet = silentMs >= SILENCE_MS_MIN && missedMinutes > allowedMinutes;
  return { status: isQuiet ? 'quiet' : 'lively', lastMs, silentMs, missedMinutes, allowedMinutes };
}
