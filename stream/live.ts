// The live debugger's side of the stream: while somebody looks, it tells behind a commit what its records came to.
// It costs nothing when nobody looks, waits for nothing, changes nothing that is committed, and loses only itself.
import type { Buyer } from '../domain/buyer.ts';
import { type LiveEvent, type LiveInterest, mayWant, wants } from '../domain/live.ts';
import type { Verdict } from '../domain/record.ts';
import { liveChannel, liveInterestsKey } from '../platform/keys.ts';
import { type LiveMessage, readInterests } from '../platform/live.ts';
import type { Namespace } from '../platform/namespace.ts';
import type { RedisClient } from '../platform/redis.ts';
import type { Batch } from './batch.ts';
import type { Decoded, Message } from './decode.ts';
import { changesSince, lookBefore, reasonOf } from './live-look.ts';
import { subjectOfReject } from './reject.ts';
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
const EVENTS_PER_MESSAGE_MAX = 200;
/** Messages that Redis has not taken yet; above it, they are given up. */
const IN_FLIGHT_MAX = 16;

type Shown = Pick<
  LiveEvent,
  'key' | 'person' | 'source' | 'kind' | 'messageId' | 'event' | 'timeMs' | 'receivedMs'
> &
  Pick<LiveEvent, 'origin'>;

/**
 * Whom a record counts for. Links between visitors and users are not looked up here: the key speaks for itself.
 */
function personOf(key: string): string {
  return key;
}

/** What can be said of a record before it is folded; undefined for those that the debugger does not show. */
function shownOf(decoded: Decoded): Shown | undefined {
  switch (decoded.kind) {
    case 'segment': {
      const { record, key } = decoded;
      const { kind, messageId, event = '', source = '', timestamp: timeMs, receivedAt: receivedMs } = record;
      return { kind, key, person: personOf(key), source, messageId, event, timeMs, receivedMs };
    }
    case 'exposure':
    case 'receipt': {
      const { record, key, kind } = decoded;
      const event = record.kind === 'exposure' ? record.experiment : record.trigger;
      const { messageId, timestamp: timeMs } = record;
      return { kind, key, person: personOf(key), source: '', messageId, event, timeMs, receivedMs: 0 };
    }
    case 'rejected': {
      const { record } = decoded;
      const subject = subjectOfReject(record);
      const { sourceTopic: topic, sourcePartition: partition, sourceOffset: offset, route } = record;
      return {
        ...subject,
        person: personOf(subject.key),
        source: record.source ?? '',
        receivedMs: record.at,
        origin: { topic, partition, offset, request: record.sourceId, route },
      };
    }
    default:
      return undefined;
  }
}

/** What the record came to, once it is folded. */
function toldOf(
  shown: Shown,
  work: Work,
  batch: Batch,
  message: Message,
  decoded: Decoded,
): (verdict: Verdict, behaviour: string) => LiveEvent {
  const { topic, generation, partition } = work.id;
  const { offset } = message;
  const common = {
    id: `${topic}:${generation}:${partition}:${offset}`,
    topic,
    partition,
    offset,
    ...shown,
    watermarkMs: work.head.watermarkMs,
  };
  if (decoded.kind === 'rejected') {
    const { reason: code, detail } = decoded.record;
    return () => ({ ...common, behaviour: '', verdict: 'rejected', reason: { code, detail }, changes: {} });
  }
  const stateOf = (): Buyer | undefined => work.states.get(shown.key) as Buyer | undefined;
  const before = lookBefore(stateOf(), shown.messageId, batch);
  return (verdict, behaviour) => {
    const { definitions } = work.inForce;
    const { latenessMs } = definitions.settings;
    const reason =
      decoded.kind === 'segment'
        ? reasonOf(decoded.record, verdict, behaviour, before, common.watermarkMs, latenessMs)
        : null;
    const touched = verdict === 'applied' || verdict === 'control';
    const changes = touched ? changesSince(before, stateOf(), batch, definitions, shown.timeMs) : {};
    return { ...common, behaviour, verdict, reason, changes };
  };
}

/** Counts what may be shown in a second. */
function createAllowance(monotonicMs: () => number) {
  let sinceMs = Number.NEGATIVE_INFINITY;
  let left = 0;
  return {
    take(): boolean {
      const nowMs = monotonicMs();
      if (nowMs - sinceMs >= 1_000) {
        sinceMs = nowMs;
        left = SHOWN_PER_SECOND_MAX;
      }
      left -= 1;
      return left >= 0;
    },
  };
}

export function openLive(parts: LiveParts): Live {
  const { redis, namespace, slot, failed } = parts;
  const interestsKey = liveInterestsKey(namespace);
  const channel = liveChannel(namespace);
  const allowance = createAllowance(parts.monotonicMs);
  let interests: readonly LiveInterest[] = [];
  let reading = false;
  let inFlight = 0;
  let skipped = 0;

  async function readAgain(): Promise<void> {
    if (reading) return;
    reading = true;
    try {
      interests = await readInterests(redis, interestsKey, INTERESTS_MAX);
    } catch (error) {
      interests = [];
      failed(error);
    }
    reading = false;
  }

  function publish(events: readonly LiveEvent[]): void {
    if (inFlight >= IN_FLIGHT_MAX) {
      skipped += events.length;
      return;
    }
    const message: LiveMessage = { slot, skipped, events };
    skipped = 0;
    inFlight += 1;
    redis
      .publish(channel, JSON.stringify(message))
      .catch(failed)
      .finally(() => {
        inFlight -= 1;
      });
  }

  function begin(): LiveBatch | undefined {
    if (interests.length === 0) return undefined;
    const wanted = interests;
    const seen: LiveEvent[] = [];
    return {
      look(work, batch, message, decoded) {
        // The debugger may fail; the record at hand may not.
        try {
          const shown = shownOf(decoded);
          if (shown === undefined || !wanted.some((interest) => mayWant(interest, shown))) return undefined;
          if (!allowance.take()) {
            skipped += 1;
            return undefined;
          }
          const told = toldOf(shown, work, batch, message, decoded);
          return (verdict, behaviour) => {
            try {
              const event = told(verdict, behaviour);
              if (wanted.some((interest) => wants(interest, event))) seen.push(event);
            } catch (error) {
              failed(error);
            }
          };
        } catch (error) {
          failed(error);
          return undefined;
        }
      },
      committed() {
        for (let from = 0; from < seen.length; from += EVENTS_PER_MESSAGE_MAX) {
          publish(seen.slice(from, from + EVENTS_PER_MESSAGE_MAX));
        }
      },
    };
  }

  const timer = setInterval(() => void readAgain(), INTEREST_READ_MS);
  return { begin, close: () => clearInterval(timer) };
}
