// What came to a user by each link, kept apart as long as it can be taken back, and what all of it comes to together.

import type { Settings } from '../../domain/definition.ts';
import type { MergeBase } from '../../domain/identity-record.ts';
import { type Gathering, gatheredIn, joined, nothingGathered } from './gathering.ts';
import type { Part } from './linked-person.ts';

export interface Parts {
  /** What everybody reads. */
  all: Gathering;
  /** Empty if nothing is kept apart; else the user's own first, then the others in the order of their merges. */
  apart: Part[];
  next: number;
}

export function noParts(): Parts {
  return { all: nothingGathered(), apart: [], next: 1 };
}

/** The part of a link; the user's own if that is not kept apart (any more). */
export function partOf({ apart }: Parts, link: string): Part | undefined {
  return apart.find((part) => part.link === link) ?? apart[0];
}

/** Numbers of what can be taken back. */
export function numbersOf({ apart }: Parts): number[] {
  return apart.map(({ number }) => number).filter((number) => number !== 0);
}

export function addPart(
  parts: Parts,
  { link, visitor, base }: { readonly link: string; readonly visitor: string; readonly base: MergeBase },
  mergedMs: number,
  halfLivesMs: readonly number[],
): Part {
  if (parts.apart.length === 0) {
    const own = { number: 0, link: '', visitor: '', mergedMs: 0, ended: false };
    // Joined with nothing, it is a copy; which half-lives it knows is looked at when it does something.
    const gathered = joined([parts.all], [...parts.all.sums.keys()]);
    parts.apart.push({ ...own, gathered });
  }
  const gathered = gatheredIn(base);
  const part: Part = { number: parts.next, link, visitor, mergedMs, ended: false, gathered };
  parts.next += 1;
  parts.apart.push(part);
  parts.all = joined([parts.all, gathered], halfLivesMs);
  return part;
}

/** Makes the oldest the user's own for good, as long as it is too old or there are too many; answers their numbers. */
export function ownOldest(
  parts: Parts,
  watermarkMs: number,
  { linkMemoryMs, maxLinksPerBuyer }: Settings,
  halfLivesMs: readonly number[],
): number[] {
  const owned: number[] = [];
  for (;;) {
    const [own, oldest] = parts.apart;
    if (own === undefined || oldest === undefined) break;
    const isOld = watermarkMs - oldest.mergedMs > linkMemoryMs;
    if (!isOld && parts.apart.length - 1 <= maxLinksPerBuyer) return owned;
    own.gathered = joined([own.gathered, oldest.gathered], halfLivesMs);
    parts.apart = parts.apart.filter((part) => part !== oldest);
    owned.push(oldest.number);
  }
  parts.apart = [];
  return owned;
}

/** Takes a part back: all together is what the others make it. */
export function removePart(parts: Parts, removed: Part, halfLivesMs: readonly number[]): void {
  parts.apart = parts.apart.filter((part) => part !== removed);
  parts.all = joined(
    parts.apart.map(({ gathered }) => gathered),
    halfLivesMs,
  );
  if (parts.apart.length === 1) parts.apart = [];
}
