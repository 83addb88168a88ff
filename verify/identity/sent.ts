// What outboxes must have written into `events`: asked for links by identifies and aliases, told companies of their members.
import type { SegmentRecord } from '../../domain/buyer-record.ts';
import type { DerivedRecord, LinkRecord, MemberRecord } from '../../domain/identity-record.ts';
import type { Judged } from '../judge.ts';
import { statedAttributes } from '../stated.ts';

type WithoutOrigin<Record_> = Record_ extends DerivedRecord ? Omit<Record_, 'origin'> : never;
export type SentRecord = WithoutOrigin<DerivedRecord>;

/** A record that the one at `offset` caused. */
export interface Sent {
  readonly offset: number;
  readonly record: SentRecord;
}

/** Identify links its visitor, alias the one it names; a duplicate does nothing, a late one links all the same. */
export function linkAskedBy({ record, verdict, offset }: Judged): Sent[] {
  const { kind, userId, anonymousId, previousId, messageId, timestamp } = record;
  if (verdict === 'duplicate' || (kind !== 'identify' && kind !== 'alias')) return [];
  const visitor = kind === 'alias' ? (previousId ?? anonymousId) : anonymousId;
  if (userId === undefined || visitor === undefined) return [];
  const asked: Omit<LinkRecord, 'origin'> = {
    kind: 'link',
    key: `a:${visitor}`,
    user: `u:${userId}`,
    cause: kind,
    messageId,
    timestamp,
  };
  return [{ offset, record: asked }];
}

/** @param company the one that the member was put into last, this record included */
export function memberToldBy(
  member: string,
  offset: number,
  record: SegmentRecord,
  behaviour: string,
  company: string | undefined,
): Sent[] {
  const { messageId, timestamp, groupId } = record;
  const told = (key: string): Omit<MemberRecord, 'origin'> => ({
    kind: 'member',
    key: `c:${key}`,
    member,
    messageId,
    timestamp,
    behaviour: record.kind === 'group' ? '' : behaviour,
  });
  if (record.kind === 'group') {
    if (groupId === undefined) return [];
    return [{ offset, record: { ...told(groupId), attributes: traitsOf(record) } }];
  }
  return company === undefined || behaviour === '' ? [] : [{ offset, record: told(company) }];
}

/** Traits speak of the company; properties and context are the member's own. */
function traitsOf({ properties: _properties, context: _context, ...record }: SegmentRecord) {
  const { country, industry, level } = statedAttributes(record);
  const stated = Object.entries({ country, industry, level }).filter(([, value]) => value !== undefined);
  return Object.fromEntries(stated) as NonNullable<MemberRecord['attributes']>;
}

/** What a buyer's own records send, if it is not a silent visitor's. */
export function sentByOwn(judged: readonly Judged[], isSilentAt: (offset: number) => boolean): Sent[] {
  return judged.flatMap((own) => {
    const { key, offset, record, behaviour, verdict, known } = own;
    const asked = linkAskedBy(own);
    if (verdict !== 'applied' || isSilentAt(offset)) return asked;
    return [...asked, ...memberToldBy(key, offset, record, behaviour, known.company?.value)];
  });
}
