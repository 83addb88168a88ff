// The live debugger's side of the stream: while somebody looks, it tells behind a commit what its records came to.
// It costs nothing when nobody looks, waits for nothing, changes nothing that is committed, and loses only itself.
import { type LiveEvent, type LiveInterest, mayWant, wants } from '../domain/live.ts';
import type { Verdict } from '../domain/record.ts';
import { liveChannel, liveInterestsKey } from '../platform/keys.ts';
import { type LiveMessage, readInterests } from '../platform/live.ts';
import type { Namespace } from '../platform/namespace.ts';
import type { RedisClient } from '../platform/redis.ts';
import type { Batch } from './batch.ts';
import type { Decoded, Message } from './decode.ts';
import { shownOf, toldOf } from './live-event.ts';
import type { Work } from './work.ts';

/** Told when the record is folded. */
export type Seen = (verdict: Verdict, behaviour: string) => void;

/** What is looked at of one batch; forgotten if its commit fails. */
export interface LiveBatch {
  /** Before a record is folded; undefined if nobody wants to see it. */
  look(work: Work, batch: Batch, message: Message, decoded: Decoded): Seen | undefined;
  /** The batch is committed: what was seen may be told. */
  committed(): void;
}

export interface Live {
  /** For the batch that begins; undefined while nobody looks. */
  begin(): LiveBatch | undefined;
  close(): void;
}

export interface LiveParts {
  readonly redis: RedisClient;
  readonly namespace: Namespace;
  /** Names this process. */
  readonly slot: string;
  /** Asked for who looks, or publishing, did not work: counted, and done again at the next tick. */
  failed(error: unknown): void;
  monotonicMs(): number;
}

/** How often it is asked whether somebody looks: a viewer waits so long for the first record. */
export const INTEREST_READ_MS = 500;
/** Interests told apart; above it, everything is shown and `serve` sorts. */
const INTERESTS_MAX = 50;
/** Records that one process shows in a second; the others are only counted. */
const SHOWN_PER_SECOND_MAX = 1_000;
/** Records that it looks at in a second to see whether they come to the verdict that somebody looks for. */
const LOOKS_PER_SECOND_MAX = 20_000;
const EVENTS_PER_MESSAGE_MAX = 200;
/** What was left out is told so often, at most, where nothing is shown. */
const TELL_SKIPPED_MS = 1_000;
/** Messages that Redis has not taken yet; above it, they are given up. */
const IN_FLIGHT_MAX = 16;

/** Counts what may be done in a second. */
function createAllowance(perSecondMax: number, monotonicMs: () => number) {
  let sinceMs = Number.NEGATIVE_INFINITY;
  let left = 0;
  function renew(): void {
    const nowMs = monotonicMs();
    if (nowMs - sinceMs < 1_000) return;
    sinceMs = nowMs;
    left = perSecondMax;
  }
  return {
    take(): boolean {
      renew();
      left -= 1;
      return left >= 0;
    },
    isSpent(): boolean {
      renew();
      return left <= 0;
    },
  };
}

/** Whether what is shown to the interest may have changed something: what is late or known changes nothing. */
function mayChange({ verdict }: LiveInterest): boolean {
  return verdict !== 'late' && verdict !== 'duplicate';
}

/** Whether the record may come to the interest's verdict: a reject is one before it is folded, and nothing else becomes one. */
function mayCome({ verdict }: LiveInterest, { kind }: Decoded): boolean {
  return verdict === undefined || (verdict === 'rejected') === (kind === 'rejected');
}

interface LivePublisher {
  /** Records that are not shown: the next message tells how many. */
  skip(records: number): void;
  publish(events: readonly LiveEvent[]): void;
  /** Tells what was left out where no message has told it for a second. */
  tellSkipped(): void;
  /** Nobody looks any more: what was left out is nobody's. */
  forget(): void;
}

