// Settled spend by hour and country: reports and the notices beside them, as one additive sum for the hour, the day,
// the campaign and the account. Whatever changes a sum is told as an absolute value.
import {
  type AccountDay,
  type AccountState,
  type Book,
  type Figures,
  findDay,
  foldHourOf,
  HOUR_MS,
  HOURS,
  isOpen,
  type ReportCell,
  WHOLE_DAY,
} from '../account.ts';
import type { Effect } from '../effect.ts';
import { bookReports, covers, type SettledCell, withCell } from './cells.ts';
import { addNotice, dropCounted, foldMinutes, hourOfBucket } from './notices.ts';

/** The day's books, begun if it has none. */
export function openDay(state: AccountState, startMs: number): AccountDay {
  const found = findDay(state, startMs);
  if (found !== undefined) return found;
  const day: AccountDay = { startMs, settledMicros: 0, auctions: [], books: [] };
  state.days.push(day);
  state.days.sort((a, b) => a.startMs - b.startMs);
  return day;
}

export function findBook(day: AccountDay | undefined, campaign: string, channel: string): Book | undefined {
  return day?.books.find((book) => book.campaign === campaign && book.channel === channel);
}

export function openBook(day: AccountDay, campaign: string, channel: string): Book {
  const found = findBook(day, campaign, channel);
  if (found !== undefined) return found;
  const book: Book = { campaign, channel, cells: [], notices: [], clearedMicros: 0, settledMicros: 0 };
  day.books.push(book);
  day.books.sort((a, b) => {
    if (a.campaign !== b.campaign) return a.campaign < b.campaign ? -1 : 1;
    return a.channel < b.channel ? -1 : 1;
  });
  return book;
}

function addFigures(cells: Map<string, SettledCell>, hour: number, country: string, added: Figures): void {
  const key = `${hour}|${country}`;
  const cell = cells.get(key);
  if (cell === undefined) {
    cells.set(key, { hour, country, figures: [...added] });
    return;
  }
  for (let figure = 0; figure < added.length; figure += 1) cell.figures[figure]! += added[figure]!;
}

/** Everything settled in one book by hour and country, in that order. */
export function settledCells(book: Book, dayMs: number): SettledCell[] {
  const cells = new Map<string, SettledCell>();
  for (const { hour, country, figures } of bookReports(book.cells, dayMs))
    addFigures(cells, hour, country, figures);
  for (const bucket of book.notices) {
    const [, country, , impressions, clicks, costMicros] = bucket;
    addFigures(cells, hourOfBucket(bucket), country, [impressions, clicks, costMicros]);
  }
  return [...cells.values()].sort((a, b) => a.hour - b.hour || (a.country < b.country ? -1 : 1));
}

function settledAt(book: Book, dayMs: number, hour: number, country: string): Figures {
  const isHere = (cell: SettledCell): boolean => cell.hour === hour && cell.country === country;
  const figures: Figures = bookReports(book.cells, dayMs).find(isHere)?.figures ?? [0, 0, 0];
  for (let index = book.notices.length - 1; index >= 0; index -= 1) {
    const bucket = book.notices[index]!;
    const bucketHour = hourOfBucket(bucket);
    if (bucketHour < hour) break;
    if (bucketHour > hour || bucket[1] !== country) continue;
    figures[0] += bucket[3];
    figures[1] += bucket[4];
    figures[2] += bucket[5];
  }
  return figures;
}

interface Place {
  readonly state: AccountState;
  readonly day: AccountDay;
  readonly book: Book;
}

function addSettled({ state, day, book }: Place, changeMicros: number): void {
  book.settledMicros += changeMicros;
  day.settledMicros += changeMicros;
  state.settledMicros += changeMicros;
}

function pushSettled({ state, day, book }: Place, cell: SettledCell, effects: Effect[]): void {
  effects.push({
    kind: 'set',
    series: `campaign:${book.campaign}`,
    revision: 0,
    timeMs: day.startMs + cell.hour * HOUR_MS,
    cell: `${cell.country}|${book.channel}|${state.id}`,
    values: cell.figures,
  });
}

