// Whose every record is, as it is known at the end: from what became of links, without a look at what came of it.
import type { EventsScope } from '../scope.ts';

/** A link that was not taken back: the offsets in which it was in force, and from where it owns what came before. */
interface Span {
  readonly user: string;
  readonly from: number;
  to: number;
  /** The first offset of the history that it owns; `from` if it owns none. */
  readonly ownsFrom: number;
}

/** The person whose a record of a key is, by the offset in the key's partition. */
export type PersonAt = (key: string, offset: number) => string;

/** A revoked link counts as if it had never been. */
export function personsOf(events: readonly EventsScope[]): PersonAt {
  const spans = new Map<string, Span[]>();
  for (const { people } of events) {
    const revoked = new Set(
      people.changes.filter(({ change }) => change === 'revoked').map(({ link }) => link),
    );
    const byLink = new Map<string, Span>();
    for (const { change, key, link, user, offset, fromOffset } of people.changes) {
      if (change === 'linked' && !revoked.has(link)) {
        const span = { user, from: offset, to: Number.POSITIVE_INFINITY, ownsFrom: fromOffset };
        byLink.set(link, span);
        spans.set(key, [...(spans.get(key) ?? []), span]);
      } else if (change === 'superseded' || change === 'expired') {
        const span = byLink.get(link);
        if (span !== undefined) span.to = offset;
      }
    }
  }
  return (key, offset) => ownerOf(spans.get(key) ?? [], offset) ?? key;
}

/** The user of the link in force; before the first link since its birth, the user of the one that owns the history. */
function ownerOf(spans: readonly Span[], offset: number): string | undefined {
  const inForce = spans.find(({ from, to }) => offset >= from && offset < to);
  if (inForce !== undefined) return inForce.user;
  const owner = spans.find(({ ownsFrom, from }) => offset >= ownsFrom && offset < from);
  if (owner === undefined) return undefined;
  const isAfterAnother = spans.some(({ from }) => from > owner.ownsFrom && from <= offset);
  return isAfterAnother ? undefined : owner.user;
}