/** Waits for nothing: what Redis does not take in time, or at all, is given up, and the next message tells how much that was. */
function createLivePublisher({ redis, namespace, slot, failed, monotonicMs }: LiveParts): LivePublisher {
  const channel = liveChannel(namespace);
  let inFlight = 0;
  let skipped = 0;
  /** Of those who look until nobody does. */
  let audience = 0;
  let toldMs = Number.NEGATIVE_INFINITY;

  function publish(events: readonly LiveEvent[]): void {
    if (inFlight >= IN_FLIGHT_MAX) {
      skipped += events.length;
      return;
    }
    const message: LiveMessage = { slot, skipped, events };
    const sentTo = audience;
    skipped = 0;
    toldMs = monotonicMs();
    inFlight += 1;
    redis
      .publish(channel, JSON.stringify(message))
      .catch((error: unknown) => {
        if (sentTo === audience) skipped += message.skipped + events.length;
        failed(error);
      })
      .finally(() => {
        inFlight -= 1;
      });
  }

  return {
    skip(records) {
      skipped += records;
    },
    publish,
    tellSkipped() {
      if (skipped > 0 && monotonicMs() - toldMs >= TELL_SKIPPED_MS) publish([]);
    },
    forget() {
      skipped = 0;
      audience += 1;
    },
  };
}

export function openLive(parts: LiveParts): Live {
  const { redis, failed } = parts;
  const interestsKey = liveInterestsKey(parts.namespace);
  const publisher = createLivePublisher(parts);
  const shows = createAllowance(SHOWN_PER_SECOND_MAX, parts.monotonicMs);
  const looks = createAllowance(LOOKS_PER_SECOND_MAX, parts.monotonicMs);
  let interests: readonly LiveInterest[] = [];
  let reading = false;

  async function readAgain(): Promise<void> {
    if (reading) return;
    reading = true;
    try {
      interests = await readInterests(redis, interestsKey, INTERESTS_MAX);
      if (interests.length === 0) publisher.forget();
    } catch (error) {
      // Who looked is taken to look still: what they do not get meanwhile is told to them.
      failed(error);
    }
    reading = false;
  }

  /** The debugger may fail; the record at hand may not. */
  function guarded<Result>(work: () => Result): Result | undefined {
    try {
      return work();
    } catch (error) {
      failed(error);
      return undefined;
    }
  }

  function begin(): LiveBatch | undefined {
    if (interests.length === 0) return undefined;
    const wanted = interests;
    const seen: LiveEvent[] = [];
    const look: LiveBatch['look'] = (work, batch, message, decoded) => {
      const shown = shownOf(decoded);
      if (shown === undefined) return undefined;
      const asked = wanted.filter((interest) => mayWant(interest, shown) && mayCome(interest, decoded));
      if (asked.length === 0) return undefined;
      const isReject = decoded.kind === 'rejected';
      // Of all others the verdict decides: what is not wanted then counts as neither shown nor left out, what is not looked at as left out.
      const isWanted = isReject || asked.some(({ verdict }) => verdict === undefined);
      if (!(isWanted ? shows : looks).take()) {
        publisher.skip(1);
        return undefined;
      }
      // What can be shown no more in this second is told apart by its verdict alone.
      const told =
        !isWanted && shows.isSpent()
          ? undefined
          : toldOf(shown, work, batch, message, decoded, asked.some(mayChange));
      return (folded, behaviour) =>
        guarded(() => {
          const verdict = isReject ? 'rejected' : folded;
          if (!asked.some((interest) => wants(interest, { ...shown, verdict }))) return;
          if (told !== undefined && (isWanted || shows.take())) seen.push(told(verdict, behaviour));
          else publisher.skip(1);
        });
    };
    return {
      look: (...record) => guarded(() => look(...record)),
      committed() {
        for (let from = 0; from < seen.length; from += EVENTS_PER_MESSAGE_MAX) {
          publisher.publish(seen.slice(from, from + EVENTS_PER_MESSAGE_MAX));
        }
        publisher.tellSkipped();
      },
    };
  }

  const timer = setInterval(() => void readAgain(), INTEREST_READ_MS);
  return { begin, close: () => clearInterval(timer) };
}
