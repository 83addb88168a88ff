// What the README tells a newcomer to send means something to the definitions that are shipped.
import { readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const root = new URL('../../', import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8');
const readme = read('README.md');
const score = JSON.parse(read('definitions/score/opportunity.json')) as {
  readonly industry: object;
  readonly level: object;
};

it.each(['industry', 'level'] as const)(
  'each %s of its examples is one that the shipped score weighs',
  (name) => {
    const said = [...readme.matchAll(new RegExp(`"${name}": "([^"]+)"`, 'g'))].map(([, value]) => value!);
    expect(said.length).toBeGreaterThan(0);
    expect(said.filter((value) => !(value in score[name]))).toEqual([]);
  },
);

it('a shipped segment asks for industries that there are', () => {
  const folder = 'definitions/segment/';
  const segments = readdirSync(new URL(folder, root)).map((file) => JSON.parse(read(folder + file))) as {
    readonly conditions: readonly { readonly attribute?: string; readonly value?: unknown }[];
  }[];
  const asked = segments
    .flatMap(({ conditions }) => conditions)
    .filter(({ attribute }) => attribute === 'industry')
    .flatMap(({ value }) => value as string | string[]);
  expect(asked.length).toBeGreaterThan(0);
  expect(asked.filter((value) => !(value in score.industry))).toEqual([]);
});

it('a set of definitions is put in force as the command takes it: with a reason, or as a plan only', () => {
  const commands = readme.match(/^npx flywheel import definitions .*$/gm) ?? [];
  expect(commands.some((command) => command.includes('--yes'))).toBe(true);
  for (const command of commands) expect(command).toMatch(/ --plan\b| --reason \S/);
});
