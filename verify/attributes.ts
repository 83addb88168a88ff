// A buyer's country, industry, channel and level at any point of the log.
import type { SegmentRecord } from '../domain/buyer-record.ts';
import type { Segment } from './facts.ts';
import { statedAttributes } from './stated.ts';

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
  /** The group that the buyer was put into last. */
  readonly company: Said | null;
}

export const nothingKnown: Known = {
  country: null,
  industry: null,
  channel: null,
  level: null,
  company: null,
};

/** Orders by event time, then message id. */
function isLater(a: Said, b: Said): boolean {
  return a.timeMs === b.timeMs ? a.messageId > b.messageId : a.timeMs > b.timeMs;
}

function later(a: Said | null, b: Said | null): Said | null {
  if (a === null || b === null) return a ?? b;
  return isLater(b, a) ? b : a;
}

function earlier(a: Said | null, b: Said | null): Said | null {
  if (a === null || b === null) return a ?? b;
  return isLater(a, b) ? b : a;
}

/** What is known by two: everything is what was said last, but the channel what was said first, by event time. */
export function together(a: Known, b: Known): Known {
  return {
    country: later(a.country, b.country),
    industry: later(a.industry, b.industry),
    level: later(a.level, b.level),
    company: later(a.company, b.company),
    channel: earlier(a.channel, b.channel),
  };
}

/** What was written while UK was no name of GB yet: derived records stand in the log for ever. */
export function asNamedNow(country: Said | null): Said | null {
  return country?.value === 'UK' ? { ...country, value: 'GB' } : country;
}

type Stated = { readonly [Name in keyof Known]?: string | undefined };

/** What one message states. */
export function statedBy(
  { country, industry, channel, level, company }: Stated,
  { timestamp: timeMs, messageId }: { readonly timestamp: number; readonly messageId: string },
): Known {
  const said = (value: string | undefined): Said | null =>
    value === undefined ? null : { value, timeMs, messageId };
  return {
    country: asNamedNow(said(country)),
    industry: said(industry),
    channel: said(channel),
    level: said(level),
    company: said(company),
  };
}

/** What is known after one record more. */
export function learn(known: Known, record: SegmentRecord): Known {
  const company = record.kind === 'group' ? record.groupId : undefined;
  return together(known, statedBy({ ...statedAttributes(record), company }, record));
}

export function segmentOf(known: Known): Segment {
  return {
    country: known.country?.value ?? 'ZZ',
    industry: known.industry?.value ?? 'unknown',
    channel: known.channel?.value ?? 'direct',
  };
}