/** Settles a notice, unless a report in force has counted it already. */
export function settleNotice(
  place: Place,
  country: string,
  timeMs: number,
  figures: Figures,
  nowMs: number,
  effects: Effect[],
): void {
  const { day, book } = place;
  const hour = Math.floor((timeMs - day.startMs) / HOUR_MS);
  if (book.cells.some((cell) => covers(cell, country, hour, timeMs))) return;
  addNotice(book, day.startMs, country, timeMs, figures, nowMs);
  addSettled(place, figures[2]);
  pushSettled(place, { hour, country, figures: settledAt(book, day.startMs, hour, country) }, effects);
}

/** Puts a report into force that `judgeCell` has found to apply. */
export function settleReport(place: Place, cell: ReportCell, effects: Effect[]): void {
  const { day, book } = place;
  const before = new Map(
    settledCells(book, day.startMs).map((settled) => [`${settled.hour}|${settled.country}`, settled]),
  );
  book.cells = withCell(book.cells, cell);
  dropCounted(book, cell);
  let settledMicros = 0;
  for (const settled of settledCells(book, day.startMs)) {
    settledMicros += settled.figures[2];
    const key = `${settled.hour}|${settled.country}`;
    const old = before.get(key)?.figures;
    before.delete(key);
    if (old === undefined || old.some((value, figure) => value !== settled.figures[figure])) {
      pushSettled(place, settled, effects);
    }
  }
  for (const gone of before.values()) pushSettled(place, { ...gone, figures: [0, 0, 0] }, effects);
  addSettled(place, settledMicros - book.settledMicros);
}

/** What the book would settle with this report in force, after what the time has joined by then. The book stays as it is. */
export function settledWith(book: Book, cell: ReportCell, dayMs: number, nowMs: number): number {
  const copy = { ...book, cells: withCell(book.cells, cell) };
  foldMinutes(copy, dayMs, nowMs);
  dropCounted(copy, cell);
  return settledCells(copy, dayMs).reduce((sum, { figures }) => sum + figures[2], 0);
}

/** What a platform reported above what our own bids had cleared in this book; 0 where we placed none. */
export function reportedOverspend(book: Book): number {
  return book.clearedMicros === 0 ? 0 : Math.max(0, book.settledMicros - book.clearedMicros);
}

/** Once an hour of the watermark: closes days that are over for good, joins the minutes of hours long ago. */
export function foldDays(state: AccountState, nowMs: number): void {
  if (foldHourOf(nowMs) <= state.foldedMs) return;
  state.foldedMs = foldHourOf(nowMs);
  for (const day of state.days) {
    if (isOpen(day.startMs, nowMs)) for (const book of day.books) foldMinutes(book, day.startMs, nowMs);
    else for (const book of day.books) closeBook(state, book);
  }
  if (state.days.some((day) => !isOpen(day.startMs, nowMs))) {
    state.days = state.days.filter((day) => isOpen(day.startMs, nowMs));
  }
}

function closeBook(state: AccountState, book: Book): void {
  state.counters.closedReportedOverspendMicros += reportedOverspend(book);
  const closed = state.closed.find((candidate) => candidate.campaign === book.campaign);
  if (closed !== undefined) {
    closed.settledMicros += book.settledMicros;
    return;
  }
  state.closed.push({ campaign: book.campaign, settledMicros: book.settledMicros });
  state.closed.sort((a, b) => (a.campaign < b.campaign ? -1 : 1));
}

/** The day's traffic by hour: auctions that we bid in, or else impressions whose hour is known. */
export function trafficByHour(day: AccountDay): number[] {
  if (day.auctions.length > 0) return day.auctions;
  const impressions = new Array<number>(HOURS).fill(0);
  for (const book of day.books) {
    const cells = book.cells.filter((cell) => cell[1] !== WHOLE_DAY);
    for (const { hour, figures } of settledCells({ ...book, cells }, day.startMs))
      impressions[hour]! += figures[0];
  }
  return impressions;
}

/** Counts a win or a loss as an auction that we took part in. */
export function countAuction(day: AccountDay, timeMs: number): void {
  if (day.auctions.length === 0) day.auctions = new Array<number>(HOURS).fill(0);
  const hour = Math.min(HOURS - 1, Math.floor((timeMs - day.startMs) / HOUR_MS));
  day.auctions[hour]! += 1;
}
