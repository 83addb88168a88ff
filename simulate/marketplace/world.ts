// The world of the marketplace: where buyers come from, what they buy, how they find it. All of it is made up.
// Effects (`activity`, `depth`) are part of the hidden truth: they multiply a buyer's rates.

export interface Country {
  readonly code: string;
  readonly weight: number;
  /** Offset from UTC; summer time is left out. */
  readonly utcOffsetMinutes: number;
  /** Multiplies how often buyers come. */
  readonly activity: number;
  /** Multiplies how likely a session goes deep. */
  readonly depth: number;
}

/** code, weight, hours from UTC, activity, depth */
const countryRows: readonly (readonly [string, number, number, number, number])[] = [
  ['US', 15, -5, 1.1, 1.25],
  ['IN', 8, 5.5, 1.2, 0.7],
  ['GB', 6, 0, 1, 1.2],
  ['DE', 6, 1, 1, 1.3],
  ['BR', 4.5, -3, 1.05, 0.85],
  ['RU', 4, 3, 1, 0.9],
  ['CA', 3.5, -5, 1, 1.15],
  ['AU', 3.2, 10, 0.95, 1.2],
  ['FR', 3.2, 1, 0.95, 1.1],
  ['MX', 3, -6, 1.05, 0.9],
  ['TR', 2.6, 3, 1.1, 0.95],
  ['PK', 2.4, 5, 1.15, 0.6],
  ['ID', 2.3, 7, 1.1, 0.75],
  ['SA', 2.1, 3, 1, 1.05],
  ['AE', 2.1, 4, 1.05, 1.1],
  ['IT', 2, 1, 0.95, 1.05],
  ['ES', 2, 1, 0.95, 1],
  ['NG', 1.9, 1, 1.2, 0.55],
  ['PH', 1.8, 8, 1.1, 0.7],
  ['PL', 1.6, 1, 0.95, 1.05],
  ['ZA', 1.5, 2, 1, 0.9],
  ['EG', 1.4, 2, 1.1, 0.7],
  ['VN', 1.4, 7, 1.05, 0.85],
  ['TH', 1.3, 7, 1, 0.9],
  ['MY', 1.3, 8, 1, 0.95],
  ['CO', 1.2, -5, 1, 0.85],
  ['NL', 1.2, 1, 0.9, 1.2],
  ['BD', 1.1, 6, 1.1, 0.6],
  ['CL', 1, -4, 0.95, 0.95],
  ['PE', 0.9, -5, 1, 0.85],
  ['AR', 0.9, -3, 0.95, 0.85],
  ['UA', 0.9, 2, 0.95, 0.9],
  ['JP', 0.9, 9, 0.85, 1.2],
  ['KR', 0.9, 9, 0.9, 1.15],
  ['SG', 0.9, 8, 0.95, 1.15],
  ['RO', 0.8, 2, 0.95, 0.95],
  ['SE', 0.7, 1, 0.85, 1.2],
  ['BE', 0.7, 1, 0.9, 1.15],
  ['IL', 0.7, 2, 0.95, 1.1],
  ['MA', 0.7, 0, 1.05, 0.75],
  ['KE', 0.7, 3, 1.1, 0.65],
  ['GH', 0.6, 0, 1.1, 0.6],
  ['DZ', 0.6, 1, 1, 0.7],
  ['GR', 0.6, 2, 0.9, 1],
  ['PT', 0.6, 0, 0.9, 1],
  ['CZ', 0.6, 1, 0.9, 1.1],
  ['HU', 0.5, 1, 0.9, 1],
  ['AT', 0.5, 1, 0.9, 1.2],
  ['CH', 0.5, 1, 0.85, 1.25],
  ['NZ', 0.5, 12, 0.9, 1.15],
  ['DK', 0.4, 1, 0.85, 1.2],
  ['NO', 0.4, 1, 0.85, 1.2],
  ['FI', 0.4, 2, 0.85, 1.15],
  ['IE', 0.4, 0, 0.9, 1.15],
  ['LK', 0.4, 5.5, 1.05, 0.7],
  ['KZ', 0.4, 5, 1, 0.85],
  ['IQ', 0.4, 3, 1.05, 0.75],
  ['KW', 0.4, 3, 1, 1.05],
  ['QA', 0.4, 3, 1, 1.1],
  ['BG', 0.3, 2, 0.9, 0.95],
  ['RS', 0.3, 1, 0.9, 0.95],
  ['EC', 0.3, -5, 1, 0.85],
  ['TZ', 0.3, 3, 1.1, 0.6],
  ['ET', 0.3, 3, 1.1, 0.55],
  ['NP', 0.3, 5.75, 1.05, 0.65],
  ['DO', 0.3, -4, 1, 0.85],
];

