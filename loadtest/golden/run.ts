// Runs golden files: one score a kind and file. A file that cannot be read or has not the form stops the run.
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { createInterface } from 'node:readline';
import { createGunzip } from 'node:zlib';
import { z } from 'zod';
import { type Check, fail, type GoldenCase, goldenFile, type Judges, newCheck } from './check.ts';

const TRACE = '.jsonl.gz';

/** The score of a kind in a file; no check where nobody judges that kind yet. */
export interface KindScore {
  readonly kind: string;
  readonly cases: number;
  readonly check: Check | undefined;
}

/** A golden file with its kinds, or a trace that golden files name: its rows are read, there is nothing to judge. */
export type FileScore =
  | { readonly type: 'golden'; readonly file: string; readonly kinds: readonly KindScore[] }
  | { readonly type: 'trace'; readonly file: string; readonly rows: number };

/** A file that is missing or is no golden file; the message says which and why. */
export class GoldenFileError extends Error {
  readonly code = 'GOLDEN_FILE';
}

function reasonOf(error: unknown): string {
  if (error instanceof z.ZodError)
    return error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ');
  return error instanceof Error ? error.message : String(error);
}

async function readCases(path: string): Promise<GoldenCase[]> {
  try {
    return goldenFile.parse(JSON.parse(await readFile(path, 'utf8'))).cases;
  } catch (error) {
    throw new GoldenFileError(
      `${path}: no golden file ({ cases: [{ id, kind, input, expected }] }): ${reasonOf(error)}`,
      {
        cause: error,
      },
    );
  }
}

async function countRows(path: string): Promise<number> {
  try {
    let rows = 0;
    const lines = createInterface({ input: createReadStream(path).pipe(createGunzip()) });
    for await (const line of lines) {
      JSON.parse(line);
      rows += 1;
    }
    return rows;
  } catch (error) {
    throw new GoldenFileError(`${path}: no trace (gzipped JSON lines): ${reasonOf(error)}`, { cause: error });
  }
}

/** A case that its judge cannot read, or in which it found nothing to compare, has failed. */
function judgeCase(judges: Judges, golden: GoldenCase, check: Check): void {
  const before = check.compared;
  try {
    judges[golden.kind]!(golden, check);
    if (check.compared === before) fail(check, golden.id, 'nothing was compared');
  } catch (error) {
    fail(check, golden.id, `cannot be judged: ${reasonOf(error)}`);
  }
}

/** Judges every case of one file; throws GoldenFileError where there is no such file or it has not the form. */
export async function runGoldenFile(path: string, judges: Judges): Promise<FileScore> {
  const file = basename(path);
  if (path.endsWith(TRACE)) return { type: 'trace', file, rows: await countRows(path) };
  const kinds = new Map<string, { cases: number; check: Check | undefined }>();
  for (const golden of await readCases(path)) {
    let score = kinds.get(golden.kind);
    if (score === undefined) {
      score = { cases: 0, check: Object.hasOwn(judges, golden.kind) ? newCheck() : undefined };
      kinds.set(golden.kind, score);
    }
    score.cases += 1;
    if (score.check !== undefined) judgeCase(judges, golden, score.check);
  }
  return { type: 'golden', file, kinds: [...kinds].map(([kind, score]) => ({ kind, ...score })) };
}
