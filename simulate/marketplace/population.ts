// The buyers: who they are, and the temperament that nobody outside sees.
import type { InterestStage, Temperament } from './interest.ts';
import { logNormal, pick, type Random, randomOf, weighted } from './random.ts';
import { type Ties, tiesOf } from './ties.ts';
import {
  type Channel,
  type Country,
  channels,
  countries,
  type Industry,
  industries,
  type Level,
  levels,
} from './world.ts';

/** What stays the same of a buyer through every run of one seed. */
export interface Person {
  readonly index: number;
  readonly userId: string;
  readonly anonymousId: string;
  readonly country: Country;
  readonly industry: Industry;
  readonly channel: Channel;
  readonly level: Level;
  readonly category: string;
  readonly temperament: Temperament;
  /** Share of the period that has passed when the buyer first comes. */
  readonly arrival: number;
  readonly firstStage: InterestStage;
  /** The site does not know this buyer by name at first. */
  readonly startsAnonymous: boolean;
  /** Where the visitor's place cannot be told. */
  readonly countryHidden: boolean;
  readonly ties: Ties;
}

const SHARE_PRESENT = 0.5;
const RETURNS_A_PERIOD = 3;
const SHARE_ANONYMOUS = 0.24;

const drawCountry = weighted(countries, (country) => country.weight);
const drawIndustry = weighted(industries, (industry) => industry.weight);
const drawChannel = weighted(channels, (channel) => channel.weight);
const drawLevel = weighted(levels, (level) => level.weight);
/** Stages of those who were there before the period, roughly where the chain comes to rest. */
const drawPresentStage = weighted<readonly [InterestStage, number]>(
  [
    ['idle', 0.66],
    ['research', 0.2],
    ['sourcing', 0.08],
    ['negotiating', 0.06],
  ],
  ([, share]) => share,
);

function temperamentOf(
  random: Random,
  person: Pick<Person, 'country' | 'industry' | 'channel' | 'level'>,
): Temperament {
  const { country, industry, channel, level } = person;
  return {
    activity: country.activity * channel.activity * level.activity * logNormal(random, 0.45),
    need: industry.need * logNormal(random, 0.5),
    depth: country.depth * level.depth * logNormal(random, 0.35),
    dropout: Math.min(0.9, 0.3 * logNormal(random, 0.5)),
  };
}

/** Who was there before comes again soon: an exponential wait, cut at the end of the period. */
function firstReturn(random: Random): number {
  return -Math.log(1 - random() * (1 - Math.exp(-RETURNS_A_PERIOD))) / RETURNS_A_PERIOD;
}

function personOf(seed: string, index: number): Omit<Person, 'ties'> {
  const random = randomOf(`${seed}/person/${index}`);
  const segment = {
    country: drawCountry(random),
    industry: drawIndustry(random),
    channel: drawChannel(random),
    level: drawLevel(random),
  };
  const number = String(index + 1).padStart(5, '0');
  const wasThere = random() < SHARE_PRESENT;
  return {
    index,
    userId: `buyer-${number}`,
    anonymousId: `visitor-${number}-${Math.floor(random() * 0xffffffff).toString(16)}`,
    ...segment,
    category: pick(random, segment.industry.categories),
    temperament: temperamentOf(random, segment),
    arrival: wasThere ? firstReturn(random) : random(),
    firstStage: wasThere ? drawPresentStage(random)[0] : random() < 0.6 ? 'research' : 'idle',
    startsAnonymous: random() < SHARE_ANONYMOUS,
    countryHidden: random() < 0.02,
  };
}

/** A device by which a buyer becomes known, if any does. */
function deviceOf(person: Person | undefined): string | null {
  if (person === undefined) return null;
  return person.ties.secondDevice ?? (person.startsAnonymous ? person.anonymousId : null);
}

/** The same people for the same seed, whatever the period. */
export function populationOf(seed: string, buyers: number): Person[] {
  const people: Person[] = [];
  for (let index = 0; index < buyers; index += 1) {
    const person = personOf(seed, index);
    const { borrows, ...ties } = tiesOf(seed, index);
    people.push({ ...person, ties: { ...ties, borrowedDevice: borrows ? deviceOf(people.at(-1)) : null } });
  }
  return people;
}
