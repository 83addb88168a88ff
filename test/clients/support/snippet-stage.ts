// The page snippet as `serve` answers it, without a broker of its own, for pages in Chromium.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { readConfig } from '../../../platform/config.ts';
import { appOf, WRITE, world } from '../../serve/without-parts.ts';
import { openBrowser, openSite } from './browser.ts';
import { type Gate, openGate } from './gate.ts';
import { openSnippetPage, type SnippetOptions, type SnippetPage, taken } from './snippet-page.ts';

export const SOON = { timeout: 10_000, interval: 50 };

/** Shown to a page before anything of its own: localStorage is closed, as some browsers have it, and cookies are all there is. */
export const COOKIES_ALONE = `Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('closed', 'SecurityError'); } })`;

export interface SnippetStage {
  readonly gate: Gate;
  /** Whether `serve` can write what it takes. */
  kafkaIsUp: boolean;
  open(options?: SnippetOptions): Promise<SnippetPage>;
  /** A place among the requests, to look at what comes behind it. */
  now(): number;
  posts(since: number): Gate['passed'];
  /** Names of the events that were taken; not those that pages say by themselves. */
  eventsTaken(since: number): (string | undefined)[];
  closePages(): Promise<void>;
  close(): Promise<void>;
}

/** Long enough for anything that waits to be sent. */
export const quiet = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1_200));

export async function openSnippetStage(): Promise<SnippetStage> {
  const folder = mkdtempSync(path.join(tmpdir(), 'flywheel-snippet-'));
  const file = path.join(folder, 'flywheel.js');
  const maker = fileURLToPath(new URL('../../../bin/snippet.js', import.meta.url));
  expect(spawnSync(process.execPath, [maker, file]).status).toBe(0);
  const config = readConfig({ SERVE_SNIPPET_FILE: file });
  const clock = { nowMs: Date.now, monotonicMs: () => performance.now() };
  const app = await appOf(world({ config, clock, kafkaIsUp: () => stage.kafkaIsUp }));
  const gate = await openGate(await app.listen({ host: '127.0.0.1', port: 0 }));
  const [browser, site] = await Promise.all([openBrowser(), openSite()]);
  const stage: SnippetStage = {
    gate,
    kafkaIsUp: true,
    open: (options) => openSnippetPage(browser, site, { gate, keys: { write: WRITE } }, options),
    now: () => gate.passed.length,
    posts: (since) => gate.passed.slice(since).filter(({ method }) => method === 'POST'),
    eventsTaken: (since) =>
      taken(gate, since)
        .filter(({ type, event }) => type === 'track' && !event!.startsWith('$'))
        .map(({ event }) => event),
    async closePages() {
      await Promise.all(browser.contexts().map((context) => context.close()));
    },
    async close() {
      await browser.close();
      await site.close();
      await gate.close();
      await app.close();
      rmSync(folder, { recursive: true });
    },
  };
  return stage;
}
