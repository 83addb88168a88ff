// The one table of settings has every variable that is read anywhere, with its default, and no other.
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const root = new URL('../../', import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8');

const page = read('docs/operating.md').split('\n## Settings\n')[1]!.split('\n## ')[0]!;
const documented = new Map(
  [...page.matchAll(/^\| `([A-Z_]+)` \| (.+?) \| (.+) \|$/gm)].map(([, name, usual, meaning]) => [
    name!,
    { usual: usual!, meaning: meaning! },
  ]),
);

/** What stands for each variable in the schema. */
const declared = read('platform/config.ts').split('z.object({')[1]!.split('\n});')[0]!;
const settings = declared
  .split(/^ {2}(?=[A-Z])/m)
  .map((text) => ({ name: /^([A-Z_]+): /.exec(text)?.[1], text }))
  .filter((each): each is { name: string; text: string } => each.name !== undefined);

/** Of the shell or of Node, not of Flywheel. */
const NOT_OURS = new Set(['PATH']);

describe('docs/operating.md, Settings', () => {
  it('has each variable of platform/config.ts, and no other', () => {
    const names = settings.map(({ name }) => name);
    expect(names.length).toBeGreaterThan(25);
    expect([...documented.keys()].sort()).toEqual(names.sort());
  });

  it.each(settings)('says the default of $name as it is, and what it is for', ({ name, text }) => {
    const { usual, meaning } = documented.get(name)!;
    const [, quoted, number] = /\.default\((?:'([^']*)'|([\d_]+))\)/.exec(text) ?? [];
    const given = quoted ?? number?.replaceAll('_', '');
    if (given === '') expect(usual).toBe('none');
    else if (given !== undefined) expect(usual).toBe(`\`${given}\``);
    expect(meaning.length).toBeGreaterThan(15);
  });

  it('whatever else reads the environment reads one of these', () => {
    const folders = [
      'bin',
      'cli',
      'jobs',
      'loadtest',
      'ops',
      'platform',
      'serve',
      'simulate',
      'stream',
      'verify',
    ];
    const files = folders.flatMap((folder) =>
      readdirSync(new URL(`${folder}/`, root), { recursive: true, encoding: 'utf8' })
        .filter((name) => /\.(ts|js)$/.test(name))
        .map((name) => `${folder}/${name}`),
    );
    const named = files.flatMap((file) =>
      [...read(file).matchAll(/\benv\.([A-Z][A-Z_]+)/g)].map(([, name]) => name!),
    );
    expect(named).toContain('KAFKA_BROKERS');
    expect([...new Set(named)].filter((name) => !documented.has(name) && !NOT_OURS.has(name))).toEqual([]);
  });
});
