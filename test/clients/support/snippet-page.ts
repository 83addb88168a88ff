// Pages with the project's own snippet, as a site would write it, and what they have sent.
import type { Browser, BrowserContext, Page } from 'playwright-core';
import type { Site } from './browser.ts';
import type { Gate } from './gate.ts';

export interface Message {
  readonly type: string;
  readonly messageId: string;
  readonly anonymousId: string;
  readonly userId?: string;
  readonly event?: string;
  readonly name?: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever was sent.
  readonly [field: string]: any;
}

/** Messages that `serve` has taken from snippets since, each once, in the order in which they came. */
export function taken(gate: Gate, since: number): Message[] {
  const found = new Map<string, Message>();
  for (const { method, url, body, status } of gate.passed.slice(since)) {
    if (method !== 'POST' || url !== '/v1/batch' || status !== 200) continue;
    for (const message of JSON.parse(body.toString()).batch as Message[])
      found.set(message.messageId, message);
  }
  return [...found.values()];
}

export interface SnippetPage {
  readonly context: BrowserContext;
  readonly page: Page;
  readonly address: string;
  /** Calls `window.flywheel`. */
  call(method: string, ...given: unknown[]): Promise<void>;
  /** Everything that the page's site has kept in the browser. */
  kept(): Promise<{ identity: string | null; queue: Message[]; cookie: string; names: number }>;
}

export interface SnippetOptions {
  /** Further attributes of the script's line. */
  readonly attributes?: string;
  /** Stands before it. */
  readonly before?: string;
  readonly body?: string;
  /** Runs in each page before anything of the page does. */
  readonly initially?: string;
  /** One that was opened before: the same visitor in another page. */
  readonly context?: BrowserContext;
}

const KEPT = `(() => {
  const kept = { identity: null, queue: [], cookie: document.cookie, names: 0 };
  try {
    const names = Object.keys(localStorage);
    const lists = names.filter((name) => name.startsWith('flywheel.queue'));
    kept.names = names.length;
    kept.identity = localStorage.getItem('flywheel');
    kept.queue = lists.flatMap((name) => JSON.parse(localStorage.getItem(name)));
  } catch {
    // A page that forbids its storage throws at every access: what is kept is then nothing, which is what this says.
  }
  return kept;
})()`;

let pageCount = 0;

/** Opens a page that has loaded the snippet, by default with a profile of its own. */
export async function openSnippetPage(
  browser: Browser,
  site: Site,
  served: { readonly gate: Gate; readonly keys: { readonly write: string } },
  options: SnippetOptions = {},
): Promise<SnippetPage> {
  const { attributes = '', before = '', body = '', initially } = options;
  pageCount += 1;
  const path = `/snippet-${pageCount}`;
  const line = `<script async src="${served.gate.url}/v1/flywheel.js" data-write-key="${served.keys.write}" ${attributes}></script>`;
  site.pages.set(path, `<!doctype html><title>Pumps</title>${before}${line}<body>${body}</body>`);
  const context = options.context ?? (await browser.newContext());
  const page = await context.newPage();
  if (initially !== undefined) await page.addInitScript(initially);
  const address = `${site.url}${path}`;
  await page.goto(address);
  await page.waitForFunction('window.flywheel && !Array.isArray(window.flywheel)');
  return {
    context,
    page,
    address,
    call: (method, ...given) => page.evaluate(`flywheel.${method}(...${JSON.stringify(given)})`),
    kept: () => page.evaluate(KEPT),
  };
}
