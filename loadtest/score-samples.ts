// What a score would have known of each buyer of a simulated marketplace at some times, and what happened then.
// It reads the messages alone, as the stream does; the simulator's truths are for tests to compare with.
import { type BuyerHistory, newHistory } from '../domain/buyer.ts';
import type { SegmentRecord } from '../domain/buyer-record.ts';
import { type BehaviourMap, deepBehaviours } from '../domain/definition.ts';
import { copyHistory, joinHistory, learnBehaviour, learnRecord } from '../domain/history.ts';
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

/** Who is who so far, as the log joins them: a visitor's first user keeps what came before, the next gets what comes after. */
interface People {
  /** By person. */
  readonly known: Map<string, BuyerHistory>;
  /** Visitor → user. */
  readonly linked: Map<string, string>;
}

function historyOf(known: Map<string, BuyerHistory>, person: string): BuyerHistory {
  const history = known.get(person) ?? newHistory();
  known.set(person, history);
  return history;
}

/** Joins visitor and user where a message says so. */
function link(
  { known, linked }: People,
  { type, userId, anonymousId, previousId }: SegmentMessage,
  halfLifeMs: number,
) {
  const visitor = type === 'alias' ? (previousId ?? anonymousId) : anonymousId;
  if ((type !== 'identify' && type !== 'alias') || userId === undefined || visitor === undefined) return;
  const before = known.get(`a:${visitor}`);
  if (before !== undefined) joinHistory(historyOf(known, `u:${userId}`), before, [halfLifeMs]);
  known.delete(`a:${visitor}`);
  linked.set(`a:${visitor}`, `u:${userId}`);
}

/** Applies a message that would be applied, to the person that its key is now; the simulator's faults are left out. */
function apply(people: People, feed: FeedMessage, behaviour: string, halfLifeMs: number): void {
  const message = feed.message as SegmentMessage;
  const timeMs = Date.parse(message.timestamp);
  const record = { ...message, kind: message.type, timestamp: timeMs } as unknown as SegmentRecord;
  const history = historyOf(people.known, people.linked.get(feed.key) ?? feed.key);
  learnRecord([history], record);
  if (behaviour !== '') learnBehaviour(history, behaviour, timeMs, [halfLifeMs], feed.arrivalMs);
}

/** Everybody of a simulated marketplace at the given days, with what they did next. */
export function samplesOf(options: SampleOptions): Sample[] {
  const startMs = options.endMs - 30 * DAY_MS;
  const people: People = { known: new Map(), linked: new Map() };
  const { known, linked } = people;
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
      for (const [key, history] of known) taken.push({ timeMs, key, buyer: copyHistory(history) });
      options.onTruths?.(timeMs, truths, known);
    },
  });
  for (const feed of marketplace.messages()) {
    if (feed.planted === 'duplicate' || feed.planted === 'late' || feed.planted === 'invalid') continue;
    const message = feed.message as SegmentMessage;
    link(people, message, options.halfLifeMs);
    const behaviour = behaviourOf(options.behaviours, message);
    apply(people, feed, behaviour, options.halfLifeMs);
    if (!deep.has(behaviour)) continue;
    const person = linked.get(feed.key) ?? feed.key;
    const times = deepTimes.get(person) ?? [];
    times.push(Date.parse(message.timestamp));
    deepTimes.set(person, times);
  }
  const happened = (key: string, timeMs: number): boolean =>
    (deepTimes.get(key) ?? []).some((at) => at >= timeMs && at < timeMs + options.horizonMs);
  return taken.map(({ timeMs, key, buyer }) => ({
    timeMs,
    buyer,
    wentDeep: happened(key, timeMs) || happened(linked.get(key) ?? '', timeMs),
  }));
}
