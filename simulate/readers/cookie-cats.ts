// A mobile game's experiment on where its first gate stands: one player a row. Everybody is exposed on the first day; who
// came back after one day, and after seven, is a visit. The set has no dates: the first day is `--date`.
import type { FeedExposure, FeedMessage } from '../feed.ts';
import { type CsvRow, csvRows, rowError } from './csv-rows.ts';
import { experimentDefinition, exposureOf } from './experiments.ts';
import { messageOf } from './message.ts';
import type { Reader, ReaderOptions } from './reader.ts';
import { countOf, dateOf } from './values.ts';

const FORMAT = 'cookie-cats';
const COLUMNS = ['userid', 'version', 'sum_game_rounds', 'retention_1', 'retention_7'];
const EXPERIMENT = 'gate';
const VARIANTS = ['gate_30', 'gate_40'];
const DEFAULT_DATE = '2016-01-01';
const DAY_MS = 86_400_000;
const RETURNS = [1, 7] as const;

function keyOf(file: string, row: CsvRow): string {
  const player = row.get('userid');
  return /^\d+$/.test(player) ? `u:${player}` : rowError(file, row, `userid is ${JSON.stringify(player)}`);
}

function cameBack(file: string, row: CsvRow, day: number): boolean {
  const value = row.get(`retention_${day}`);
  if (value !== 'True' && value !== 'False')
    rowError(file, row, `retention_${day} is ${JSON.stringify(value)}, not True or False`);
  return value === 'True';
}

async function* exposures(
  file: string,
  options: ReaderOptions,
): AsyncGenerator<FeedExposure, void, undefined> {
  const timeMs = dateOf(options, DEFAULT_DATE);
  for await (const row of csvRows(file, COLUMNS)) {
    const variant = row.get('version');
    if (!VARIANTS.includes(variant)) rowError(file, row, `version is ${JSON.stringify(variant)}`);
    const key = keyOf(file, row);
    const place = { format: FORMAT, file, options, row: row.number };
    yield exposureOf({ ...place, key, experiment: EXPERIMENT, variant, timeMs });
  }
}

async function* returns(
  file: string,
  options: ReaderOptions,
  day: number,
): AsyncGenerator<FeedMessage, void, undefined> {
  const startMs = dateOf(options, DEFAULT_DATE);
  for await (const row of csvRows(file, COLUMNS)) {
    if (!cameBack(file, row, day)) continue;
    yield messageOf({
      format: FORMAT,
      file,
      options,
      row: row.number,
      part: day === 1 ? 'first' : 'seventh',
      key: keyOf(file, row),
      timeMs: startMs + day * DAY_MS,
      properties: { day, gameRounds: countOf(file, row, 'sum_game_rounds'), country: 'ZZ' },
    });
  }
}

/** The file once for the assignments and once for each day of return: no day's rows have to be held. */
async function* read(
  file: string,
  options: ReaderOptions,
): AsyncGenerator<FeedExposure | FeedMessage, void, undefined> {
  yield* exposures(file, options);
  for (const day of RETURNS) yield* returns(file, options, day);
}

export const cookieCats: Reader = {
  format: FORMAT,
  summary: 'a game experiment: exposures, visits after 1 and 7 days',
  topic: 'events',
  read,
  definitions: async () => [experimentDefinition(EXPERIMENT, 'Where the first gate stands', VARIANTS)],
};
