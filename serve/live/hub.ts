// All viewers of this process: one subscription for them, opened with the first and closed a while after the last.
// So long the stream is told what they look for, and a viewer who comes back goes on where it was cut off.
import type { LiveInterest } from '../../domain/live.ts';
import { liveInterestsKey } from '../../platform/keys.ts';
import type { Dependencies } from '../dependencies.ts';
import { retryProblem } from '../problem-details.ts';
import { fromRedis } from '../state.ts';
import { createAnnounced } from './announced.ts';
import { droppedFrame, gapFrame, openFrame, readyFrame } from './frame.ts';
import { createSubscription, type Missed } from './subscription.ts';
import { openViewer, type Viewer } from './viewer.ts';

export const VIEWERS_MAX = 50;
/** How long the stream goes on showing after the last word of a viewer's interest. */
export const INTEREST_LIFE_MS = 15_000;
const RENEW_MS = 5_000;
const HEARTBEAT_MS = 10_000;
/** Above the time in which every stream process asks who looks (stream/live.ts). */
const READY_MS = 750;
const RETRY_SECONDS = 10;
/** At a shutdown, a viewer who does not read is cut off after so long. */
const CLOSE_MS_MAX = 1_000;

export interface Asking {
  readonly interest: LiveInterest;
  /** What of it is not known here, in words. */
  readonly unknown: readonly string[];
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

export function createLiveHub(ports: Ports): LiveHub {
  const { namespace, log, clock } = ports;
  const viewers = new Set<Viewer>();
  const announced = createAnnounced(ports, liveInterestsKey(namespace), INTEREST_LIFE_MS);
  const subscription = createSubscription(ports, {
    take({ skipped, events }) {
      for (const viewer of viewers) {
        if (skipped > 0) viewer.say(droppedFrame(skipped, 'stream'));
        for (const event of events) viewer.show(event);
      }
    },
    lost() {
      forgetGap();
      inGap = true;
      for (const viewer of viewers) viewer.say(gapFrame);
    },
    back() {
      owesReady = true;
      renew();
    },
  });
  /** Viewers who are not among `viewers` yet: a connection may take longer to come about than the stream goes on. */
  const opening = new Set<Pick<Viewer, 'interest'>>();
  let closed = false;
  let lookedAtMs = 0;
  /** Viewers were told of a gap, and not yet that it is over. */
  let inGap = false;
  /** It listens again, and the stream has not been told yet who looks. */
  let owesReady = false;
  let gapEnd: NodeJS.Timeout | undefined;
  let timers: NodeJS.Timeout[] = [];

  function forgetGap(): void {
    clearTimeout(gapEnd);
    inGap = false;
    owesReady = false;
  }

  function letGo(): void {
    for (const timer of timers) clearInterval(timer);
    timers = [];
    forgetGap();
    subscription.close();
  }

  /** Says again who looks; lets the subscription go when nobody has for as long as the stream goes on. */
  function renew(): void {
    announced.prune();
    if (viewers.size + opening.size > 0) lookedAtMs = clock.monotonicMs();
    else if (clock.monotonicMs() - lookedAtMs > INTEREST_LIFE_MS) letGo();
    Promise.all([...viewers, ...opening].map(({ interest }) => announced.announce(interest))).then(
      endGap,
      (error: Error) => log.warn(`live: ${error.message}`),
    );
  }

  /** The stream may have forgotten meanwhile who looks: it has been told again, and needs as long as at first. */
  function endGap(): void {
    if (!owesReady) return;
    owesReady = false;
    const told = [...viewers];
    gapEnd = setTimeout(() => {
      inGap = false;
      for (const viewer of told) viewer.say(readyFrame);
    }, READY_MS);
  }

  function beat(): void {
    for (const viewer of viewers) viewer.heartbeat();
  }

  async function begin(interest: LiveInterest): Promise<void> {
    lookedAtMs = clock.monotonicMs();
    if (timers.length === 0) timers = [setInterval(renew, RENEW_MS), setInterval(beat, HEARTBEAT_MS)];
    await fromRedis(Promise.all([subscription.open(), announced.announce(interest)]));
  }

  /** What of the interest came behind its event; undefined if that is not held, or not everything was shown since. */
  function missedBy(interest: LiveInterest, lastEventId: string | undefined): Missed | undefined {
    const sinceMs = announced.sinceMs(interest);
    if (lastEventId === undefined || sinceMs === undefined) return undefined;
    return subscription.since(lastEventId, sinceMs);
  }

  function endInTime(viewer: Viewer, seconds: number): void {
    // In a gap, its end says so.
    const ready = setTimeout(() => {
      if (!inGap) viewer.say(readyFrame);
    }, READY_MS);
    const end = setTimeout(() => viewer.end(), seconds * 1_000);
    viewer.body.once('close', () => {
      clearTimeout(ready);
      clearTimeout(end);
      viewers.delete(viewer);
    });
  }

  return {
    async open({ interest, unknown, limit, seconds, lastEventId }) {
      if (viewers.size + opening.size >= VIEWERS_MAX) {
        const detail = `${VIEWERS_MAX} look already, which is the most that one process serves.`;
        throw retryProblem(503, 'too_many_viewers', detail, RETRY_SECONDS);
      }
      const arriving = { interest };
      opening.add(arriving);
      await begin(interest).finally(() => opening.delete(arriving));
      // In one turn: so `open` comes first, and what is held and what comes next to each other, nothing twice.
      const viewer = openViewer(interest, limit);
      const missed = missedBy(interest, lastEventId);
      viewer.say(openFrame(interest, lastEventId === undefined ? null : missed !== undefined, unknown));
      if (subscription.isBroken()) viewer.say(gapFrame);
      if (missed !== undefined && missed.skipped > 0) viewer.say(droppedFrame(missed.skipped, 'stream'));
      for (const event of missed?.events ?? []) viewer.show(event);
      viewers.add(viewer);
      endInTime(viewer, seconds);
      if (closed) viewer.end();
      return viewer;
    },
    close() {
      closed = true;
      for (const viewer of viewers) {
        viewer.end();
        setTimeout(() => viewer.body.destroy(), CLOSE_MS_MAX).unref();
      }
      letGo();
    },
  };
}
