// What is sent without being asked for: page views, clicks, errors, load time. Their names begin with `$`, so that no
// behaviour counts them unless its rule says so; page views are pages of the Segment spec.
import { pathOf } from './element-path.ts';
import { ERROR_MESSAGE_MAX, ERROR_STACK_MAX, ERRORS_MAX, LOAD_REPORT_MS, TEXT_MAX } from './limits.ts';

type Track = (event: string, properties: Record<string, unknown>) => void;

/** Pages, also those that a script makes by the History API. @param page is given the address that was left */
export function watchPages(page: (left: string) => void): void {
  const address = (): string => location.href.split('#')[0]!;
  let at = address();
  const look = (): void => {
    const left = at;
    at = address();
    if (at !== left) page(left);
  };
  // Routers set the title after the address.
  const moved = (): unknown => setTimeout(look);
  for (const name of ['pushState', 'replaceState'] as const) {
    const original = history[name];
    history[name] = function (...given) {
      original.apply(this, given);
      moved();
    };
  }
  addEventListener('popstate', moved);
  addEventListener('pageshow', (event) => {
    if (event.persisted) page(document.referrer);
  });
  page(document.referrer);
}

/** A control's text; never what somebody has typed or chosen. */
function textOf(control: HTMLElement | null): string | undefined {
  return control?.isContentEditable || control?.querySelector('input,select,textarea,[contenteditable]')
    ? undefined
    : control?.textContent?.replace(/\s+/g, ' ').trim().slice(0, TEXT_MAX);
}

export function watchClicks(track: Track): void {
  addEventListener(
    'click',
    ({ target }) => {
      if (!(target instanceof Element) || target.closest('[data-fw-ignore]')) return;
      const control = target.closest<HTMLElement>('a,button,summary,[role=button]');
      const link = target.closest<HTMLAnchorElement>('a[href]');
      // What stands after ? and # may be a secret. The address of a link within SVG is no string.
      const href = link?.href.split?.(/[?#]/)[0];
      track('$click', { path: pathOf(control ?? target), text: textOf(control), href });
    },
    true,
  );
}

export function watchErrors(track: Track): void {
  let count = 0;
  const caught = (error: unknown, message: string, place: Record<string, unknown>): void => {
    count += 1;
    if (count > ERRORS_MAX) return;
    const stack = (error as Error | undefined)?.stack;
    track('$error', {
      message: message.slice(0, ERROR_MESSAGE_MAX),
      stack: stack && String(stack).slice(0, ERROR_STACK_MAX),
      ...place,
    });
  };
  addEventListener('error', ({ error, message, filename, lineno, colno }) =>
    caught(error, message, { file: filename, line: lineno, column: colno }),
  );
  addEventListener('unhandledrejection', ({ reason }) =>
    caught(reason, String((reason as Error | undefined)?.message ?? reason), { rejection: true }),
  );
}

/** Navigation Timing, and the largest contentful paint so far, once: some time after the page has loaded, or as it closes. */
export function watchLoad(track: Track): void {
  let largestMs: number | undefined;
  let told: boolean | undefined;
  const tell = (): void => {
    const [timing] = performance.getEntriesByType('navigation') as PerformanceNavigationTiming[];
    if (told || !timing?.loadEventEnd) return;
    told = true;
    keepLargest(observer.takeRecords());
    const ms = Math.round;
    track('$load', {
      firstByteMs: ms(timing.responseStart),
      domReadyMs: ms(timing.domContentLoadedEventEnd),
      loadMs: ms(timing.loadEventEnd),
      largestPaintMs: largestMs && ms(largestMs),
    });
  };
  const keepLargest = (entries: PerformanceEntryList): void => {
    for (const entry of entries) largestMs = entry.startTime;
  };
  const observer = new PerformanceObserver((list) => keepLargest(list.getEntries()));
  observer.observe({ type: 'largest-contentful-paint', buffered: true });
  const soon = (): unknown => setTimeout(tell, LOAD_REPORT_MS);
  if (document.readyState === 'complete') soon();
  else addEventListener('load', soon);
  addEventListener('pagehide', tell);
}
