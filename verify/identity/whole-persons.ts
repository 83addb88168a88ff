// Whose levels can be asked of ClickHouse: users with parts of whom all is held, nothing is under way, and a funnel saw all of it.
import type { Buyer } from '../../domain/buyer.ts';
import type { TimedBehaviour } from '../funnel-levels.ts';
import { type FunnelSpan, funnelSpans } from '../in-force.ts';
import { isBehaved } from '../judge.ts';
import type { EventsScope, Scope } from '../scope.ts';
import type { LinkedPerson } from './linked-person.ts';
import type { PersonAt } from './persons.ts';
import { keysUnderWay } from './under-way.ts';

export interface WholePerson {
  /** What Redis holds of the user. */
  readonly state: Buyer | undefined;
  /** The funnels in force that have seen all that is held. */
  readonly spans: readonly FunnelSpan[];
}

/** Why somebody is left out, in the words of the report. */
export const leftOutAs = {
  underWay: 'persons of whom more had come, or was on its way, than was read',
  forgotten:
    "persons who hold more or less than is theirs: something was forgotten, or is another person's by now",
  noFunnel: 'persons who began before each of the funnels in force, or for whom all are strict',
} as const;

export interface WholePersons {
  readonly users: ReadonlyMap<string, WholePerson>;
  /** By reason. */
  readonly leftOut: ReadonlyMap<string, ReadonlySet<string>>;
}

/**
 * Partitions are read one after the other while records go on between them, so a user's state and what its visitors did may
 * be of different moments. They agree for whoever has no key, its own or a visitor's, of which anything is under way.
 */
export function wholePersons(scope: Pick<Scope, 'events' | 'keysSince'>, personAt: PersonAt): WholePersons {
  const moving = usersUnderWay(scope);
  const did = behavioursOf(usersWithParts(scope.events), scope.events, personAt);
  const users = new Map<string, WholePerson>();
  const leftOut = new Map<string, Set<string>>();
  const leave = (why: string, key: string): void => {
    leftOut.set(why, (leftOut.get(why) ?? new Set()).add(key));
  };
  for (const events of scope.events) {
    for (const [key, linked] of usersWithParts([events])) {
      const spans = spansThatSawAll(events, linked.held);
      if (moving.has(key)) leave(leftOutAs.underWay, key);
      else if (!isAllHeld(linked, did.get(key)!)) leave(leftOutAs.forgotten, key);
      else if (spans.length === 0) leave(leftOutAs.noFunnel, key);
      else users.set(key, { state: events.stored.buyers.get(key), spans });
    }
  }
  return { users, leftOut };
}

/** Users who have or had parts. */
function usersWithParts(events: readonly EventsScope[]): Map<string, LinkedPerson> {
  const users = new Map<string, LinkedPerson>();
  for (const { people } of events) {
    for (const { key, linked } of people.people.values())
      if (linked !== undefined && linked.nextPart > 1) users.set(key, linked);
  }
  return users;
}

/** Keys of which something is under way, and every user whom one of them was ever linked to. */
function usersUnderWay(scope: Pick<Scope, 'events' | 'keysSince'>): Set<string> {
  const keys = keysUnderWay(scope);
  const moving = new Set(keys);
  for (const { people } of scope.events)
    for (const { visitor, user } of people.changes) if (keys.has(visitor)) moving.add(user);
  return moving;
}

/** What each of these persons did, in all partitions. */
function behavioursOf(
  persons: ReadonlyMap<string, unknown>,
  events: readonly EventsScope[],
  personAt: PersonAt,
): Map<string, TimedBehaviour[]> {
  const did = new Map<string, TimedBehaviour[]>([...persons.keys()].map((key) => [key, []]));
  for (const { people } of events) {
    for (const own of people.judgedByOffset.values())
      if (isBehaved(own)) did.get(personAt(own.key, own.offset))?.push(own);
  }
  return did;
}

/**
 * Whether a user holds just what the person did, and never held more. As many are not the same: a cap may have cut as many as a
 * visitor brought that are another person's by now.
 */
function isAllHeld({ held, gathered }: LinkedPerson, did: readonly TimedBehaviour[]): boolean {
  const total = [...gathered.totals.values()].reduce((sum, count) => sum + count, 0);
  return held.length === total && named(held) === named(did);
}

function named(behaviours: readonly TimedBehaviour[]): string {
  return behaviours
    .map(({ timeMs, behaviour }) => `${timeMs} ${behaviour}`)
    .sort()
    .join();
}

function spansThatSawAll({ walk }: EventsScope, held: LinkedPerson['held']): FunnelSpan[] {
  const firstOffset = held.reduce((first, { offset }) => Math.min(first, offset), Number.POSITIVE_INFINITY);
  return funnelSpans(walk.history).filter(
    ({ untilOffset, sinceOffset, document }) =>
      untilOffset === Number.POSITIVE_INFINITY && sinceOffset < firstOffset && document.mode === 'default',
  );
}
