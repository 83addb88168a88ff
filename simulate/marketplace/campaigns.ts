// The marketplace's own advertising: accounts with budgets, campaigns that share them, and where their money goes.
// The same documents stand in `definitions/`, so that a fresh start knows them; a test holds the two together.

export interface SimulatedAccount {
  readonly id: string;
  readonly name: string;
  readonly currency: string;
  readonly dailyBudgetMicros: number;
  readonly totalBudgetMicros: number | null;
  readonly utcOffsetMinutes: number;
}

export interface SimulatedCampaign {
  readonly id: string;
  readonly name: string;
  readonly accountId: string;
  readonly channel: string;
  readonly valueMicros: number;
  readonly maxBidMicros: number;
  /** Empty: the platform does not tell countries apart. */
  readonly countries: readonly string[];
  /** Of its account's spend. */
  readonly share: number;
  /** How the platform reports it. */
  readonly period: 'hour' | 'day';
  /** It also sends notices of single wins before the report of their hour. */
  readonly notices: boolean;
  readonly costPerClickMicros: number;
  readonly clickRate: number;
}

const UNIT = 1_000_000;

export const accounts: readonly SimulatedAccount[] = [
  {
    id: 'search-portfolio',
    name: 'Search, all campaigns',
    currency: 'USD',
    dailyBudgetMicros: 1_200 * UNIT,
    totalBudgetMicros: null,
    utcOffsetMinutes: -480,
  },
  {
    id: 'social-portfolio',
    name: 'Social, all campaigns',
    currency: 'USD',
    dailyBudgetMicros: 700 * UNIT,
    totalBudgetMicros: null,
    utcOffsetMinutes: 0,
  },
  {
    id: 'display-europe',
    name: 'Display in Europe',
    currency: 'EUR',
    dailyBudgetMicros: 450 * UNIT,
    totalBudgetMicros: null,
    utcOffsetMinutes: 60,
  },
  {
    id: 'mail-partners',
    name: 'Newsletters of partners',
    currency: 'USD',
    dailyBudgetMicros: 150 * UNIT,
    totalBudgetMicros: 5_000 * UNIT,
    utcOffsetMinutes: 0,
  },
];

export const campaigns: readonly SimulatedCampaign[] = [
  {
    id: 'search-electronics',
    name: 'Search: electronics',
    accountId: 'search-portfolio',
    channel: 'search',
    valueMicros: 18 * UNIT,
    maxBidMicros: 3 * UNIT,
    countries: ['US', 'GB', 'DE', 'IN'],
    share: 0.6,
    period: 'hour',
    notices: false,
    costPerClickMicros: 1_100_000,
    clickRate: 0.031,
  },
  {
    id: 'search-machinery',
    name: 'Search: machinery',
    accountId: 'search-portfolio',
    channel: 'search',
    valueMicros: 60 * UNIT,
    maxBidMicros: 9 * UNIT,
    countries: ['US', 'BR', 'MX'],
    share: 0.4,
    period: 'hour',
    notices: false,
    costPerClickMicros: 2_700_000,
    clickRate: 0.024,
  },
  {
    id: 'social-prospects',
    name: 'Social: who does not know us',
    accountId: 'social-portfolio',
    channel: 'social',
    valueMicros: 9 * UNIT,
    maxBidMicros: UNIT,
    countries: ['US', 'IN', 'BR', 'FR'],
    share: 0.7,
    period: 'hour',
    notices: false,
    costPerClickMicros: 420_000,
    clickRate: 0.011,
  },
  {
    id: 'social-return',
    name: 'Social: who was here before',
    accountId: 'social-portfolio',
    channel: 'social',
    valueMicros: 15 * UNIT,
    maxBidMicros: 2 * UNIT,
    countries: [],
    share: 0.3,
    period: 'hour',
    notices: false,
    costPerClickMicros: 560_000,
    clickRate: 0.016,
  },
  {
    id: 'display-brands',
    name: 'Display: brands',
    accountId: 'display-europe',
    channel: 'display',
    valueMicros: 12 * UNIT,
    maxBidMicros: UNIT,
    countries: ['DE', 'FR', 'IT', 'ES', 'PL'],
    share: 1,
    period: 'hour',
    notices: true,
    costPerClickMicros: 350_000,
    clickRate: 0.004,
  },
  {
    id: 'mail-return',
    name: 'Newsletter: come back',
    accountId: 'mail-partners',
    channel: 'email',
    valueMicros: 10 * UNIT,
    maxBidMicros: UNIT,
    countries: [],
    share: 1,
    period: 'day',
    notices: false,
    costPerClickMicros: 800_000,
    clickRate: 0.02,
  },
];
