// The feeder: sends at a bounded rate through collect and sends again, with the same message ids, until it is answered.
// What it was acknowledged is what must be in ClickHouse, each once.
import { REPORTED } from './definitions.ts';
import { revokeLinkOf } from './revoke.ts';
import type { Message, NextMessage } from './traffic.ts';
import { sleep } from './wait.ts';

const TICK_MS = 100;
const SENDERS = 4;
/** Batches that wait; beyond that nothing new happens: buyers wait too. */
const WAITING_MAX = 40;
const REQUEST_TIMEOUT_MS = 15_000;
const RETRY_MS = 100;
const REPORT_EVERY_TICKS = 20;
const REVOKE_EVERY_TICKS = 10;
/** What a connection that was there ends with; one that was never there ends with ECONNREFUSED. */
const BROKEN: ReadonlySet<string> = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE']);

export interface FeederTarget {
  readonly url: string;
  readonly writeKey: string;
  readonly secretKey: string;
}

export interface Feeder {
  /** Ids of messages that were answered with success. */
  readonly acknowledged: ReadonlySet<string>;
  /** Requests that had to be sent again, and how each had failed: an HTTP status or `unanswered`. */
  readonly repeats: ReadonlyMap<string, number>;
  /** Refusals that said that Kafka cannot take it now (503) and when to come again. */
  readonly toldWhen: () => number;
  /** Messages of requests that are under way now. */
  inFlight(): number;
  /** For how long the oldest request that is under way has been; 0 if none is. */
  underWayMs(): number;
  /** Requests whose connection was there and broke before they were answered. */
  broken(): number;
  /** From now on the times of what is fed are those of now. */
  putClockRight(): void;
  pause(): void;
  resume(): void;
  /** Puts messages of a fault's own before the others; resolves when they are acknowledged. */
  send(messages: readonly Message[]): Promise<void>;
  /** Takes messages for acknowledged that a fault has written to Kafka itself. */
  acknowledge(messages: readonly Message[]): void;
  /** Sends what waits and ends. */
  finish(): Promise<void>;
  /** Ends at once: nobody will answer any more. */
  abort(): void;
}

interface Waiting {
  readonly messages: readonly Message[];
  readonly done: () => void;
}

/**
 * @param perSecond messages a second, at most; @param behindMs how far behind their times are until `putClockRight`
 * @param someVisitor whose link is taken back next, if it has one
 */
export function startFeeder(
  target: FeederTarget,
  next: NextMessage,
  {
    perSecond,
    behindMs,
    someVisitor,
  }: { readonly perSecond: number; readonly behindMs: number; readonly someVisitor: () => string },
): Feeder {
  const acknowledged = new Set<string>();
  const repeats = new Map<string, number>();
  const waiting: Waiting[] = [];
  const underWay = new Set<{ readonly ms: number }>();
  const perTick = Math.max(1, Math.round((perSecond * TICK_MS) / 1_000));
  let clockBehindMs = behindMs;
  let inFlight = 0;
  let broken = 0;
  let toldWhen = 0;
  let paused = false;
  let finished = false;
  let aborted = false;
  let ticks = 0;

  const failed = (how: string): void => {
    repeats.set(how, (repeats.get(how) ?? 0) + 1);
  };

  /** Null: unanswered. */
  async function attempt(
    route: string,
    key: string,
    body: string,
  ): Promise<{ response: Response; text: string } | null> {
    const since = { ms: performance.now() };
    underWay.add(since);
    try {
      const response = await fetch(`${target.url}${route}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
        body,
        signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
      });
      return { response, text: await response.text() };
    } catch (error) {
      const { code } = ((error as Error).cause ?? {}) as { code?: string };
      if (code !== undefined && BROKEN.has(code)) broken += 1;
      return null;
    } finally {
      underWay.delete(since);
    }
  }

  /** Until it is answered with success. */
  async function post(route: string, key: string, body: string): Promise<void> {
    while (!aborted) {
      const answer = await attempt(route, key, body);
      if (answer?.response.ok === true) return;
      failed(answer === null ? 'unanswered' : String(answer.response.status));
      if (answer?.response.status === 400) throw new Error(`collect refused: ${answer.text}`);
      if (answer?.response.status === 503 && answer.response.headers.has('retry-after')) toldWhen += 1;
      await sleep(RETRY_MS);
    }
    throw new Error('the feeder was ended');
  }

  async function sender(): Promise<void> {
    while (!finished || waiting.length > 0) {
      const batch = waiting.shift();
      if (batch === undefined) {
        await sleep(TICK_MS / 4);
        continue;
      }
      inFlight += batch.messages.length;
      await post('/v1/batch', target.writeKey, JSON.stringify({ batch: batch.messages }));
      inFlight -= batch.messages.length;
      for (const { messageId } of batch.messages) acknowledged.add(messageId);
      batch.done();
    }
  }

  function report(nowMs: number): Promise<void> {
    const row = {
      ...REPORTED,
      period: 'hour',
      start: new Date(nowMs - (nowMs % 3_600_000)).toISOString(),
      impressions: ticks,
      clicks: Math.floor(ticks / 10),
      cost: String(ticks / 100),
      asOf: new Date(nowMs).toISOString(),
    };
    return post('/v1/spend', target.secretKey, JSON.stringify({ rows: [row] }));
  }

  let isRevoking = false;
  async function revokeOne(): Promise<void> {
    isRevoking = true;
    await revokeLinkOf(target, someVisitor());
    isRevoking = false;
  }

  let revoking: Promise<void> = Promise.resolve();
  let reporting: Promise<void> = Promise.resolve();
  const timer = setInterval(() => {
    if (paused || finished || waiting.length >= WAITING_MAX) return;
    ticks += 1;
    const nowMs = Date.now() - clockBehindMs;
    waiting.push({ messages: Array.from({ length: perTick }, () => next(nowMs)), done: () => {} });
    if (ticks % REVOKE_EVERY_TICKS === 0 && !isRevoking) revoking = revokeOne();
    if (ticks % REPORT_EVERY_TICKS !== 0) return;
    reporting = reporting.then(() => report(nowMs));
    reporting.catch(() => {});
  }, TICK_MS);
  const senders = Array.from({ length: SENDERS }, sender);
  // A refusal is told where the feeder is waited for.
  for (const one of senders) one.catch(() => {});

  return {
    acknowledged,
    repeats,
    toldWhen: () => toldWhen,
    inFlight: () => inFlight,
    underWayMs() {
      const [oldest] = underWay;
      return oldest === undefined ? 0 : performance.now() - oldest.ms;
    },
    broken: () => broken,
    putClockRight() {
      clockBehindMs = 0;
    },
    pause() {
      paused = true;
    },
    resume() {
      paused = false;
    },
    send: (messages) =>
      new Promise((done) => {
        waiting.unshift({ messages, done });
      }),
    acknowledge(messages) {
      for (const { messageId } of messages) acknowledged.add(messageId);
    },
    async finish() {
      finished = true;
      clearInterval(timer);
      await Promise.all([...senders, reporting, revoking]);
    },
    abort() {
      aborted = true;
      finished = true;
      clearInterval(timer);
    },
  };
}
