// Notices of one campaign, channel and day that no report has replaced, and the memory by which repeats are known.
import {
  type Book,
  DAY_MS,
  type Figures,
  foldHourOf,
  HOUR_MS,
  MAX_REMEMBERED_NOTICES,
  MINUTE_MS,
  MINUTES_KEPT_MS,
  type NoticeBucket,
  type NoticeMemory,
  type ReportCell,
} from '../account.ts';
import { covers } from './cells.ts';

const MINUTES_PER_HOUR = 60;
const EPOCH_MAX_MS = 7 * DAY_MS;
/** An epoch is the one before if it began so recently: twice the longest, whichever lengths the two have. */
const BEFORE_MAX_MS = 2 * EPOCH_MAX_MS;

function comparePlaces(a: NoticeBucket, minute: number, country: string): number {
  if (a[0] !== minute) return a[0] - minute;
  return a[1] < country ? -1 : a[1] > country ? 1 : 0;
}

/** Minutes of hours that ended long ago are kept as one: the hour's first. */
function keptMinute(minute: number, dayMs: number, nowMs: number): number {
  const hour = Math.floor(minute / MINUTES_PER_HOUR);
  const isOld = dayMs + (hour + 1) * HOUR_MS + MINUTES_KEPT_MS <= foldHourOf(nowMs);
  return isOld ? hour * MINUTES_PER_HOUR : minute;
}

/** Adds a notice to its minute. `timeMs` lies in the day that starts at `dayMs`. */
export function addNotice(
  book: Book,
  dayMs: number,
  country: string,
  timeMs: number,
  figures: Figures,
  nowMs: number,
): void {
  const minute = keptMinute(Math.floor((timeMs - dayMs) / MINUTE_MS), dayMs, nowMs);
  addBucket(book.notices, [minute, country, timeMs, ...figures]);
}

function addBucket(buckets: NoticeBucket[], added: NoticeBucket): void {
  let index = buckets.length;
  while (index > 0 && comparePlaces(buckets[index - 1]!, added[0], added[1]) >= 0) index -= 1;
  const bucket = buckets[index];
  if (bucket === undefined || comparePlaces(bucket, added[0], added[1]) !== 0) {
    buckets.splice(index, 0, added);
    return;
  }
  bucket[2] = Math.max(bucket[2], added[2]);
  bucket[3] += added[3];
  bucket[4] += added[4];
  bucket[5] += added[5];
}

/** Drops the minutes of which a report has counted every notice. */
export function dropCounted(book: Book, cell: ReportCell): void {
  book.notices = book.notices.filter(
    (bucket) => !covers(cell, bucket[1], Math.floor(bucket[0] / MINUTES_PER_HOUR), bucket[2]),
  );
}

/** Joins the minutes of hours that ended long ago. */
export function foldMinutes(book: Book, dayMs: number, nowMs: number): void {
  if (dayMs + HOUR_MS + MINUTES_KEPT_MS > foldHourOf(nowMs)) return;
  const isFolded = book.notices.every((bucket) => keptMinute(bucket[0], dayMs, nowMs) === bucket[0]);
  if (isFolded) return;
  const folded: NoticeBucket[] = [];
  for (const [minute, country, ...rest] of book.notices) {
    addBucket(folded, [keptMinute(minute, dayMs, nowMs), country, ...rest]);
  }
  book.notices = folded;
}

export function hourOfBucket(bucket: NoticeBucket): number {
  return Math.floor(bucket[0] / MINUTES_PER_HOUR);
}

/** Where `value` stands, or would stand, in ascending numbers. */
export function placeIn(ascending: readonly number[], value: number): number {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ascending[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Remembers a hash; `known` if it was there, `full` if there is no more room. */
export function rememberHash(ascending: number[], hash: number): 'added' | 'known' | 'full' {
  const place = placeIn(ascending, hash);
  if (ascending[place] === hash) return 'known';
  if (ascending.length >= MAX_REMEMBERED_NOTICES) return 'full';
  ascending.splice(place, 0, hash);
  return 'added';
}

/**
 * Remembers a notice without a lease in the watermark's epoch of `idMemoryMs`; repeats are known in that epoch and the
 * next that has a notice, so for at least `idMemoryMs` of watermark, whatever that was before.
 */
export function rememberNotice(
  memory: NoticeMemory,
  hash: number,
  nowMs: number,
  idMemoryMs: number,
): 'added' | 'known' | 'full' {
  const lengthMs = Math.min(Math.max(idMemoryMs, MINUTE_MS), EPOCH_MAX_MS);
  const epochMs = Math.floor(nowMs / lengthMs) * lengthMs;
  if (epochMs > memory.epochMs) {
    memory.previous = epochMs - memory.epochMs <= BEFORE_MAX_MS ? memory.current : [];
    memory.current = [];
    memory.epochMs = epochMs;
  }
  const place = placeIn(memory.previous, hash);
  if (memory.previous[place] === hash) return 'known';
  return rememberHash(memory.current, hash);
}
