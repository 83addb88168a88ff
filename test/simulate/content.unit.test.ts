// What tells files of one name apart: their content, however it is packed.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { contentOf } from '../../simulate/readers/csv-rows.ts';

const text = Array.from({ length: 50_000 }, (_, row) => `row ${row}\n`).join('');
let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'content-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const { signal } = new AbortController();
function written(name: string, content: string | Buffer): string {
  const file = join(folder, name);
  writeFileSync(file, content);
  return file;
}

it('is the same packed or not, under any name, and another with one byte more or another file beside it', async () => {
  const [plain, packed] = [written('plain.csv', text), written('packed', gzipSync(text))];
  const content = await contentOf([plain], signal);
  expect(content).toEqual({
    bytes: text.length,
    lines: 50_000,
    sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
  });
  expect(await contentOf([packed], signal)).toEqual(content);
  const others = [[written('longer.csv', `${text} `)], [plain, packed]];
  for (const files of others) expect((await contentOf(files, signal)).sha256).not.toBe(content.sha256);
});

it('names the file that is cut off or missing, and ends when it is told to', async () => {
  const cut = written('cut.csv.gz', gzipSync(text).subarray(0, 5_000));
  await expect(contentOf([cut], signal)).rejects.toMatchObject({ code: 'FILE_UNREADABLE' });
  await expect(contentOf([cut], signal)).rejects.toThrow(/cut\.csv\.gz cannot be read: .*unexpected end/);
  await expect(contentOf([join(folder, 'none')], signal)).rejects.toThrow(/none cannot be read/);
  await expect(contentOf([join(folder, 'plain.csv')], AbortSignal.abort())).rejects.toThrow(/abort/);
});
