// The rows of a request, whichever way they were put: one object, an array, an object around an array, or CSV.
import { parse } from 'csv-parse/sync';

/** One row, or why a line of CSV is none. */
export type GivenRow =
  | { readonly value: unknown; readonly fault?: undefined }
  | { readonly value: unknown; readonly fault: string };

function rowOf(header: readonly string[], cells: readonly string[]): GivenRow {
  const value = Object.fromEntries(
    cells.map((cell, index) => [header[index] ?? `column ${index + 1}`, cell]),
  );
  if (cells.length === header.length) return { value };
  return { value, fault: `the line has ${cells.length} columns, the header ${header.length}` };
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

/** `container` names the member that holds the array; its siblings `receivedAt` and `currency` hold for all rows. */
export function rowsOfJson(value: unknown, container: string): readonly GivenRow[] {
  if (Array.isArray(value)) return value.map((row) => ({ value: row }));
  if (typeof value !== 'object' || value === null) throw new Error('it must be a JSON object or array');
  const rows = (value as Record<string, unknown>)[container];
  if (rows === undefined) return [{ value }];
  if (!Array.isArray(rows)) throw new Error(`"${container}" must be an array`);
  const { [container]: _rows, ...shared } = value as Record<string, unknown>;
  return rows.map((row) => ({
    value: typeof row === 'object' && row !== null && !Array.isArray(row) ? { ...shared, ...row } : row,
  }));
}
