// The alert rules, by Prometheus' own tool: they are well-formed, and each goes off when it should and only then.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { findTool } from '../../ops/local/child.ts';

const folder = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const rules = folder('../../ops/prometheus/');
const tests = folder('./prometheus/');

function promtool(args: readonly string[], cwd: string): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(findTool('promtool', 'prometheus'), args, {
    cwd,
    encoding: 'utf8',
  });
  return { status, output: stdout + stderr };
}

it('every rules file is well-formed', () => {
  const files = readdirSync(rules).filter((name) => name.endsWith('.rules.yml'));
  expect(files).not.toHaveLength(0);
  const { status, output } = promtool(['check', 'rules', ...files], rules);
  expect([status, output]).toEqual([0, expect.stringContaining('SUCCESS')]);
});

it('every alert goes off when it should, and only then', () => {
  const files = readdirSync(tests).filter((name) => name.endsWith('.test.yml'));
  expect(files).toEqual(
    readdirSync(rules)
      .filter((name) => name.endsWith('.rules.yml'))
      .map((name) => name.replace('.yml', '.test.yml')),
  );
  const { status, output } = promtool(['test', 'rules', ...files], tests);
  expect([status, output]).toEqual([0, expect.stringContaining('SUCCESS')]);
});
