// `@segment/analytics-next` in a page of another origin, with only address and key set.
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { bundle, type Site } from './browser.ts';

export interface SegmentPage {
  readonly context: BrowserContext;
  readonly page: Page;
  /** Calls a method of the client; resolves when the client has handed the event over. */
  call(method: string, ...given: unknown[]): Promise<void>;
  /** Calls it, and lets the client work. */
  begin(method: string, ...given: unknown[]): Promise<void>;
}

export interface SegmentSettings {
  readonly writeKey: string;
  /** Where `serve` is, `http://host:port` */
  readonly url: string;
  readonly deliveryStrategy?: unknown;
}

/** Opens it with a profile of its own. */
export async function openSegmentPage(
  browser: Browser,
  site: Site,
  { url, ...settings }: SegmentSettings,
): Promise<SegmentPage> {
  if (!site.pages.has('/analytics-next.js')) site.pages.set('/analytics-next.js', await bundle('segment.js'));
  const given = JSON.stringify({ ...settings, apiHost: `${url.replace('http://', '')}/v1` });
  const path = `/segment-${site.pages.size}`;
  site.pages.set(
    path,
    `<!doctype html><title>Pumps</title><script>settings = ${given}</script><script src="/analytics-next.js"></script>`,
  );
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(`${site.url}${path}`);
  const expression = (method: string, args: unknown[]): string =>
    `analytics.${method}(...${JSON.stringify(args)})`;
  return {
    context,
    page,
    call: (method, ...args) => page.evaluate(`${expression(method, args)}.then(() => undefined)`),
    begin: (method, ...args) => page.evaluate(`void ${expression(method, args)}`),
  };
}
