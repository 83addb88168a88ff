// What linked visitors sent on to their user: it arrives among the user's own records, when the visitor's owner had it.
import type { KeyPast, PastRow } from './funnel-past-rows.ts';

/** What a linked visitor sent on: a row and its link. */
export interface Forward {
  readonly row: PastRow;
  readonly link: string;
}

export function forwardsOf({ rows, changes }: KeyPast, link: string): Forward[] {
  const fromOffset = changes.find((each) => each.link === link && each.change === 'linked')?.offset;
  if (fromOffset === undefined) return [];
  const ended = changes.find((each) => each.link === link && each.change !== 'linked');
  const toOffset = ended?.offset ?? Number.POSITIVE_INFINITY;
  return rows.filter(({ offset }) => offset > fromOffset && offset < toOffset).map((row) => ({ row, link }));
}

/** Records of two partitions, by when they were appended; in the same millisecond (a fast replay), by their own times. */
function isEarlier(a: PastRow, b: PastRow): boolean {
  return a.appendMs === b.appendMs ? a.timeMs <= b.timeMs : a.appendMs < b.appendMs;
}

/** What a user has not had yet, in the order in which it arrives; what stands before `head` has arrived. */
export interface UnderWay {
  forwards: readonly Forward[];
  head: number;
}

export function noForwards(): UnderWay {
  return { forwards: [], head: 0 };
}

export function addForwards(underWay: UnderWay, more: readonly Forward[]): void {
  if (more.length === 0) return;
  underWay.forwards = [...underWay.forwards.slice(underWay.head), ...more].sort(
    (a, b) => a.row.appendMs - b.row.appendMs || a.row.timeMs - b.row.timeMs,
  );
  underWay.head = 0;
}

/** Takes what arrives before a row, or all. It is a beginning of the list: no row looks at what comes long after it. */
export function takeBefore(underWay: UnderWay, row: PastRow | undefined): readonly Forward[] {
  const { forwards, head } = underWay;
  let to = row === undefined ? forwards.length : head;
  while (to < forwards.length && isEarlier(forwards[to]!.row, row!)) to += 1;
  underWay.head = to;
  return to === head ? [] : forwards.slice(head, to);
}

/** Takes what came by a link. */
export function takeOf(underWay: UnderWay, link: string): readonly Forward[] {
  const waiting = underWay.forwards.slice(underWay.head);
  underWay.forwards = waiting.filter((forward) => forward.link !== link);
  underWay.head = 0;
  return waiting.filter((forward) => forward.link === link);
}
