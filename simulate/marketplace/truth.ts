// The hidden truths: what is likely of each buyer at a time, and what became of each segment.
// Nothing outside `simulate/` and its tests reads them.
import { deepProbability } from './interest.ts';
import type { PersonState } from './person-state.ts';
import type { Person } from './population.ts';
import { levels } from './world.ts';

/** The hidden truth about one buyer at one time. */
export interface BuyerTruth {
  /** The key that the buyer now acts under. */
  readonly key: string;
  readonly country: string;
  readonly industry: string;
  readonly channel: string;
  readonly level: string;
  readonly stage: string;
  /** Of a contact, inquiry or order within the horizon, whole weeks of which pass alike everywhere. */
  readonly probability: number;
}

/** Planted and lived rates of one segment: of those who came, how many went deep. */
export interface SegmentTruth {
  readonly dimension: 'country' | 'industry' | 'channel' | 'level';
  readonly value: string;
  readonly people: number;
  readonly deepPeople: number;
  readonly rate: number;
}

/** The key under which the buyer acts now. */
export function keyOf(state: PersonState): string {
  return state.known ? `u:${state.person.userId}` : `a:${state.person.anonymousId}`;
}

/** The truth about everybody who has come so far. */
export function truthsAt(states: readonly PersonState[], horizonDays: number): BuyerTruth[] {
  return states
    .filter((state) => state.seen)
    .map((state) => ({
      key: keyOf(state),
      country: state.person.country.code,
      industry: state.person.industry.name,
      channel: state.person.channel.name,
      level: levels[state.levelIndex]!.name,
      stage: state.stage,
      probability: deepProbability(state.stage, state.person.temperament, horizonDays),
    }));
}

/** Of those who were `seen`, the share that went `deep`, by each dimension. */
export function segmentTruths(seen: ReadonlySet<Person>, deep: ReadonlySet<Person>): SegmentTruth[] {
  const dimensions = ['country', 'industry', 'channel', 'level'] as const;
  return dimensions.flatMap((dimension) => {
    const segments = new Map<string, { people: number; deepPeople: number }>();
    for (const person of seen) {
      const { [dimension]: trait } = person;
      const value = 'code' in trait ? trait.code : trait.name;
      const segment = segments.get(value) ?? { people: 0, deepPeople: 0 };
      segment.people += 1;
      if (deep.has(person)) segment.deepPeople += 1;
      segments.set(value, segment);
    }
    return [...segments].map(([value, { people, deepPeople }]) => ({
      dimension,
      value,
      people,
      deepPeople,
      rate: deepPeople / people,
    }));
  });
}
