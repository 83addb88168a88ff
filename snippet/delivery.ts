// Sends what waits in batches, one after the other, and keeps each message until the server has answered for it: what is
// sent as the page closes is sent again by the next page unless an answer came. The message id makes repeats one.
import { storeList } from './storage.ts';

export interface Message {
  readonly messageId: string;
  readonly timestamp: string;
  readonly [field: string]: unknown;
}

const FLUSH_MS = 1_000;
const BATCH_MAX = 20;
const QUEUE_MAX = 200;
/** Browsers let 64 KB be on their way when a page closes: one batch before, and one as it closes. */
const KEEPALIVE_BYTES_MAX = 30_000;
/** Older ones change nothing any more, and the server would not know a repeat of theirs. */
const AGE_MS_MAX = 20 * 3_600_000;
const BACKOFF_MS_MAX = 60_000;

export interface Delivery {
  /** Keeps messages and sends them soon. */
  add(messages: readonly Message[]): void;
  /** Forgets everything that is not under way. */
  clear(): void;
  /** Sends at once what is not under way; `closing` does not wait for the batch before. */
  flush(closing?: boolean): void;
}

export function createDelivery(url: string, writeKey: string | undefined): Delivery {
  const underWay = new Set<string>();
  let waiting: readonly Message[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;
  let failures = 0;
  let notBeforeMs = 0;

  function keep(messages: readonly Message[]): void {
    const oldestMs = Date.now() - AGE_MS_MAX;
    waiting = messages.filter(({ timestamp }) => Date.parse(timestamp) > oldestMs).slice(-QUEUE_MAX);
    storeList(waiting);
  }

  function flushIn(ms: number): void {
    timer ??= setTimeout(() => flush(), ms);
  }

  function settle(sent: readonly Message[], status: number, retryAfter?: string | null): void {
    for (const { messageId } of sent) underWay.delete(messageId);
    if ([0, 408, 429].includes(status) || status >= 500) {
      failures += 1;
      const backoffMs = Math.min(2 ** failures * 500, BACKOFF_MS_MAX) * (1 + Math.random());
      notBeforeMs = Date.now() + (Number(retryAfter) * 1_000 || backoffMs);
    } else {
      // Taken, or never to be taken: both are done.
      if (status >= 400) console.error('flywheel:', status);
      failures = 0;
      keep(waiting.filter((message) => !sent.includes(message)));
    }
    flushIn(0);
  }

  /** Cuts a batch to what browsers let be on its way when a page closes: half as many, but one at least. */
  function bodyOf(batch: Message[]): readonly [body: string, keepalive: boolean] {
    const body = JSON.stringify({ writeKey, batch, sentAt: new Date() });
    const fits = new Blob([body]).size < KEEPALIVE_BYTES_MAX;
    if (fits || batch.length === 1) return [body, fits];
    batch.length >>= 1;
    return bodyOf(batch);
  }

  /** Plain text, and the key in the body: no preflight, which a closing page could not wait for. */
  function post(batch: Message[], closing?: boolean): void {
    const [body, keepalive] = bodyOf(batch);
    for (const { messageId } of batch) underWay.add(messageId);
    if (closing && !('keepalive' in Request.prototype))
      settle(batch, navigator.sendBeacon(url, body) ? 200 : 0);
    else
      fetch(url, { method: 'POST', body, keepalive, credentials: 'omit' })
        // Until its answer is read, a request counts as on its way: browsers let few bytes be.
        .then((answer) => answer.text().then(() => answer))
        .then(
          (answer) => settle(batch, answer.status, answer.headers.get('retry-after')),
          () => settle(batch, 0),
        );
  }

  function flush(closing?: boolean): void {
    clearTimeout(timer);
    timer = undefined;
    const batch = waiting.filter(({ messageId }) => !underWay.has(messageId));
    const waitMs = notBeforeMs - Date.now();
    if (batch.length === 0 || (underWay.size > 0 && !closing)) return;
    if (waitMs > 0) flushIn(waitMs);
    else post(batch.slice(0, BATCH_MAX), closing);
  }

  return {
    flush,
    clear: () => keep([]),
    add(messages) {
      keep([...waiting, ...messages]);
      flushIn(FLUSH_MS);
    },
  };
}
