// The small parts of a process: failpoints, bugs on purpose, API keys, metrics, the cutting of SQL files.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Counter } from 'prom-client';
import { describe, expect, test } from 'vitest';
import { bugNames, createBug } from '../../platform/bug.ts';
import { createFailpoint } from '../../platform/failpoint.ts';
import { createRegistry, serveMetrics } from '../../platform/metrics.ts';
import { statementsOf } from '../../platform/migrate-sql.ts';

describe('failpoint', () => {
  const module = fileURLToPath(new URL('../../platform/failpoint.ts', import.meta.url));
  const run = (setting: string) => {
    const script = `import { createFailpoint } from ${JSON.stringify(module)};
      const failpoint = createFailpoint(${JSON.stringify(setting)});
      for (let i = 1; i <= 5; i++) { failpoint('other'); failpoint('here'); console.log(i); }`;
    return spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
      encoding: 'utf8',
    });
  };

  test.each([
    ['here', ''],
    ['here:3', '1\n2\n'],
  ])('%s kills the process by SIGKILL, before one more step', (setting, printed) => {
    const { signal, stdout, stderr } = run(setting);
    expect({ signal, stdout }).toEqual({ signal: 'SIGKILL', stdout: printed });
    expect(stderr).toContain(`failpoint ${setting}`);
  });

  test('another name, or none, does nothing', () => {
    expect(run('elsewhere').stdout).toBe('1\n2\n3\n4\n5\n');
    createFailpoint('')('here');
  });

  test.each(['here:0', ':1', 'here:x', 'here there'])('the setting %s is refused', (setting) => {
    expect(() => createFailpoint(setting)).toThrow('must be `name` or `name:n`');
  });
});

describe('bug', () => {
  test('only the one that is set is on', () => {
    for (const on of bugNames) expect(bugNames.filter((name) => createBug(on)(name))).toEqual([on]);
    expect(bugNames.filter((name) => createBug('')(name))).toEqual([]);
  });

  test('a name that is none is refused', () => {
    expect(() => createBug('lost-row')).toThrow('last-row-dropped');
  });
});

describe('metrics', () => {
  test('each registry is its own and is served as text', async () => {
    const registry = createRegistry();
    new Counter({ name: 'flywheel_probe_total', help: 'probe', registers: [registry] }).inc(3);
    const server = await serveMetrics(registry, { host: '127.0.0.1', port: 0 });
    const answer = await fetch(server.url);
    expect(answer.headers.get('content-type')).toContain('text/plain');
    const text = await answer.text();
    expect(text).toContain('flywheel_probe_total 3');
    expect(text).toContain('nodejs_eventloop_lag_seconds');
    expect((await fetch(new URL('/healthz', server.url))).status).toBe(200);
    expect((await fetch(new URL('/other', server.url))).status).toBe(404);
    await server.close();
    await expect(fetch(server.url)).rejects.toThrow();
    expect(await createRegistry().metrics()).not.toContain('flywheel_probe_total');
  });
});

describe('SQL files', () => {
  test('are cut at lines of four dashes, comments alone are no statement', () => {
    const sql =
      '-- what it is\nCREATE TABLE a (x String); -- not ---- here\n----\n-- nothing\n----\n\nSELECT 1;\n';
    expect(statementsOf(sql)).toEqual([
      '-- what it is\nCREATE TABLE a (x String); -- not ---- here',
      'SELECT 1',
    ]);
  });
});