export const countries: readonly Country[] = countryRows.map(([code, weight, hours, activity, depth]) => ({
  code,
  weight,
  utcOffsetMinutes: hours * 60,
  activity,
  depth,
}));

export interface Industry {
  readonly name: string;
  readonly weight: number;
  readonly categories: readonly string[];
  /** How often a need arises, against the average. */
  readonly need: number;
  /** Usual quantity of an inquiry and price of a piece in US dollars. */
  readonly quantity: number;
  readonly priceUsd: number;
}

export const industries: readonly Industry[] = [
  {
    name: 'electronics',
    weight: 20,
    categories: ['phones', 'chargers', 'sensors', 'displays'],
    need: 1.2,
    quantity: 500,
    priceUsd: 9,
  },
  {
    name: 'apparel',
    weight: 16,
    categories: ['shirts', 'shoes', 'bags'],
    need: 1.3,
    quantity: 800,
    priceUsd: 6,
  },
  {
    name: 'machinery',
    weight: 12,
    categories: ['pumps', 'lathes', 'packaging-machines'],
    need: 0.6,
    quantity: 3,
    priceUsd: 4_200,
  },
  {
    name: 'home',
    weight: 14,
    categories: ['furniture', 'lighting', 'kitchenware'],
    need: 1,
    quantity: 300,
    priceUsd: 22,
  },
  { name: 'beauty', weight: 9, categories: ['cosmetics', 'hair'], need: 1.4, quantity: 600, priceUsd: 4 },
  {
    name: 'automotive',
    weight: 9,
    categories: ['tyres', 'car-parts', 'tools'],
    need: 0.9,
    quantity: 120,
    priceUsd: 35,
  },
  {
    name: 'construction',
    weight: 8,
    categories: ['tiles', 'steel', 'doors'],
    need: 0.7,
    quantity: 1_500,
    priceUsd: 12,
  },
  {
    name: 'agriculture',
    weight: 6,
    categories: ['fertiliser', 'tractors'],
    need: 0.7,
    quantity: 200,
    priceUsd: 90,
  },
  {
    name: 'medical',
    weight: 6,
    categories: ['gloves', 'instruments'],
    need: 1.1,
    quantity: 2_000,
    priceUsd: 2,
  },
];

/** How a buyer first came. `medium` is what the site's links carry; `direct` carries nothing. */
export interface Channel {
  readonly name: string;
  readonly weight: number;
  readonly activity: number;
}

export const channels: readonly Channel[] = [
  { name: 'direct', weight: 24, activity: 1.15 },
  { name: 'organic', weight: 30, activity: 1 },
  { name: 'search', weight: 20, activity: 1.05 },
  { name: 'social', weight: 13, activity: 0.8 },
  { name: 'email', weight: 7, activity: 1.2 },
  { name: 'display', weight: 6, activity: 0.65 },
];

/** What the marketplace knows of a buyer's standing; L4 is the highest. */
export interface Level {
  readonly name: string;
  readonly weight: number;
  readonly activity: number;
  readonly depth: number;
}

export const levels: readonly Level[] = [
  { name: 'L0', weight: 38, activity: 0.75, depth: 0.6 },
  { name: 'L1', weight: 27, activity: 0.95, depth: 0.9 },
  { name: 'L2', weight: 18, activity: 1.15, depth: 1.2 },
  { name: 'L3', weight: 11, activity: 1.4, depth: 1.5 },
  { name: 'L4', weight: 6, activity: 1.7, depth: 1.8 },
];
