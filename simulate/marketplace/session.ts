// One session of one buyer: what is looked at, whether it goes deep, and where it leaves the buyer's interest.
import { deepChanceOf, dropoutChance, type InterestStage } from './interest.ts';
import { introductions, onDevice, signUp } from './introductions.ts';
import type { Act, PersonState } from './person-state.ts';
import { between, logNormal, pick, type Random, wholeBetween } from './random.ts';
import type { Supplier, Supply } from './supply.ts';
import { visitOf } from './ties.ts';
import { channels, levels } from './world.ts';

/** Share of anonymous visitors who give their name at a visit, and before a deep act. */
const SIGN_UP_AT_VISIT = 0.08;
const SIGN_UP_AT_DEEP_ACT = 0.7;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

const words =
  'We are looking for a reliable partner and would like your best price for the quantity below please send lead time packaging certificates and terms of payment for delivery to our warehouse samples before the first order are welcome ';

function landing(state: PersonState, timeMs: number): Act {
  const { person, random } = state;
  const channel = state.sessions === 0 || random() < 0.7 ? person.channel : pick(random, channels);
  return {
    timeMs,
    type: 'page',
    name: state.stage === 'idle' ? 'Home' : 'Category',
    known: state.known,
    properties: { path: state.stage === 'idle' ? '/' : `/c/${person.category}` },
    context: {
      ...(person.countryHidden ? {} : { location: { country: person.country.code } }),
      ...(channel.name === 'direct'
        ? {}
        : { campaign: { name: `${channel.name}-${person.industry.name}`, medium: channel.name } }),
    },
  };
}

/** How many searches and views a session brings, by stage. */
const browsing: Record<InterestStage, { readonly searches: number; readonly views: number }> = {
  idle: { searches: 0.25, views: 0.7 },
  research: { searches: 1, views: 2.1 },
  sourcing: { searches: 0.7, views: 1.8 },
  negotiating: { searches: 0.2, views: 1 },
  closing: { searches: 0.15, views: 0.9 },
  gone: { searches: 0, views: 0 },
};

function countAround(random: Random, mean: number): number {
  return Math.floor(mean * logNormal(random, 0.5) + random());
}

function browse(
  state: PersonState,
  supply: Supply,
  timeMs: number,
): { acts: Act[]; last: Supplier; endMs: number } {
  const { person, random } = state;
  const { searches, views } = browsing[state.stage];
  const acts: Act[] = [];
  let at = timeMs;
  let last = state.deal ?? supply.draw(person.category, random);
  const category = random() < 0.8 ? person.category : pick(random, person.industry.categories);
  for (let left = countAround(random, searches); left > 0; left -= 1) {
    at += between(random, 4_000, 50_000);
    acts.push({
      timeMs: at,
      type: 'track',
      name: 'Products Searched',
      known: state.known,
      properties: { query: category, category },
    });
  }
  for (let left = countAround(random, views); left > 0; left -= 1) {
    at += between(random, 5_000, 120_000);
    last = state.deal !== null && random() < 0.6 ? state.deal : supply.draw(category, random);
    acts.push({
      timeMs: at,
      type: 'track',
      name: 'Product Viewed',
      known: state.known,
      properties: { productId: pick(random, last.products), category: last.category, supplierId: last.id },
    });
    if (random() < 0.03) {
      acts.push({
        timeMs: at + 2_000,
        type: 'track',
        name: 'Catalog Downloaded',
        known: state.known,
        properties: { supplierId: last.id },
      });
    }
  }
  return { acts, last, endMs: at };
}

type DeepAct = 'contact' | 'inquiry' | 'order';

function firstDeepAct(state: PersonState): DeepAct {
  const at = state.random();
  switch (state.stage) {
    case 'closing':
      return at < 0.75 ? 'order' : at < 0.9 ? 'inquiry' : 'contact';
    case 'negotiating':
      return at < 0.55 ? 'order' : at < 0.9 ? 'inquiry' : 'contact';
    case 'sourcing':
      return at < 0.08 ? 'order' : at < 0.6 ? 'inquiry' : 'contact';
    default:
      return at < 0.3 ? 'inquiry' : 'contact';
  }
}

function inquiryProperties(state: PersonState, supplier: Supplier): Record<string, unknown> {
  const { random, person } = state;
  const care = person.temperament.depth;
  const length = Math.min(900, Math.max(20, Math.round(130 * care * logNormal(random, 0.6))));
  return {
    supplierId: supplier.id,
    category: supplier.category,
    message: words.repeat(Math.ceil(length / words.length)).slice(0, length),
    quantity: Math.max(1, Math.round(supplier.quantity * logNormal(random, 0.7))),
    ...(random() < 0.3 * care ? { specification: 'as in the drawing' } : {}),
  };
}

