// Sends what waits in batches, one after the other, and keeps each message until the server has answered for it: what is
// sent as the page closes is sent again by the next page unless an answer came. The message id makes repeats one.
import { AGE_MS_MAX, BACKOFF_MS_MAX, BATCH_MAX, FLUSH_MS, KEEPALIVE_BYTES_MAX, QUEUE_MAX } from './limits.ts';
import { storeList } from './storage.ts';

export interface Message {
  readonly messageId: string;
  readonly timestamp: string;
  readonly [field: string]: unknown;
}

export interface Delivery {
  /** Keeps messages and sends them soon. */
  add(messages: readonly Message[]): void;
  /** Forgets everything that is not under way. */
  clear(): void;
  /** Sends at once what is not under way, without waiting for the batch before. */
  close(): void;
  /** There is a network again: what has failed for want of an answer is sent at once. */
  retry(): void;
}

function without(messages: readonly Message[], gone: readonly Message[]): readonly Message[] {
  return messages.filter((message) => !gone.includes(message));
}

export function createDelivery(url: string, writeKey: string | undefined): Delivery {
  let underWay: readonly Message[] = [];
  let waiting: readonly Message[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;
  let failures = 0;
  let notBeforeMs = 0;
  let unanswered = false;

  function keep(messages: readonly Message[]): void {
    const oldestMs = Date.now() - AGE_MS_MAX;
    waiting = messages.filter(({ timestamp }) => Date.parse(timestamp) > oldestMs).slice(-QUEUE_MAX);
    storeList(waiting);
  }

  function flushIn(ms: number): void {
    timer ??= setTimeout(() => flush(), ms);
  }

  function settle(sent: readonly Message[], status: number, retryAfter?: string | null): void {
    underWay = without(underWay, sent);
    if ([0, 408, 429].includes(status) || status >= 500) {
      failures += 1;
      // What an answer asked for holds, also where a request beside it has none.
      if (status || unanswered || notBeforeMs < Date.now()) {
        unanswered = !status;
        notBeforeMs =
          Date.now() +
          (Number(retryAfter) * 1_000 || Math.min(2 ** failures * 500, BACKOFF_MS_MAX) * (1 + Math.random()));
      }
    } else {
      // Taken, or never to be taken: both are done.
      if (status >= 400) console.error('flywheel:', status);
      failures = 0;
      keep(without(waiting, sent));
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
    underWay = [...underWay, ...batch];
    if (closing && !('keepalive' in Request.prototype))
      settle(batch, navigator.sendBeacon(url, body) ? 200 : 0);
    else
      fetch(url, { method: 'POST', body, keepalive, credentials: 'omit' })
        // Until its answer is read, a request counts as on its way: browsers let few bytes be.
        .then((answer) =>
          answer.text().then(() => settle(batch, answer.status, answer.headers.get('retry-after'))),
        )
        .catch(() => settle(batch, 0));
  }

  function flush(closing?: boolean, hurried = closing): void {
    clearTimeout(timer);
    timer = undefined;
    // Nobody has asked for that wait.
    if (hurried && unanswered) notBeforeMs = 0;
    const batch = without(waiting, underWay).slice(0, BATCH_MAX);
    const waitMs = notBeforeMs - Date.now();
    if (!batch[0] || (underWay[0] && !closing)) return;
    if (waitMs > 0) flushIn(waitMs);
    else post(batch, closing);
  }

  return {
    close: () => flush(true),
    retry() {
      failures = 0;
      flush(false, true);
    },
    clear: () => keep([]),
    add(messages) {
      keep([...waiting, ...messages]);
      flushIn(FLUSH_MS);
    },
  };
}
