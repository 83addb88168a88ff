// How `flywheel status` looks in a terminal: aligned columns, colour only where somebody looks.

/** One column: its heading, and whether its values are numbers. */
export type Column = readonly [heading: string, align: 'left' | 'right'];
export type Tone = 'good' | 'bad' | 'plain';

const colours: Record<Tone, string> = { good: '\u001b[32m', bad: '\u001b[31m', plain: '' };
const PLAIN = '\u001b[0m';

export interface Line {
  readonly cells: readonly string[];
  readonly tone: Tone;
}

function aligned(cells: readonly string[], widths: readonly number[], columns: readonly Column[]): string {
  const padded = cells.map((cell, index) =>
    columns[index]![1] === 'right' ? cell.padStart(widths[index]!) : cell.padEnd(widths[index]!),
  );
  return padded.join('  ').trimEnd();
}

/** Headings and lines, as wide as their widest cell. */
export function tableOf(columns: readonly Column[], lines: readonly Line[], isTerminal: boolean): string[] {
  const widths = columns.map(([heading], index) =>
    Math.max(heading.length, ...lines.map(({ cells }) => cells[index]!.length)),
  );
  const headings = columns.map(([heading]) => heading);
  return [
    aligned(headings, widths, columns),
    ...lines.map(({ cells, tone }) => {
      const text = aligned(cells, widths, columns);
      return isTerminal && tone !== 'plain' ? `${colours[tone]}${text}${PLAIN}` : text;
    }),
  ];
}

/** `12 ms`, `3.4 s`, `5 min`, `2.0 h`. */
export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  return ms < 3_600_000 ? `${Math.round(ms / 60_000)} min` : `${(ms / 3_600_000).toFixed(1)} h`;
}
