// The rows of a request, whichever way they were put: one object, an array, an object around an array, or CSV.
import { parse } from 'csv-parse/sync';
import { firstOf } from '../../domain/text.ts';

/** One row, or why a line of CSV is none. */
export type GivenRow =
  | { readonly value: unknown; readonly fault?: undefined }
  | { readonly value: unknown; readonly fault: string };

/**
 * A line of another width is no row, and is not kept as one: nothing tells which of its cells stand under the wrong name, and
 * submitted again it would be taken for other figures.
 */
function rowOf(header: readonly string[], cells: readonly string[]): GivenRow {
  const named = Object.fromEntries(
    cells.map((cell, index) => [header[index] ?? `column ${index + 1}`, cell]),
  );
  if (cells.length === header.length) return { value: named };
  const fault = `the line has ${cells.length} columns, the header ${header.length}`;
  return { value: { fault, line: named }, fault };
}

/** @throws an Error that names the line for text that is no CSV, or has no header. */
export function rowsOfCsv(text: string): readonly GivenRow[] {
  const [header, ...lines] = parse(text, {
    bom: true,
    trim: true,
    record_delimiter: ['\r\n', '\n', '\r'],
    skip_empty_lines: true,
    relax_column_count: true,
  }) as string[][];
  if (header === undefined) throw new Error('it is empty; the first line must be a header');
  const [only = ''] = header;
  if (header.length === 1 && /[;\t]/.test(only))
    throw new Error(`its header is one column, ${JSON.stringify(only)}: columns must be parted by commas`);
  if (new Set(header).size < header.length) throw new Error('a name comes twice in its header');
  return lines.map((cells) => rowOf(header, cells));
}

/** What may stand beside the array and holds for all rows that do not say it themselves. */
const shared = ['receivedAt', 'currency'] as const;
/** Each row is kept with what it shares. */
const SHARED_CHARACTERS_MAX = 256;

/** @throws an Error for what does not hold for all rows: whoever wrote it thinks that it does. */
function sharedOf(siblings: Record<string, unknown>, container: string): Record<string, unknown> {
  for (const [name, value] of Object.entries(siblings)) {
    if (!(shared as readonly string[]).includes(name))
      throw new Error(
        `beside "${container}" there may be ${shared.join(' and ')}, not ${JSON.stringify(firstOf(name, 64))}`,
      );
    const isShort = typeof value === 'string' && value.length <= SHARED_CHARACTERS_MAX;
    if (!isShort && typeof value !== 'number' && value !== null)
      throw new Error(
        `"${name}" beside "${container}" must be a number or a text of at most ${SHARED_CHARACTERS_MAX} characters`,
      );
  }
  return siblings;
}

/** Exporters write every column, the empty ones too. */
function saysNothing(value: unknown): boolean {
  return value === undefined || value === null || (typeof value === 'string' && value.trim() === '');
}

/** The row, and of what is shared all that it does not say itself. */
function withShared(row: object, common: Record<string, unknown>): Record<string, unknown> {
  const own = row as Record<string, unknown>;
  const whole = { ...common, ...own };
  for (const [name, value] of Object.entries(common)) if (saysNothing(own[name])) whole[name] = value;
  return whole;
}

/** `container` names the member that holds the array; its siblings `receivedAt` and `currency` hold for all rows. */
export function rowsOfJson(value: unknown, container: string): readonly GivenRow[] {
  if (Array.isArray(value)) return value.map((row) => ({ value: row }));
  if (typeof value !== 'object' || value === null) throw new Error('it must be a JSON object or array');
  const rows = (value as Record<string, unknown>)[container];
  if (rows === undefined) return [{ value }];
  if (!Array.isArray(rows)) throw new Error(`"${container}" must be an array`);
  const { [container]: _rows, ...siblings } = value as Record<string, unknown>;
  const common = sharedOf(siblings, container);
  return rows.map((row) => ({
    value: typeof row === 'object' && row !== null && !Array.isArray(row) ? withShared(row, common) : row,
  }));
}
