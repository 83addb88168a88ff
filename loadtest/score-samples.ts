// What a score would have known of each buyer of a simulated marketplace at some times, and what happened then.
// It reads the messages alone, as the stream does; the simulator's truths are for tests to compare with.
import { attributesOf } from '../domain/attributes.ts';
import type { EngagementSums, Stamped } from '../domain/buyer.ts';
import { type BehaviourMap, deepBehaviours } from '../domain/definition.ts';
import { engage } from '../domain/engagement.ts';
import type { SegmentRecord } from '../domain/record.ts';
import type { ScoredBuyer } from '../domain/score.ts';
import type { FeedMessage, SegmentMessage } from '../simulate/feed.ts';
import { createMarketplace } from '../simulate/marketplace/marketplace.ts';
import type { BuyerTruth } from '../simulate/marketplace/truth.ts';

const DAY_MS = 86_400_000;

export interface SampleOptions {
  readonly seed: string;
  readonly endMs: number;
  readonly buyers: number;
  /** Days after the start at which buyers are looked at. */
  readonly days: readonly number[];
  readonly horizonMs: number;
  readonly halfLifeMs: number;
  readonly behaviours: BehaviourMap;
  /** Tests only: the truth at each of the days, beside what a score knows. */
  readonly onTruths?: (
    timeMs: number,
    truths: readonly BuyerTruth[],
    known: ReadonlyMap<string, ScoredBuyer>,
  ) => void;
}

/** One buyer at one time. */
export interface Sample {
  readonly timeMs: number;
  readonly buyer: ScoredBuyer;
  /** A deep behaviour came within the horizon. */
  readonly wentDeep: boolean;
}

interface Known {
  engagement: EngagementSums[];
  country: Stamped | null;
  industry: Stamped | null;
  level: Stamped | null;
}

interface Taken {
  readonly timeMs: number;
  readonly key: string;
  readonly buyer: ScoredBuyer;
}

function behaviourOf(map: BehaviourMap, message: SegmentMessage): string {
  const rule = map.rules.find(
    (each) => each.kind === message.type && (each.event === undefined || each.event === message.event),
  );
  return rule?.behaviour ?? '';
}

/** Applies a message that would be applied; the simulator's faults are left out. */
function apply(known: Map<string, Known>, feed: FeedMessage, behaviour: string, halfLifeMs: number): void {
  const message = feed.message as SegmentMessage;
  const timeMs = Date.parse(message.timestamp);
  const buyer = known.get(feed.key) ?? { engagement: [], country: null, industry: null, level: null };
  known.set(feed.key, buyer);
  const attributes = attributesOf({
    ...message,
    kind: message.type,
    timestamp: timeMs,
  } as unknown as SegmentRecord);
  for (const name of ['country', 'industry', 'level'] as const) {
    const value = attributes[name];
    const before = buyer[name];
    if (value !== undefined && (before === null || before.timeMs <= timeMs)) {
      buyer[name] = { value, timeMs, messageId: message.messageId };
    }
  }
  if (behaviour !== '') {
    buyer.engagement = engage(buyer.engagement, [halfLifeMs], behaviour, timeMs, feed.arrivalMs);
  }
}

/** Everybody of a simulated marketplace at the given days, with what they did next. */
export function samplesOf(options: SampleOptions): Sample[] {
  const startMs = options.endMs - 30 * DAY_MS;
  const known = new Map<string, Known>();
  /** Visitor → user, as identify says: the user goes on where the visitor ends. */
  const linked = new Map<string, string>();
  const deepTimes = new Map<string, number[]>();
  const taken: Taken[] = [];
  const deep: ReadonlySet<string> = new Set(deepBehaviours);
  const marketplace = createMarketplace({
    seed: options.seed,
    startMs,
    endMs: options.endMs,
    buyers: options.buyers,
    idPrefix: 'sample',
    horizonDays: options.horizonMs / DAY_MS,
    snapshotsMs: options.days.map((day) => startMs + day * DAY_MS),
    onSnapshot: (timeMs, truths) => {
      for (const [key, buyer] of known) {
        if (!linked.has(key)) taken.push({ timeMs, key, buyer: structuredClone(buyer) });
      }
      options.onTruths?.(timeMs, truths, known);
    },
  });
  for (const feed of marketplace.messages()) {
    if (feed.planted === 'duplicate' || feed.planted === 'late' || feed.planted === 'invalid') continue;
    const message = feed.message as SegmentMessage;
    if (message.type === 'identify' && message.anonymousId !== undefined) {
      linked.set(`a:${message.anonymousId}`, feed.key);
    }
    const behaviour = behaviourOf(options.behaviours, message);
    apply(known, feed, behaviour, options.halfLifeMs);
    if (!deep.has(behaviour)) continue;
    const times = deepTimes.get(feed.key) ?? [];
    times.push(Date.parse(message.timestamp));
    deepTimes.set(feed.key, times);
  }
  const happened = (key: string, timeMs: number): boolean =>
    (deepTimes.get(key) ?? []).some((at) => at >= timeMs && at < timeMs + options.horizonMs);
  return taken.map(({ timeMs, key, buyer }) => ({
    timeMs,
    buyer,
    wentDeep: happened(key, timeMs) || happened(linked.get(key) ?? '', timeMs),
  }));
}
