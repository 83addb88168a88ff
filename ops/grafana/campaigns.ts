// The dashboard of who spends: budgets and what is left, pacing, leases, bids and why none was made.
import type { BoardSpec, PanelSpec } from './board.ts';
import { quantile, rate, share } from './queries.ts';

const money = 'In micros of the account’s currency.';

const budgets: PanelSpec[] = [
  {
    title: 'Left today',
    description: `What could still be granted today, by account. ${money} At 0 nothing is bid.`,
    unit: 'short',
    queries: [{ expr: 'max by (account) (flywheel_account_free_micros)', legend: '{{account}}' }],
  },
  {
    title: 'Spent of the budget',
    description: 'The share of today’s budget that is settled; above 1 see Overshoot.',
    unit: 'percentunit',
    queries: [
      {
        expr: 'max by (account) (flywheel_account_settled_today_micros / (flywheel_account_daily_budget_micros > 0))',
        legend: '{{account}}',
      },
    ],
  },
  {
    title: 'Behind or ahead of plan',
    description:
      'Settled and leased as a share of what should have been spent by now. Far below 1: FlywheelBudgetBehind.',
    unit: 'percentunit',
    queries: [
      {
        expr: 'max by (account) ((flywheel_account_settled_today_micros + flywheel_account_leased_today_micros) / (flywheel_account_planned_today_micros > 0)) or vector(0)',
        legend: '{{account}}',
      },
    ],
  },
  {
    title: 'Pacing multiplier',
    description: 'By which every bid is multiplied, so that the day’s budget lasts its day.',
    unit: 'short',
    queries: [{ expr: 'max by (account) (flywheel_account_multiplier_ratio)', legend: '{{account}}' }],
  },
  {
    title: 'Overshoot',
    description: `Settled above today’s budget. ${money} A platform has spent by itself, the budget was cut, or notices came too late.`,
    unit: 'short',
    queries: [{ expr: 'max by (account) (flywheel_account_overshoot_today_micros)', legend: '{{account}}' }],
  },
  {
    title: 'Accounts that are not shown',
    description:
      'Beyond the first 200: neither these panels nor an alert tells of their budgets; `flywheel status` does.',
    unit: 'short',
    queries: [{ expr: 'max(flywheel_accounts_unshown)', legend: 'not shown' }],
  },
];

const leases: PanelSpec[] = [
  {
    title: 'Held in leases',
    description: `What processes of serve may still bid with. ${money}`,
    unit: 'short',
    queries: [{ expr: 'sum by (account) (flywheel_leases_held_micros)', legend: '{{account}}' }],
  },
  {
    title: 'Outstanding',
    description: `Granted today and neither settled nor free again, as the ledger has it. ${money}`,
    unit: 'short',
    queries: [{ expr: 'max by (account) (flywheel_account_leased_today_micros)', legend: '{{account}}' }],
  },
  {
    title: 'Leases by what became of them',
    description:
      'Granted, refused (nothing left), voided (not answered in time, or not used), returned (what no bid has set aside), freed (their time is over).',
    unit: 'cps',
    queries: [{ expr: rate('flywheel_ledger_leases_total', 'status'), legend: '{{status}}' }],
  },
];

const bids: PanelSpec[] = [
  {
    title: 'Bids and no-bids',
    description: 'Answers by reason; `bid` is one that was made.',
    unit: 'reqps',
    queries: [{ expr: rate('flywheel_bids_total', 'reason'), legend: '{{reason}}' }],
  },
  {
    title: 'Share of bids made',
    description: 'Of all that were asked for. Below a half for want of leases: FlywheelBidsWithoutLease.',
    unit: 'percentunit',
    queries: [{ expr: share('flywheel_bids_total{reason="bid"}', 'flywheel_bids_total'), legend: 'made' }],
  },
  {
    title: 'Set aside by bids',
    description: `What bids took of leases, a second. ${money}`,
    unit: 'short',
    queries: [{ expr: rate('flywheel_bids_reserved_micros_total', 'account'), legend: '{{account}}' }],
  },
  {
    title: 'Seconds of a bid',
    description: 'From a request to the end of its answer; the first of an account waits for its lease.',
    unit: 's',
    queries: [
      { expr: quantile(0.5, 'flywheel_serve_route_seconds', '{route="/v1/bids"}'), legend: 'median' },
      { expr: quantile(0.99, 'flywheel_serve_route_seconds', '{route="/v1/bids"}'), legend: 'p99' },
    ],
  },
  {
    title: 'Reports and notices',
    description: 'Spend that platforms report, and notices of wins, losses, impressions and clicks.',
    unit: 'cps',
    queries: [
      { expr: rate('flywheel_collect_events_total{kind=~"report|notice"}', 'kind'), legend: '{{kind}}' },
    ],
  },
];

export const campaigns: BoardSpec = {
  uid: 'flywheel-campaigns',
  title: 'Flywheel: campaigns',
  description: 'Budgets and what is left, pacing, leases, bids and why none was made.',
  rows: [
    { title: 'Budgets', panels: budgets },
    { title: 'Leases', panels: leases },
    { title: 'Bids', panels: bids },
  ],
};
