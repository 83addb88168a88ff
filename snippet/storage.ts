// What stays in the browser: who this is (localStorage, or a cookie where that is closed) and what waits to be sent.
export const IDENTITY = 'flywheel';
const QUEUE = 'flywheel.queue';
const COOKIE_SECONDS = 31_536_000;

/** A list that localStorage did not take lasts as long as the page. */
let unstored: readonly unknown[] | undefined;

/** undefined where localStorage is closed, or has nothing, or nothing of ours */
function read<Value>(name: string): Value | undefined {
  try {
    return JSON.parse(localStorage.getItem(name)!) ?? undefined;
  } catch {
    return undefined;
  }
}

/** @returns false where localStorage is closed or full */
function write(name: string, value: unknown): boolean {
  try {
    if (value) localStorage.setItem(name, JSON.stringify(value));
    else localStorage.removeItem(name);
    return true;
  } catch {
    return false;
  }
}

/** Short names: they are in a cookie of every request where localStorage is closed. */
export interface Identity {
  /** anonymousId */
  a?: string;
  /** userId */
  u?: string;
  /** groupId */
  g?: string;
  /** What was said to consent: 1 yes, 0 no. */
  c?: 0 | 1;
}

export function storedIdentity(): Identity {
  const stored = read<Identity>(IDENTITY);
  if (stored !== undefined) return stored;
  const cookie = document.cookie.match(`${IDENTITY}=([^;]+)`)?.[1];
  try {
    return JSON.parse(decodeURIComponent(cookie!)) as Identity;
  } catch {
    return {};
  }
}

/** null forgets it. */
export function storeIdentity(identity: Identity | null): void {
  if (write(IDENTITY, identity) && identity !== null) return;
  const life = identity === null ? 0 : COOKIE_SECONDS;
  // biome-ignore lint/suspicious/noDocumentCookie: the Cookie Store API is in secure pages alone.
  document.cookie = `${IDENTITY}=${encodeURIComponent(JSON.stringify(identity))};path=/;max-age=${life};samesite=lax`;
}

export function storedList<Item>(): readonly Item[] {
  return (unstored as readonly Item[] | undefined) ?? read(QUEUE) ?? [];
}

/** Tabs share the list: read it, change it, and store it without a pause in between. */
export function storeList(items: readonly unknown[]): void {
  unstored = write(QUEUE, items.length > 0 && items) ? undefined : items;
}
