// All viewers of this process: one subscription for them, opened with the first and closed a while after the last.
// While it is open the latest events are held, so that a viewer who comes back goes on where it was cut off.
import type { LiveEvent, LiveInterest } from '../../domain/live.ts';
import { liveChannel, liveInterestsKey } from '../../platform/keys.ts';
import { announceInterest, type LiveMessage } from '../../platform/live.ts';
import { duplicateOf, type RedisClient } from '../../platform/redis.ts';
import type { Dependencies } from '../dependencies.ts';
import { retryProblem } from '../problem-details.ts';
import { fromRedis } from '../state.ts';
import { droppedFrame, openFrame, readyFrame } from './frame.ts';
import { openViewer, type Viewer } from './viewer.ts';

export const VIEWERS_MAX = 50;
/** How long the stream goes on showing after the last word of a viewer's interest. */
export const INTEREST_LIFE_MS = 15_000;
const RENEW_MS = 5_000;
const HEARTBEAT_MS = 10_000;
/** Above the time in which every stream process asks who looks (stream/live.ts). */
const READY_MS = 750;
/** Held for viewers who come back. */
const RECENT_MAX = 1_000;
const RETRY_SECONDS = 10;
/** At a shutdown, a viewer who does not read is cut off after so long. */
const END_MS_MAX = 1_000;

export interface Asking {
  readonly interest: LiveInterest;
  readonly limit: number;
  readonly seconds: number;
  readonly lastEventId: string | undefined;
}

export interface LiveHub {
  /** @throws 503 with too many viewers, or without Redis */
  open(asking: Asking): Promise<Viewer>;
  /** Ends all viewers' streams. */
  close(): void;
}

type Ports = Pick<Dependencies, 'redis' | 'namespace' | 'log' | 'clock'>;

/** What came behind the event of this id; undefined if that is not held. */
function since(recent: readonly LiveEvent[], id: string): readonly LiveEvent[] | undefined {
  const at = recent.findLastIndex((event) => event.id === id);
  return at === -1 ? undefined : recent.slice(at + 1);
}

export function createLiveHub({ redis, namespace, log, clock }: Ports): LiveHub {
  const viewers = new Set<Viewer>();
  const interestsKey = liveInterestsKey(namespace);
  const channel = liveChannel(namespace);
  let subscriber: Promise<RedisClient> | undefined;
  let recent: LiveEvent[] = [];
  let lookedAtMs = 0;
  let renewal: NodeJS.Timeout | undefined;
  let heartbeat: NodeJS.Timeout | undefined;

  const announce = ({ interest }: Pick<Viewer, 'interest'>): Promise<void> =>
    announceInterest(redis, interestsKey, interest, INTEREST_LIFE_MS);

  function take(text: string): void {
    const { skipped, events } = JSON.parse(text) as LiveMessage;
    recent = [...recent, ...events].slice(-RECENT_MAX);
    for (const viewer of viewers) {
      if (skipped > 0) viewer.say(droppedFrame(skipped, 'stream'));
      for (const event of events) viewer.show(event);
    }
  }

  async function subscribe(): Promise<RedisClient> {
    const own = duplicateOf(redis);
    own.on('error', (error: Error) => log.warn(`live: ${error.message}`));
    own.on('message', (_channel: string, text: string) => take(text));
    try {
      await own.subscribe(channel);
      return own;
    } catch (error) {
      own.disconnect();
      throw error;
    }
  }

  function letGo(): void {
    clearInterval(renewal);
    clearInterval(heartbeat);
    void subscriber?.then((own) => own.disconnect()).catch(() => {});
    subscriber = undefined;
    renewal = undefined;
    heartbeat = undefined;
    recent = [];
  }

  /** Says again who looks; lets the subscription go when nobody has for as long as the stream goes on. */
  function renew(): void {
    if (viewers.size > 0) lookedAtMs = clock.monotonicMs();
    else if (clock.monotonicMs() - lookedAtMs > INTEREST_LIFE_MS) letGo();
    for (const viewer of viewers) {
      announce(viewer).catch((error: Error) => log.warn(`live: ${error.message}`));
    }
  }

  function begin(): Promise<RedisClient> {
    if (subscriber !== undefined) return subscriber;
    const opening = subscribe();
    subscriber = opening;
    renewal = setInterval(renew, RENEW_MS);
    heartbeat = setInterval(() => {
      for (const viewer of viewers) viewer.heartbeat();
    }, HEARTBEAT_MS);
    opening.catch(letGo);
    return opening;
  }

  function admit(viewer: Viewer, seconds: number): void {
    const ready = setTimeout(() => viewer.say(readyFrame), READY_MS);
    const end = setTimeout(() => viewer.end(), seconds * 1_000);
    viewer.body.once('close', () => {
      clearTimeout(ready);
      clearTimeout(end);
      viewers.delete(viewer);
    });
  }

  return {
    async open({ interest, limit, seconds, lastEventId }) {
      if (viewers.size >= VIEWERS_MAX) {
        const detail = `${VIEWERS_MAX} look already, which is the most that one process serves.`;
        throw retryProblem(503, 'too_many_viewers', detail, RETRY_SECONDS);
      }
      const viewer = openViewer(interest, limit);
      viewers.add(viewer);
      lookedAtMs = clock.monotonicMs();
      try {
        await fromRedis(Promise.all([begin(), announce(viewer)]));
      } catch (error) {
        viewers.delete(viewer);
        throw error;
      }
      const missed = lastEventId === undefined ? undefined : since(recent, lastEventId);
      viewer.say(openFrame(lastEventId === undefined ? null : missed !== undefined));
      for (const event of missed ?? []) viewer.show(event);
      admit(viewer, seconds);
      return viewer;
    },
    close() {
      for (const viewer of viewers) {
        viewer.end();
        setTimeout(() => viewer.body.destroy(), END_MS_MAX).unref();
      }
      letGo();
    },
  };
}
