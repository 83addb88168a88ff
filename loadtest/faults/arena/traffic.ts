// What buyers of an arena do: behaviours, visitors who turn out to be users (some of two, one after the other), companies. Seeded;
// the times are those of now.
import { pick, type Random, wholeBetween } from '../../../simulate/marketplace/random.ts';

const USERS = 300;
const VISITORS = 300;
const COUNTRIES = ['US', 'DE', 'BR', 'IN', 'FR'];
const INDUSTRIES = ['machinery', 'electronics', 'textiles'];
/** Few go deep: every quality opportunity is told to the receiver, which takes its time. */
const SHALLOW = ['Product Viewed', 'Product Viewed', 'Products Searched', 'Something Else'];
const DEEP = ['Supplier Contacted', 'Inquiry Sent', 'Order Completed'];
const DEEP_SHARE = 0.06;
const IDENTIFY_SHARE = 0.02;
const GROUP_SHARE = 0.02;
/** Of those who say who they are: somebody else who uses the same device. */
const SECOND_USER_SHARE = 0.1;
const ALIAS_SHARE = 0.2;
const VISITOR_SHARE = 0.4;
/** Events come a little out of order. */
const EARLIER_MS_MAX = 30_000;

export interface Message {
  readonly messageId: string;
  readonly [name: string]: unknown;
}

export type NextMessage = (nowMs: number) => Message;

const visitorOf = (number: number): string => `visitor-${number}`;

/** The anonymousId of one of them. */
export function someVisitor(random: Random): string {
  return visitorOf(wholeBetween(random, 0, VISITORS - 1));
}

function identified(random: Random): Record<string, unknown> {
  const number = wholeBetween(random, 0, VISITORS - 1);
  const userId = `user-${(number + (random() < SECOND_USER_SHARE ? 1 : 0)) % USERS}`;
  const visitor = visitorOf(number);
  if (random() < ALIAS_SHARE) return { type: 'alias', userId, previousId: visitor };
  const traits = {
    country: pick(random, COUNTRIES),
    industry: pick(random, INDUSTRIES),
    level: `L${number % 4}`,
  };
  return { type: 'identify', userId, anonymousId: visitor, traits };
}

function behaved(random: Random): Record<string, unknown> {
  const who =
    random() < VISITOR_SHARE
      ? { anonymousId: someVisitor(random) }
      : { userId: `user-${wholeBetween(random, 0, USERS - 1)}` };
  const properties = {
    category: `c${wholeBetween(random, 0, 3)}`,
    supplierId: `s-${wholeBetween(random, 0, 4)}`,
    messageLength: wholeBetween(random, 0, 600),
    quantity: wholeBetween(random, 0, 2_000),
    country: pick(random, COUNTRIES),
  };
  return { type: 'track', ...who, event: pick(random, random() < DEEP_SHARE ? DEEP : SHALLOW), properties };
}

/** @param prefix goes in front of every message id */
export function trafficOf(random: Random, prefix: string): NextMessage {
  let count = 0;
  return (nowMs) => {
    count += 1;
    const timestamp = new Date(nowMs - Math.floor(random() * EARLIER_MS_MAX)).toISOString();
    const common = { messageId: `${prefix}-${count}`, timestamp };
    const chance = random();
    if (chance < IDENTIFY_SHARE) return { ...common, ...identified(random) };
    if (chance < IDENTIFY_SHARE + GROUP_SHARE) {
      const company = {
        groupId: `company-${wholeBetween(random, 0, 20)}`,
        traits: { industry: 'machinery' },
      };
      return { ...common, type: 'group', userId: `user-${wholeBetween(random, 0, USERS - 1)}`, ...company };
    }
    return { ...common, ...behaved(random) };
  };
}
