// Kinds of records: what is collected, and what outboxes write.

import type { SegmentRecord } from '../../domain/buyer-record.ts';
import type { DerivedRecord } from '../../domain/identity-record.ts';
import type { EventsTopicRecord } from '../../domain/record.ts';

const derivedKinds = new Set(['link', 'merge', 'forward', 'linkEnded', 'linkKept', 'member', 'past']);
const otherKinds = new Set(['exposure', 'receipt', 'clock', 'definition', 'revoke', 'backfill']);

export function isDerived(record: EventsTopicRecord): record is DerivedRecord {
  return derivedKinds.has(record.kind);
}

export function isSegment(record: EventsTopicRecord): record is SegmentRecord {
  return !derivedKinds.has(record.kind) && !otherKinds.has(record.kind);
}
