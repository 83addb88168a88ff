// All dashboards, by the name of the file that each is kept in. `npm run dashboards` writes the files again.
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { buildBoard } from './board.ts';
import { campaigns } from './campaigns.ts';
import { engine } from './engine.ts';
import { growth } from './growth.ts';

export const boards = { engine, growth, campaigns } as const;

/** What the file of a dashboard holds. */
export function fileText(name: keyof typeof boards): string {
  return `${JSON.stringify(buildBoard(boards[name]), null, 2)}\n`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const name of Object.keys(boards) as (keyof typeof boards)[])
    writeFileSync(new URL(`./${name}.json`, import.meta.url), fileText(name));
}
