// A buyer's country, industry, channel and level at any point of the log.
import { attributesOf } from '../domain/attributes.ts';
import type { SegmentRecord } from '../domain/record.ts';
import type { Segment } from './facts.ts';

export interface Said {
  readonly value: string;
  readonly timeMs: number;
  readonly messageId: string;
}

/** What is known of a buyer, each with the message that said it. */
export interface Known {
  readonly country: Said | null;
  readonly industry: Said | null;
  readonly channel: Said | null;
  readonly level: Said | null;
}

export const nothingKnown: Known = { country: null, industry: null, channel: null, level: null };

/** Orders by event time, then message id. */
function isLater(a: Said, b: Said): boolean {
  return a.timeMs === b.timeMs ? a.messageId > b.messageId : a.timeMs > b.timeMs;
}

/** Country, industry and level are what was said last, the channel what was said first, by event time. */
export function learn(known: Known, record: SegmentRecord): Known {
  const stated = attributesOf(record);
  const said = (value: string): Said => ({ value, timeMs: record.timestamp, messageId: record.messageId });
  const last = (before: Said | null, value: string | undefined): Said | null => {
    if (value === undefined) return before;
    return before === null || isLater(said(value), before) ? said(value) : before;
  };
  const first = (before: Said | null, value: string | undefined): Said | null => {
    if (value === undefined) return before;
    return before === null || isLater(before, said(value)) ? said(value) : before;
  };
  return {
    country: last(known.country, stated.country),
    industry: last(known.industry, stated.industry),
    level: last(known.level, stated.level),
    channel: first(known.channel, stated.channel),
  };
}

export function segmentOf(known: Known): Segment {
  return {
    country: known.country?.value ?? 'ZZ',
    industry: known.industry?.value ?? 'unknown',
    channel: known.channel?.value ?? 'direct',
  };
}
