import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const dir = mkdtempSync(path.join(tmpdir(), 'flywheel-cli-deliveries-'));
const file = path.join(dir, 'webhook-secrets.json');
afterAll(() => rmSync(dir, { recursive: true }));

function secret(name: string) {
  return spawnSync(process.execPath, ['bin/flywheel.js', 'deliveries', 'secret', name], {
    cwd: root,
    env: { PATH: process.env.PATH, JOBS_SECRETS_FILE: file },
    encoding: 'utf8',
  });
}

it('a secret has a name that a receiver could give, and another one is refused before anything is written', () => {
  for (const name of ['bad/../x', '', '-x', 'x'.repeat(129)]) {
    const { status, stdout, stderr } = secret(name);
    expect([status, stdout], name).toEqual([1, '']);
    expect(stderr).toContain(name === '-x' ? 'unknown option' : 'receivers name it in their definition');
  }
  expect(existsSync(file)).toBe(false);
  const { status, stdout } = secret('crm.example');
  expect(status).toBe(0);
  expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual({ 'crm.example': [stdout.trim()] });
});
