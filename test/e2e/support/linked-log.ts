// A mixed log in which every third visitor turns out to be a user, in pieces after which the stream is waited for: what
// partitions send each other has no race to win.
import { buyerPartition } from '../../../platform/keys.ts';
import { type LogEntry, mixedLog } from './mixed-log.ts';

export const LINKED_START_MS = Date.UTC(2024, 5, 1);
export const LINKED_USERS = Array.from({ length: 50 }, (_, number) => `u:fill${number}`);
export const LINKED_VISITORS = Array.from({ length: 40 }, (_, number) => `a:fill${number}`);
const DAYS = 2;
export const LINKED_DAY_MS = 86_400_000;
const RECORDS = 3_000;
/** When visitors turn out to be users, as shares of the log. */
const LINKS_AT = [0.3, 0.55, 0.8];

function linked(user: string, visitor: string, share: number): LogEntry {
  const timestamp = LINKED_START_MS + Math.floor(share * DAYS * LINKED_DAY_MS);
  const ids = { userId: user.slice(2), anonymousId: visitor.slice(2) };
  const messageId = `${user}-${visitor}`;
  const record = { kind: 'identify', messageId, ...ids, timestamp, receivedAt: timestamp, supplied: true };
  return { topic: 'events', partition: buyerPartition(user), key: user, value: JSON.stringify(record) };
}

/**
 * The log in parts that end at these shares of it, each in pieces that end with the links of that time. A visitor does
 * nothing more when it is linked.
 */
export function linkedLog(seed: number, partsTo: readonly number[]): LogEntry[][][] {
  const buyers = [...LINKED_USERS, ...LINKED_VISITORS];
  const all = mixedLog({
    seed,
    startMs: LINKED_START_MS,
    days: DAYS,
    records: RECORDS,
    buyers,
    prefix: 'fill',
  });
  const linkOf = new Map(
    LINKED_VISITORS.filter((_, number) => number % 3 === 0).map((visitor, number) => [
      visitor,
      { user: LINKED_USERS[number]!, share: LINKS_AT[number % LINKS_AT.length]! },
    ]),
  );
  let from = 0;
  return partsTo.map((partTo) => {
    const ends = [...LINKS_AT.filter((share) => share > from && share < partTo), partTo];
    return ends.map((to) => {
      const own = all
        .map((entry, index) => ({ entry, share: index / all.length }))
        .filter(({ share }) => share >= from && share < to)
        .filter(({ entry, share }) => share < (linkOf.get(entry.key ?? '')?.share ?? 1))
        .map(({ entry }) => entry);
      const links = [...linkOf]
        .filter(([, { share }]) => share === to)
        .map(([visitor, { user, share }]) => linked(user, visitor, share));
      from = to;
      return [...own, ...links];
    });
  });
}
