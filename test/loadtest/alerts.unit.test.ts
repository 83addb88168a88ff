// Each alert has a fault that causes it; and a fault that is misspelled is no run in which all alerts fired.
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { faults } from '../../loadtest/alerts/faults.ts';
import { alertOf, isWanted } from '../../loadtest/alerts/victim.ts';

const RULES = new URL('../../ops/prometheus/', import.meta.url);

const texts = readdirSync(RULES)
  .filter((name) => name.endsWith('.rules.yml'))
  .map((name) => readFileSync(new URL(name, RULES), 'utf8'));

it('each alert of the rules has a fault that causes it', () => {
  const alerts = texts.flatMap((text) => [...text.matchAll(/- alert: (\w+)/g)].map(([, name]) => name));
  expect([...new Set(faults.flatMap((fault) => fault.alerts.map(alertOf)))].sort()).toEqual(alerts.sort());
});

it('each objective is missed by a fault, so that both of its alerts fire', () => {
  const objectives = texts.flatMap((text) =>
    [...text.matchAll(/objective_requests:rate5m\n +labels: \{ objective: (\w+) \}/g)].map(
      ([, name]) => name!,
    ),
  );
  expect(objectives).toHaveLength(4);
  const wanted = faults.flatMap(({ alerts }) => alerts).filter((each) => typeof each !== 'string');
  for (const alertname of ['FlywheelObjectiveBurnsFast', 'FlywheelObjectiveBurnsSlowly'])
    for (const objective of objectives)
      expect([objective, wanted.some((each) => isWanted(each, { alertname, objective }))]).toEqual([
        objective,
        true,
      ]);
});

it('an alert of another objective is not the one that is waited for', () => {
  const wanted = { alert: 'FlywheelObjectiveBurnsFast', labels: { objective: 'bid' } };
  const fires = (objective: string, alertname = 'FlywheelObjectiveBurnsFast') =>
    isWanted(wanted, { alertname, objective, severity: 'critical' });
  expect([fires('bid'), fires('collect'), fires('bid', 'FlywheelObjectiveBurnsSlowly')]).toEqual([
    true,
    false,
    false,
  ]);
});

it('npm run alerts says which faults there are where none is meant', () => {
  const script = fileURLToPath(new URL('../../loadtest/alerts/run.ts', import.meta.url));
  const { status, stdout } = spawnSync(process.execPath, ['--import', 'tsx', script, 'no such thing'], {
    encoding: 'utf8',
    timeout: 100_000,
  });
  expect([status, stdout]).toEqual([1, expect.stringContaining('the keys file is broken by hand')]);
});
