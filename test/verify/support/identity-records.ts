// Records of links for logs made by hand, as outboxes and the API write them.
import type { MergeBase } from '../../../domain/identity-record.ts';
import { type Body, MINUTE_MS, NOON_MS } from './synthetic-log.ts';

/** Of another partition, in the order in which they are made. */
let sent = 0;
function origin(): Body {
  sent += 1;
  return { generation: 1, partition: 11, offset: sent, ordinal: 0 };
}

const at = (minutes: number): number => NOON_MS + minutes * MINUTE_MS;

/** What visitor `who` did; its name is its behaviour. */
export function visited(
  who: string,
  messageId: string,
  minutes: number,
  name: string,
  more: Body = {},
): Body {
  const times = { timestamp: at(minutes), receivedAt: at(minutes), supplied: true };
  return { kind: 'track', event: name, messageId, anonymousId: who, ...times, ...more };
}

export function linked(visitor: string, user: string, minutes: number): Body {
  const said = { cause: 'identify', messageId: `link-${user}`, timestamp: at(minutes) };
  return { kind: 'link', origin: origin(), key: `a:${visitor}`, user: `u:${user}`, ...said };
}

export function revoked(visitor: string, link: string, minutes: number): Body {
  const said = { messageId: `revoke-${link}`, by: 'ana', why: 'wrong', timestamp: at(minutes) };
  return { kind: 'revoke', key: `a:${visitor}`, link, ...said };
}

export const emptyBase: MergeBase = {
  history: true,
  firstMs: 0,
  lastMs: 0,
  country: null,
  industry: null,
  channel: null,
  level: null,
  company: null,
  engagement: [],
  totals: [],
  visitDays: [],
  stage: null,
  maturedMs: 0,
  opportunities: [],
  exposures: [],
  counted: [],
  overflow: false,
};

/** One chunk of what visitor `d` did, so many minutes after noon. */
export function merged(
  user: string,
  link: string,
  [chunk, chunks]: readonly [number, number],
  did: readonly (readonly [minutes: number, behaviour: string])[],
  base: Partial<MergeBase> = {},
): Body {
  return {
    kind: 'merge',
    origin: origin(),
    key: `u:${user}`,
    link,
    visitor: 'a:d',
    chunk,
    chunks,
    ...(chunk === 0 ? { base: { ...emptyBase, ...base } } : {}),
    behaviours: did.map(([minutes, behaviour]) => [at(minutes), behaviour]),
  };
}

export function forwarded(user: string, link: string, record: Body): Body {
  const { event: behaviour } = record;
  const common = { key: `u:${user}`, link, visitor: 'a:d', appendMs: NOON_MS, behaviour, record };
  return { kind: 'forward', origin: origin(), ...common };
}

export function ended(user: string, link: string, how: 'superseded' | 'revoked' | 'expired'): Body {
  return { kind: 'linkEnded', origin: origin(), key: `u:${user}`, link, visitor: 'a:d', how };
}
