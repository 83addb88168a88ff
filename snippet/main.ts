// The page snippet: the Segment spec's calls as `window.flywheel`, and what a page does by itself, under consent.
// One file, made by `npm run build`, which `serve` answers at /v1/flywheel.js.
import { createDelivery, type Message } from './delivery.ts';
import { HELD_MAX, MESSAGE_CHARACTERS_MAX } from './limits.ts';
import { type Identity, identitySince, storeIdentity, takeLists } from './storage.ts';
import { watchClicks, watchErrors, watchLoad, watchPages } from './watch.ts';

declare global {
  interface Window {
    /** Calls that were made before the script was there, then the snippet itself. */
    flywheel?: unknown;
  }
}

type Fields = Record<string, unknown>;
type Call = [name: string, ...given: unknown[]];

function newId(): string {
  // 128 bits. randomUUID is in secure pages alone.
  return crypto.getRandomValues(new Uint32Array(4)).join('-');
}

/** Global Privacy Control, or the older header that says the same. */
function saysNo(): boolean | undefined {
  const { doNotTrack, globalPrivacyControl } = navigator as Navigator & { globalPrivacyControl?: boolean };
  return doNotTrack === '1' || globalPrivacyControl;
}

function pageFields(referrer: string): Fields {
  const { href, pathname, search } = location;
  return { url: href, path: pathname, search, title: document.title, referrer };
}

/** What an advertisement's address says: the channel that brought the buyer. */
function campaign(): Fields {
  const found: Fields = {};
  new URLSearchParams(location.search).forEach((value, name) => {
    if (name.startsWith('utm_')) found[name === 'utm_campaign' ? 'name' : name.slice(4)] = value;
  });
  return found;
}

function start(script: HTMLScriptElement, early: Call[]): unknown {
  const { writeKey, consent: needed } = script.dataset;
  const delivery = createDelivery(new URL('batch', script.src).href, writeKey);
  let identity: Identity = identitySince() as Identity;
  let held: Message[] = [];
  let referrer = document.referrer;
  const isAllowed = () => identity.c ?? needed !== 'required';

  /** Nothing more as long as the page, and nothing of before. */
  function refuse(): void {
    identity = { c: 0 };
    held = [];
    delivery.clear();
  }

  function forget(): void {
    refuse();
    storeIdentity(null);
    takeLists();
  }

  function release(): void {
    delivery.add(held);
    held = [];
  }

  /** Another tab has said who sits here, or what was said to consent: all of it counts, above all what is gone. */
  function heed(): void {
    const said = identitySince();
    // Where the site has cleared what it keeps, a no stays one as long as the page.
    if (!said || (identity.c === 0 && !said.c)) return;
    const before = identity;
    const wasAllowed = isAllowed();
    identity = said;
    if (!isAllowed()) refuse();
    else if (!wasAllowed) {
      // Before a yes each tab was a visitor of its own. Now all are the one that is stored, also in what is held.
      identity = { ...before, ...said };
      held = JSON.parse(JSON.stringify(held).split(before.a!).join(identity.a));
      storeIdentity(identity);
      release();
    }
  }

  function send(type: string, fields: Fields): void {
    if (identity.c === 0) return;
    identity.a ??= newId();
    const message: Message = {
      type,
      messageId: newId(),
      anonymousId: identity.a,
      userId: identity.u,
      timestamp: new Date().toISOString(),
      context: {
        page: pageFields(referrer),
        campaign: campaign(),
        groupId: identity.g,
        locale: navigator.language,
        userAgent: navigator.userAgent,
        library: { name: 'flywheel.js' },
      },
      ...fields,
    };
    if (JSON.stringify(message).length > MESSAGE_CHARACTERS_MAX) throw new Error('too large');
    held = [...held, message].slice(-HELD_MAX);
    if (isAllowed()) {
      storeIdentity(identity);
      release();
    }
  }

  const calls = {
    track: (event: string, properties?: Fields) => send('track', { event, properties }),
    page: (name?: string, properties?: Fields) =>
      send('page', { name, properties: { ...pageFields(referrer), ...properties } }),
    identify(userId: string | Fields, traits?: Fields) {
      if (typeof userId === 'object') traits = userId;
      else identity.u = userId;
      send('identify', { traits });
    },
    group(groupId: string, traits?: Fields) {
      identity.g = groupId;
      send('group', { groupId, traits });
    },
    alias(userId: string, previousId?: string) {
      identity.a ??= newId();
      const before = previousId ?? identity.u ?? identity.a;
      identity.u = userId;
      send('alias', { previousId: before });
    },
    /** Somebody else sits here now. */
    reset() {
      identity = { c: identity.c };
      if (isAllowed()) storeIdentity(identity);
    },
    consent(given: boolean) {
      if (given) {
        identity.c = 1;
        storeIdentity(identity);
        release();
      } else {
        forget();
        // Where consent must be asked for, silence is a no, and nothing is left behind.
        if (needed !== 'required') storeIdentity(identity);
      }
    },
  };

  const refused = saysNo();
  /** A fault of ours, or of a call, must not stop the page. */
  function call(name: string, given: unknown[]): void {
    try {
      if (refused) return;
      heed();
      (calls as unknown as Record<string, (...given: unknown[]) => void>)[name]!(...given);
    } catch (error) {
      console.error('flywheel:', name, error);
    }
  }

  const push = (...all: Call[]): void => {
    for (const [name, ...given] of all) call(name, given);
  };
  const api = { push } as Record<string, (...given: unknown[]) => void>;
  for (const name in calls) api[name] = (...given: unknown[]) => call(name, given);
  if (refused) {
    forget();
    return api;
  }
  const { track, page } = api as Record<'track' | 'page', (...given: unknown[]) => void>;
  if (isAllowed()) delivery.add(takeLists());
  push(...early);
  watchPages((left) => {
    referrer = left;
    page();
  });
  watchClicks(track);
  watchErrors(track);
  watchLoad(track);
  const close = (): void => {
    heed();
    if (isAllowed()) delivery.close();
  };
  addEventListener('pagehide', close);
  addEventListener('visibilitychange', close);
  addEventListener('storage', heed);
  addEventListener('online', delivery.retry);
  return api;
}

const early = window.flywheel ?? [];
// Twice in a page is once.
if (Array.isArray(early)) window.flywheel = start(document.currentScript as HTMLScriptElement, early);
