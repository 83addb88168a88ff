// A small log of people with several devices: links, shared devices, aliases, groups, what comes behind, and what is taken
// back. It goes on where the small feed ends.
import { buyerPartition } from '../../../platform/keys.ts';
import type { LogEntry } from '../../e2e/support/mixed-log.ts';

const MINUTE_MS = 60_000;
/** Two hours after the small feed's second round began. */
const START_MS = Date.UTC(2024, 2, 11, 11);

const person = (number: number): string => `u:person-${number}`;
const device = (number: number): string => `a:device-${number}`;
const DEVICES = 7;
const way = ['page', 'Products Searched', 'Product Viewed', 'Supplier Contacted', 'Inquiry Sent'];

type Body = Record<string, unknown>;

function entry(key: string, body: Body): LogEntry {
  return { topic: 'events', partition: buyerPartition(key), key, value: JSON.stringify(body) };
}

function said(key: string, messageId: string, minutes: number, body: Body): LogEntry {
  const who = key.startsWith('u:') ? { userId: key.slice(2) } : { anonymousId: key.slice(2) };
  const timestamp = START_MS + minutes * MINUTE_MS;
  return entry(key, { messageId, ...who, timestamp, receivedAt: timestamp, supplied: true, ...body });
}

function did(key: string, messageId: string, minutes: number, name: string): LogEntry {
  const kind = name === 'page' ? { kind: 'page' } : { kind: 'track', event: name };
  const properties = { category: `c${messageId.length % 2}`, country: 'DE', messageLength: 300 };
  return said(key, messageId, minutes, { ...kind, properties });
}

const identified = (user: string, visitor: string, minutes: number): LogEntry =>
  said(user, `identify-${user}-${visitor}`, minutes, { kind: 'identify', anonymousId: visitor.slice(2) });

function exposed(key: string, messageId: string, minutes: number, variant: string): LogEntry {
  const timestamp = START_MS + minutes * MINUTE_MS;
  const shown = { experiment: 'form', revision: 1, variant, reason: 'SPLIT' };
  return entry(key, { kind: 'exposure', messageId, key, ...shown, timestamp });
}

/** Everybody looks around by a device first; who has a device of an odd number began by the user's own. */
function before(): LogEntry[] {
  return Array.from({ length: DEVICES }, (_, number) => [
    ...way.map((name, step) => did(device(number), `d${number}-${step}`, number + 2 * step, name)),
    exposed(device(number), `d${number}-shown`, number, number % 2 === 0 ? 'long' : 'short'),
    ...(number % 2 === 1 ? [did(person(number % 4), `p${number}-0`, number, 'Product Viewed')] : []),
  ]).flat();
}

/** A user's partition that is hours ahead: what is forwarded comes long behind. */
function ahead(user: string): LogEntry {
  const time = START_MS + 8 * 60 * MINUTE_MS;
  const value = JSON.stringify({ kind: 'clock', time, supplied: true });
  return { topic: 'events', partition: buyerPartition(user), key: null, value };
}

/** What everybody did before, and who they said they were. */
export function identityFeed(): LogEntry[] {
  return [
    ...before(),
    said(person(0), 'group-person', 29, { kind: 'group', groupId: 'acme', traits: { industry: 'steel' } }),
    identified(person(0), device(0), 30),
    identified(person(0), device(1), 30),
    identified(person(0), device(1), 31),
    identified(person(1), device(2), 31),
    // A device of two people: the first keeps what was before.
    identified(person(1), device(0), 32),
    said(person(2), 'alias-4', 32, { kind: 'alias', previousId: 'device-4' }),
    said(person(2), 'alias-user', 33, { kind: 'alias', previousId: 'person-3' }),
    // More devices than are kept apart.
    ...[3, 5, 6].map((number) => identified(person(2), device(number), 33)),
    ahead(person(3)),
    identified(person(3), 'a:device-7', 33),
  ];
}

/** What they do when they are linked: it is forwarded. */
export function linkedFeed(): LogEntry[] {
  return [
    ...Array.from({ length: DEVICES }, (_, number) => [
      did(device(number), `d${number}-more`, 34 + number, 'Order Completed'),
      exposed(device(number), `d${number}-again`, 40, 'other'),
    ]).flat(),
    did('a:device-7', 'd7-late', 41, 'Product Viewed'),
    said(device(1), 'd1-group', 42, { kind: 'group', groupId: 'globex', traits: { country: 'US' } }),
    ...Array.from({ length: 4 }, (_, number) =>
      did(person(number), `p${number}-more`, 500, 'Order Fulfilled'),
    ),
    ...Array.from({ length: 8 }, (_, number) => did(device(number), `d${number}-last`, 43, 'Inquiry Sent')),
  ];
}

interface Begun {
  readonly link: string;
  readonly visitor: string;
  readonly user: string;
}

/** Takes back a link in force, one that was followed by another, one for the second time, and one that never was. */
export function revokesOf(links: readonly Begun[]): LogEntry[] {
  const timestamp = START_MS + 60 * MINUTE_MS;
  const revoke = (key: string, link: string, again = ''): LogEntry =>
    entry(key, {
      kind: 'revoke',
      messageId: `revoke-${link}${again}`,
      key,
      link,
      by: 'ana',
      why: 'not the same',
      timestamp,
    });
  const linkOf = (visitor: string, user: string): string =>
    links.find((each) => each.visitor === visitor && each.user === user)?.link ?? '0-0-nobody';
  return [
    revoke(device(2), linkOf(device(2), person(1))),
    revoke(device(0), linkOf(device(0), person(0))),
    revoke(device(0), linkOf(device(0), person(0)), '-again'),
    revoke(device(4), linkOf(device(4), person(2))),
    revoke(device(1), '1-1-never'),
    did(device(2), 'd2-alone', 50, 'Order Fulfilled'),
    did(device(0), 'd0-after', 50, 'Product Viewed'),
  ];
}
