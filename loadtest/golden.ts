// `npm run golden -- FILE…`: holds `domain/` against golden files and prints, per kind, compared, failed and the
// largest gap, or that the kind is not built yet. Exit code 1 at a failure or at a file that is none.
import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Judges } from './golden/check.ts';
import { funnelJudges } from './golden/funnel.ts';
import { hashingJudges } from './golden/hashing.ts';
import { type FileScore, GoldenFileError, type KindScore, runGoldenFile } from './golden/run.ts';

const judges: Judges = { ...funnelJudges, ...hashingJudges };

function describeKind({ kind, cases, check }: KindScore): string[] {
  const head = `  ${kind.padEnd(28)} cases ${String(cases).padStart(4)}`;
  if (check === undefined) return [`${head}  not built yet`];
  const { compared, failed, largestGap } = check;
  return [
    `${head}  compared ${String(compared).padStart(6)}  failed ${failed}  largest gap ${largestGap}`,
    ...[...check.notes].map((note) => `      left out: ${note}`),
    ...check.failures.map((failure) => `      FAILED ${failure}`),
    ...(failed > check.failures.length ? [`      … and ${failed - check.failures.length} more`] : []),
  ];
}

function describeFile(score: FileScore): string[] {
  if (score.type === 'trace')
    return [score.file, `  a trace of ${score.rows} rows: judged by the cases that name it`];
  return [score.file, ...score.kinds.flatMap(describeKind)];
}

function totals(scores: readonly FileScore[]): { compared: number; failed: number; unbuilt: number } {
  const kinds = scores.flatMap((score) => (score.type === 'golden' ? score.kinds : []));
  return {
    compared: kinds.reduce((sum, { check }) => sum + (check?.compared ?? 0), 0),
    failed: kinds.reduce((sum, { check }) => sum + (check?.failed ?? 0), 0),
    unbuilt: kinds.filter(({ check }) => check === undefined).length,
  };
}

/** Runs the files, prints, and answers the exit code. */
export async function golden(paths: readonly string[], print: (line: string) => void): Promise<number> {
  if (paths.length === 0) {
    print('usage: npm run golden -- FILE…   (JSON of the form { cases: [{ id, kind, input, expected }] })');
    return 1;
  }
  const scores: FileScore[] = [];
  for (const path of paths) {
    try {
      const score = await runGoldenFile(path, judges);
      scores.push(score);
      describeFile(score).forEach(print);
    } catch (error) {
      if (!(error instanceof GoldenFileError)) throw error;
      print(`error: ${error.message}`);
      return 1;
    }
  }
  const { compared, failed, unbuilt } = totals(scores);
  print(`total: compared ${compared}, failed ${failed}, kinds not built yet ${unbuilt}`);
  return failed > 0 ? 1 : 0;
}

// A checkout may be reached by a symbolic link, which only one of the two names has resolved.
if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  process.exitCode = await golden(process.argv.slice(2), (line) => console.log(line));
}
