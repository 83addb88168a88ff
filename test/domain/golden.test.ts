// The golden command: it holds what is built, says what is not, and cannot be fooled into a silent pass.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { golden } from '../../loadtest/golden.ts';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const VECTORS = [here('../vectors/funnel.json'), here('../vectors/hashing.json')];
const SHARED = here('../../../shared/golden');
const BUILT = [
  'window_funnel',
  'window_funnel_probe',
  'path_transitions',
  'sequence_match',
  'gb_hash',
  'bucket_ranges',
  'namespace',
  'gb_experiment',
  'murmur3',
];

const folder = mkdtempSync(join(tmpdir(), 'golden-'));
afterAll(() => rmSync(folder, { recursive: true }));

async function run(...paths: string[]): Promise<{ code: number; lines: string[] }> {
  const lines: string[] = [];
  const code = await golden(paths, (line) => lines.push(line));
  return { code, lines };
}

interface Case {
  kind: string;
  // The tests below reach into whatever form a kind has.
  input: Record<string, unknown>;
  expected: Record<string, unknown>;
}

/** The cases of a kind, changed, as a file of their own. */
function altered(kind: string, change: (one: Case) => void): string {
  const source = VECTORS.map((path) => JSON.parse(readFileSync(path, 'utf8')) as { cases: Case[] });
  const cases = source.flatMap((file) => file.cases).filter((one) => one.kind === kind);
  change(cases[0]!);
  const path = join(folder, `${kind}.json`);
  writeFileSync(path, JSON.stringify({ meta: {}, cases }));
  return path;
}

describe('over the vectors of this repository', () => {
  it('every kind that is built holds, and was compared', async () => {
    const { code, lines } = await run(...VECTORS);
    expect(code, lines.join('\n')).toBe(0);
    for (const kind of BUILT) {
      const line = lines.find((each) => each.startsWith(`  ${kind} `));
      expect(line, kind).toMatch(/cases +\d+ +compared +[1-9]\d* +failed 0 +largest gap 0$/);
    }
    expect(lines).toContain('      left out: strict_once: not a mode of ours');
    expect(lines).toContain('      left out: strict_deduplication: not a mode of ours');
  });

  it('is a command', () => {
    const command = here('../../loadtest/golden.ts');
    const right = spawnSync(process.execPath, ['--import', 'tsx', command, VECTORS[0]!], {
      encoding: 'utf8',
    });
    expect(right.status, right.stderr).toBe(0);
    expect(right.stdout).toContain('window_funnel');
    const wrong = spawnSync(process.execPath, ['--import', 'tsx', command, join(folder, 'none.json')], {
      encoding: 'utf8',
    });
    expect(wrong.status).toBe(1);
  }, 30_000);
});

describe('a planted wrong value fails', () => {
  const first = (table: unknown): unknown[] => (table as unknown[][])[0]!;
  it.each<[string, (one: Case) => void]>([
    ['window_funnel', ({ expected }) => (expected.default as { levels: number[] }).levels.fill(5)],
    ['window_funnel', ({ expected }) => (expected.strict_order as { reached: number[] }).reached.push(0)],
    [
      'window_funnel_probe',
      ({ expected }) => (expected['strict_order+strict_increase'] as { levels: number[] }).levels.fill(5),
    ],
    ['path_transitions', ({ expected }) => (expected.transitions as { rows: unknown[] }).rows.pop()],
    ['path_transitions', ({ expected }) => (first((expected.paths3 as { rows: unknown }).rows)[3] = -1)],
    ['sequence_match', ({ expected }) => (expected.count = 99)],
    ['gb_hash', ({ expected }) => (expected.v2 = 0.12345)],
    ['bucket_ranges', ({ expected }) => (first(expected.ranges)[1] = 0.250000001)],
    ['bucket_ranges', ({ expected }) => (first(expected.choose)[1] = 3)],
    ['namespace', ({ expected }) => (first(expected.members)[1] = true)],
    ['gb_experiment', ({ expected }) => (first(expected.rows)[3] = null)],
    ['murmur3', ({ expected }) => (expected.x64_128_hex_le_bytes = '0'.repeat(32))],
  ])('%s', async (kind, change) => {
    const { code, lines } = await run(altered(kind, change));
    expect(code).toBe(1);
    expect(lines.some((line) => line.includes('FAILED'))).toBe(true);
  });

  it('a case without its form, or with nothing to compare, fails too', async () => {
    const unformed = await run(altered('gb_hash', (one) => (one.input = {})));
    expect(unformed.code).toBe(1);
    expect(unformed.lines.join('\n')).toContain('cannot be judged: seed');
    const empty = await run(altered('namespace', (one) => (one.expected = { members: [] })));
    expect(empty.code).toBe(1);
    expect(empty.lines.join('\n')).toContain('nothing was compared');
  });
});

describe('what is no golden file', () => {
  it.each([
    ['no.json', undefined, 'ENOENT'],
    ['text.json', 'not JSON', 'not valid JSON'],
    ['other.json', '{"rows":[]}', 'cases'],
    ['empty.json', '{"cases":[]}', 'cases'],
    ['odd.json', '{"cases":[{"id":1}]}', 'cases.0.id'],
    ['broken.jsonl.gz', 'not gzip', 'incorrect header check'],
  ])('%s is named with its reason', async (name, content, reason) => {
    const path = join(folder, name);
    if (content !== undefined) writeFileSync(path, content);
    const { code, lines } = await run(path);
    expect(code).toBe(1);
    expect(lines.join('\n')).toContain(name);
    expect(lines.join('\n')).toContain(reason);
  });

  it('no file at all gets the usage', async () => {
    expect(await run()).toEqual({ code: 1, lines: [expect.stringContaining('usage')] });
  });

  it('a kind that nobody judges is not built yet, which is no failure', async () => {
    const path = join(folder, 'later.json');
    writeFileSync(
      path,
      JSON.stringify({ cases: [{ id: 'later-1', kind: 'constructor', input: {}, expected: {} }] }),
    );
    const { code, lines } = await run(path);
    expect(code).toBe(0);
    expect(lines.join('\n')).toMatch(/constructor +cases +1 +not built yet/);
  });
});

const files = existsSync(SHARED) ? readdirSync(SHARED).filter((name) => /\.json(l\.gz)?$/.test(name)) : [];
if (files.length === 0) console.log('SKIPPED-NEEDS-SHARED: the golden files of ../shared/golden');

describe.skipIf(files.length === 0)('over ../shared/golden', () => {
  it('no kind fails in any file', async () => {
    const { code, lines } = await run(...files.map((name) => join(SHARED, name)));
    expect(code, lines.join('\n')).toBe(0);
    for (const name of files) expect(lines).toContain(name);
  }, 60_000);
});
