// What stays in the browser: who this is (localStorage, or a cookie where that is closed) and what waits to be sent.
import { COOKIE_SECONDS } from './limits.ts';

const IDENTITY = 'flywheel';
/** Each page writes a list of its own: two that change the same one at a time lose what the other wrote. */
const QUEUE = 'flywheel.queue';
const OWN_QUEUE = QUEUE + Math.random();

/** localStorage may be closed or full, cookies too (in a sandboxed frame), and what stands there may be nothing of ours. */
function unlessItThrows<Value>(work: () => Value): Value | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}

function read<Value>(name: string): Value | null | undefined {
  return unlessItThrows(() => JSON.parse(localStorage.getItem(name)!));
}

function write(name: string, value: unknown): true | undefined {
  return unlessItThrows(() => {
    if (value) localStorage.setItem(name, JSON.stringify(value));
    else localStorage.removeItem(name);
    return true;
  });
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
  c?: 0 | 1 | undefined;
}

/** What was stored when it was last looked at. */
let seen: string | undefined;
/** This page has written it. A cookie's life counts from when it was written, so each page does so once. */
let written: boolean | undefined;

/** What is stored, if that is not what was when it was last looked at. Other tabs are not told of a cookie. */
export function identitySince(): Identity | false {
  const before = seen;
  const found =
    read<Identity>(IDENTITY) ??
    unlessItThrows(() =>
      JSON.parse(decodeURIComponent(document.cookie.match(`(^|; )${IDENTITY}=([^;]+)`)![2]!)),
    );
  const stored: Identity = found?.constructor === Object ? found : {};
  seen = JSON.stringify(stored);
  return seen !== before && stored;
}

/** null forgets it. It stands in one of the two places alone: an older one in the other would be read in its stead. */
export function storeIdentity(identity: Identity | null): void {
  // Another tab may just have written a newer one, of which this one has not been told.
  if (JSON.stringify(identity) === seen && (written || read(IDENTITY))) return;
  written = true;
  const inCookie = write(IDENTITY, identity) ? null : identity;
  unlessItThrows(() => {
    // biome-ignore lint/suspicious/noDocumentCookie: the Cookie Store API is in secure pages alone.
    document.cookie = `${IDENTITY}=${encodeURIComponent(JSON.stringify(inCookie))};path=/;max-age=${inCookie ? COOKIE_SECONDS : 0};samesite=lax`;
  });
  // The cookie first: other tabs read again when the entry changes.
  if (inCookie) write(IDENTITY, null);
  // What cannot be kept anywhere lasts in the page's memory.
  identitySince();
}

export function storeList(items: readonly unknown[]): void {
  write(OWN_QUEUE, items[0] && items);
}

/** Takes the lists of all pages out, above all those that were closed. One that is still open sends its own as well. */
export function takeLists<Item>(): Item[] {
  const names = unlessItThrows(() => Object.keys(localStorage)) ?? [];
  return names
    .filter((name) => name.startsWith(QUEUE))
    .flatMap((name) => {
      const list = read<Item[]>(name) ?? [];
      write(name, null);
      return list;
    });
}
