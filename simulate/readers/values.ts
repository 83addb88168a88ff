// Cells as values, each with the row's number in its complaint.
import { type CsvRow, FileError, rowError } from './csv-rows.ts';
import type { ReaderOptions } from './reader.ts';

const MICROS = 1_000_000;
const DECIMAL = /^-?\d+(?:\.\d+)?$/;

/** A finite decimal number. */
export function decimalOf(file: string, row: CsvRow, column: string): number {
  const text = row.get(column);
  if (!DECIMAL.test(text)) rowError(file, row, `${column} is ${JSON.stringify(text)}, not a number`);
  return Number(text);
}

/** A whole number from 0 on. */
export function countOf(file: string, row: CsvRow, column: string): number {
  const value = decimalOf(file, row, column);
  if (!Number.isSafeInteger(value) || value < 0) {
    rowError(file, row, `${column} is ${row.get(column)}, not a whole number from 0 on`);
  }
  return value;
}

/** Money in millionths, rounded to the nearest. */
export function microsOf(file: string, row: CsvRow, column: string): number {
  return Math.round(decimalOf(file, row, column) * MICROS);
}

const TIME = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?: UTC)?$/;

/** `YYYY-MM-DD HH:MM:SS`, in UTC. */
export function timeOf(file: string, row: CsvRow, column: string): number {
  const match = TIME.exec(row.get(column));
  const timeMs = match === null ? Number.NaN : Date.parse(`${match[1]}T${match[2]}Z`);
  if (Number.isNaN(timeMs))
    rowError(file, row, `${column} is ${JSON.stringify(row.get(column))}, not a time`);
  return timeMs;
}

/** `YYYY-MM-DD`: its midnight in UTC, or null. */
export function dayOf(text: string): number | null {
  const timeMs = /^\d{4}-\d\d-\d\d$/.test(text) ? Date.parse(`${text}T00:00:00Z`) : Number.NaN;
  return Number.isNaN(timeMs) ? null : timeMs;
}

/**
 * Midnight (UTC) of the day that a set without dates is taken to be of.
 * @throws FileError if the date is not `YYYY-MM-DD`.
 */
export function dateOf(options: ReaderOptions, otherwise: string): number {
  const text = options.date ?? otherwise;
  const dayMs = dayOf(text);
  if (dayMs === null)
    throw new FileError('FILE_NOT_OF_FORMAT', `the date ${JSON.stringify(text)} is not YYYY-MM-DD`);
  return dayMs;
}
