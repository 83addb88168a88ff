// Each alert has a fault that causes it; and a fault that is misspelled is no run in which all alerts fired.
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { faults } from '../../loadtest/alerts/faults.ts';

const RULES = new URL('../../ops/prometheus/', import.meta.url);

it('each alert of the rules has a fault that causes it', () => {
  const texts = readdirSync(RULES)
    .filter((name) => name.endsWith('.rules.yml'))
    .map((name) => readFileSync(new URL(name, RULES), 'utf8'));
  const alerts = texts.flatMap((text) => [...text.matchAll(/- alert: (\w+)/g)].map(([, name]) => name));
  expect([...new Set(faults.flatMap((fault) => fault.alerts))].sort()).toEqual(alerts.sort());
});

it('npm run alerts says which faults there are where none is meant', () => {
  const script = fileURLToPath(new URL('../../loadtest/alerts/run.ts', import.meta.url));
  const { status, stdout } = spawnSync(process.execPath, ['--import', 'tsx', script, 'no such thing'], {
    encoding: 'utf8',
    timeout: 100_000,
  });
  expect([status, stdout]).toEqual([1, expect.stringContaining('the keys file is broken by hand')]);
});
