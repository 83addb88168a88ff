// `@openfeature/web-sdk` with its OFREP provider in a page of another origin, with address and write key set.
import type { Browser } from 'playwright-core';
import { bundle, type Site } from './browser.ts';

export interface OpenFeaturePage {
  /** What became of the provider's first evaluation. */
  readonly began: { readonly status: string; readonly code?: string; readonly message?: string };
  details(type: string, flag: string, fallback: unknown): Promise<Record<string, unknown>>;
  /** What the SDK told its handlers so far. */
  events(): Promise<{ type: string; message?: string; flagsChanged?: string[] }[]>;
}

export interface OpenFeatureSettings {
  readonly baseUrl: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly context: Readonly<Record<string, unknown>>;
  readonly pollInterval?: number;
}

/** Opens it with a profile of its own, and waits for the first evaluation. */
export async function openOpenFeaturePage(
  browser: Browser,
  site: Site,
  settings: OpenFeatureSettings,
): Promise<OpenFeaturePage> {
  if (!site.pages.has('/openfeature.js')) site.pages.set('/openfeature.js', await bundle('openfeature.js'));
  const path = `/openfeature-${site.pages.size}`;
  const given = JSON.stringify({ cacheMode: 'disabled', ...settings });
  site.pages.set(
    path,
    `<!doctype html><script>settings = ${given}</script><script src="/openfeature.js"></script>`,
  );
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(`${site.url}${path}`);
  return {
    began: await page.evaluate('began'),
    details: (...given) => page.evaluate(`details(...${JSON.stringify(given)})`),
    events: () => page.evaluate('events'),
  };
}
