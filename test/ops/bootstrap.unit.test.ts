// The bootstrap's refusals, the closing line of CI, and that the guard of the folders' arrows passes on these sources.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const PROJECT = fileURLToPath(new URL('../..', import.meta.url));

let dir: string;

beforeAll(() => {
  dir = mkdtempSync(path.join(tmpdir(), 'flywheel-bootstrap-'));
});

afterAll(() => rmSync(dir, { recursive: true, force: true }));

function run(args: readonly string[], environment: NodeJS.ProcessEnv = process.env) {
  return spawnSync(process.execPath, args, { cwd: PROJECT, env: environment, encoding: 'utf8' });
}

describe('bin/bootstrap.js', () => {
  test('says how it is used', () => {
    expect(run(['bin/bootstrap.js', 'nonsense'])).toMatchObject({
      status: 1,
      stderr: '\nUsage: node bin/bootstrap.js up|test|prepare [options]\n',
    });
  });

  test('names what is missing, and the packages that bring it, in one line', () => {
    const { status, stdout, stderr } = run(['bin/bootstrap.js', 'prepare'], { PATH: dir });
    expect(status).toBe(1);
    expect(stdout).toBe('[1/4] tools (about 1.0 s)\n');
    expect(stderr).toBe(
      '\nMissing: Python 3, a C++ compiler, make, Prometheus, Java 17, Maven, Redis 7, Chromium, Python venv. On Debian or Ubuntu: sudo apt-get install python3 g++ make prometheus openjdk-17-jre-headless maven redis-server chromium python3-venv\n',
    );
  });

  test('asks for no part that runs elsewhere', () => {
    const { stderr } = run(['bin/bootstrap.js', 'up'], {
      PATH: dir,
      KAFKA_BROKERS: 'far:9092',
      REDIS_URL: 'redis://far',
    });
    expect(stderr).toContain('Missing: Python 3, a C++ compiler, make, Prometheus. On');
  });
});

describe('bin/ci-result.js', () => {
  const passing = {
    numPassedTests: 12,
    numFailedTests: 0,
    numPendingTests: 1,
    numTodoTests: 1,
    testResults: [{ name: 'a', status: 'passed', assertionResults: [{ status: 'passed' }] }],
  };

  function close(report: object | undefined, extraFailures: string, testsStatus: string) {
    const file = path.join(dir, 'report.json');
    rmSync(file, { force: true });
    if (report !== undefined) writeFileSync(file, JSON.stringify(report));
    const { status, stdout } = run(['bin/ci-result.js', file, extraFailures, testsStatus]);
    return { status, last: stdout.trimEnd().split('\n').at(-1) };
  }

  test('closes with the sum alone on the last line', () => {
    expect(close(passing, '0', '0')).toEqual({ status: 0, last: '12 passed, 0 failed, 2 skipped' });
  });

  test('fails for a failed test, a file that did not load, a failed step, a crash and a missing report', () => {
    expect(close({ ...passing, numFailedTests: 2 }, '0', '1')).toEqual({
      status: 1,
      last: '12 passed, 2 failed, 2 skipped',
    });
    const broken = { name: 'b', status: 'failed', message: 'no such module', assertionResults: [] };
    expect(close({ ...passing, testResults: [broken] }, '0', '1')).toMatchObject({
      last: '12 passed, 1 failed, 2 skipped',
    });
    expect(close(passing, '1', '0')).toEqual({ status: 1, last: '12 passed, 1 failed, 2 skipped' });
    expect(close(passing, '0', '124')).toEqual({ status: 1, last: '12 passed, 1 failed, 2 skipped' });
    expect(close(undefined, '0', '1')).toEqual({ status: 1, last: '0 passed, 1 failed, 0 skipped' });
  });
});

test('bin/check-boundaries.js finds every planted violation, and no other', () => {
  const { status, stdout, stderr } = run(['bin/check-boundaries.js']);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(stdout).toMatch(/^boundaries: [1-9]\d* files, 0 faults\n$/);
});
