// The buyers of one partition, person by person: what each one's state must be, and the facts that follow from the log.
import type { EventsTopicRecord } from '../domain/record.ts';
import { type Facts, noFacts } from './facts.ts';
import { type IdentityChange, partChanges, visitorChanges } from './identity/changes.ts';
import { companyOf } from './identity/company.ts';
import { type Happening, happeningsOf } from './identity/happenings.ts';
import { type Received, receive } from './identity/received.ts';
import { type Sent, sentByOwn } from './identity/sent.ts';
import { userOf } from './identity/user.ts';
import { visitorOf } from './identity/visitor.ts';
import type { Judged } from './judge.ts';
import { type Person, personOf } from './person.ts';
import type { Walk } from './watermark.ts';

export interface People {
  readonly people: ReadonlyMap<string, Person>;
  readonly facts: Facts;
  /** The verdict of every segment record, by offset. */
  readonly judgedByOffset: ReadonlyMap<number, Judged>;
  readonly received: Received;
  /** What the partition's records must have sent to others, in the order of the log. */
  readonly sent: readonly Sent[];
  /** Rows of `identities`. */
  readonly changes: readonly IdentityChange[];
}

interface Story {
  readonly person: Person;
  readonly judged: readonly Judged[];
  readonly sent: readonly Sent[];
  readonly changes: readonly IdentityChange[];
}

/** Works out every buyer of the partition. */
export function workOut(walk: Walk<EventsTopicRecord>, generation: number): People {
  const facts = noFacts();
  const people = new Map<string, Person>();
  const judgedByOffset = new Map<number, Judged>();
  const received = receive(walk, generation);
  const sent: Sent[] = [];
  const changes: IdentityChange[] = [];
  for (const [key, happenings] of happeningsOf(walk, received.taken)) {
    const story = storyOf(key, happenings, walk, facts);
    people.set(key, story.person);
    for (const judged of story.judged) judgedByOffset.set(judged.offset, judged);
    sent.push(...story.sent);
    changes.push(...story.changes);
  }
  sent.sort((a, b) => a.offset - b.offset);
  return { people, facts, judgedByOffset, received, sent, changes };
}

function storyOf(
  key: string,
  happenings: readonly Happening[],
  walk: Walk<EventsTopicRecord>,
  facts: Facts,
): Story {
  const comes = (...kinds: readonly Happening['kind'][]): boolean =>
    happenings.some(({ kind }) => kinds.includes(kind));
  if (comes('member')) {
    return { person: companyOf(key, happenings, walk), judged: [], sent: [], changes: [] };
  }
  if (comes('link')) {
    const { changes, ...story } = visitorOf(key, happenings, walk, facts);
    return { ...story, changes: visitorChanges(key, changes) };
  }
  if (comes('merge', 'forward', 'linkEnded', 'past')) {
    const { changes, ...story } = userOf(key, happenings, walk, facts);
    return { ...story, changes: partChanges(key, changes) };
  }
  const own = {
    records: happenings.flatMap((each) => (each.kind === 'own' ? [each.own] : [])),
    exposures: happenings.flatMap((each) => (each.kind === 'exposure' ? [each.record] : [])),
    pasts: happenings.flatMap((each) => (each.kind === 'backfill' ? [{ ...each, link: null }] : [])),
  };
  const person = personOf(key, own, walk, facts);
  return { person, judged: person.judged, sent: sentByOwn(person.judged, () => false), changes: [] };
}