function orderProperties(state: PersonState, supplier: Supplier): Record<string, unknown> {
  const quantity = Math.max(1, Math.round(supplier.quantity * logNormal(state.random, 0.5)));
  return {
    orderId: `${state.person.userId}-o${state.orders}`,
    supplierId: supplier.id,
    category: supplier.category,
    quantity,
    value: Math.round(quantity * supplier.priceUsd * 100) / 100,
    currency: 'USD',
  };
}

/** Carries the deep act out, moves the interest on, and says what follows it days later. */
function deepAct(state: PersonState, act: DeepAct, supplier: Supplier, timeMs: number): Act[] {
  const { random } = state;
  const base = { timeMs, type: 'track' as const, known: state.known };
  switch (act) {
    case 'contact':
      // Who has asked for a price and then talks, or talked and then asks, is close to an order.
      state.stage = state.stage === 'negotiating' || state.stage === 'closing' ? 'closing' : 'sourcing';
      state.deal = supplier;
      return [
        {
          ...base,
          name: 'Supplier Contacted',
          properties: {
            supplierId: supplier.id,
            category: supplier.category,
            method: pick(random, ['chat', 'call', 'mail']),
          },
        },
      ];
    case 'inquiry':
      state.stage =
        state.deal !== null && state.stage !== 'idle' && state.stage !== 'research'
          ? 'closing'
          : 'negotiating';
      state.deal = supplier;
      return [{ ...base, name: 'Inquiry Sent', properties: inquiryProperties(state, supplier) }];
    case 'order': {
      state.orders += 1;
      state.stage = random() < 0.7 ? 'idle' : 'sourcing';
      state.deal = null;
      const properties = orderProperties(state, supplier);
      const acts: Act[] = [{ ...base, name: 'Order Completed', properties }];
      if (random() < 0.85)
        acts.push(...fulfilment(state, properties, timeMs + between(random, 2, 12) * DAY_MS));
      return acts;
    }
  }
}

function fulfilment(state: PersonState, order: Readonly<Record<string, unknown>>, timeMs: number): Act[] {
  const { orderId, supplierId, category } = order;
  const acts: Act[] = [
    {
      timeMs,
      type: 'track',
      name: 'Order Fulfilled',
      known: state.known,
      properties: { orderId, supplierId, category },
    },
  ];
  if (state.known && state.levelIndex < levels.length - 1 && state.random() < 0.3) {
    state.levelIndex += 1;
    acts.push(...introductions(state, timeMs + HOUR_MS));
  }
  return acts;
}

/** Lives one session from `timeMs` on: its acts in order of time (what follows days later last), its end; moves `state`. */
export function session(state: PersonState, supply: Supply, timeMs: number): { acts: Act[]; endMs: number } {
  const { random, person } = state;
  const acts: Act[] = [];
  const visit = state.introduced ? visitOf(person.ties, state.signedIn, state.deviceRandom) : null;
  if (!state.known && random() < SIGN_UP_AT_VISIT) acts.push(...signUp(state, timeMs));
  if (state.known && !state.introduced) acts.push(...introductions(state, timeMs));
  const landed = landing(state, timeMs + 500);
  const goesDeep = random() < deepChanceOf(state.stage, person.temperament);
  const browsed = browse(state, supply, timeMs);
  acts.push(...onDevice(state, visit, [landed, ...browsed.acts], timeMs, browsed.endMs));
  let at = browsed.endMs;
  state.sessions += 1;
  if (!goesDeep) {
    if (random() < dropoutChance(state.stage, person.temperament)) state.stage = 'gone';
    return { acts, endMs: at };
  }
  if (!state.known && random() < SIGN_UP_AT_DEEP_ACT)
    acts.push(...signUp(state, at + wholeBetween(random, 2_000, 9_000)));
  const supplier = state.deal !== null && random() < 0.8 ? state.deal : browsed.last;
  at += between(random, 10_000, 300_000);
  const first = firstDeepAct(state);
  acts.push(...deepAct(state, first, supplier, at));
  if (first === 'contact' && random() < 0.35) {
    at += between(random, 60_000, 900_000);
    acts.push(...deepAct(state, 'inquiry', supplier, at));
  }
  return { acts, endMs: at };
}
