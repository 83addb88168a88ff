// A few definitions with short times and small limits, so that a small feed meets timers, full windows and freed leases.
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

const documents: Record<string, unknown> = {
  'settings/default': {
    latenessMs: 600_000,
    maxCellsPerWindow: 3,
    triggerTtlMs: 2 * DAY_MS,
    hourRetentionMs: 2 * HOUR_MS,
    mergeChunkBehaviours: 2,
    maxLinksPerBuyer: 3,
  },
  'behaviours/default': {
    rules: [
      { kind: 'page', behaviour: 'visit' },
      { kind: 'track', event: 'Products Searched', behaviour: 'search' },
      { kind: 'track', event: 'Product Viewed', behaviour: 'view' },
      { kind: 'track', event: 'Supplier Contacted', behaviour: 'contact' },
      { kind: 'track', event: 'Inquiry Sent', behaviour: 'inquiry' },
      { kind: 'track', event: 'Order Completed', behaviour: 'order' },
      { kind: 'track', event: 'Order Fulfilled', behaviour: 'fulfil' },
    ],
  },
  'funnel/reach': { name: 'Reach', steps: ['visit', 'view', 'inquiry', 'order'], windowMs: DAY_MS },
  'funnel/direct': { name: 'Direct', steps: ['view', 'inquiry'], windowMs: HOUR_MS, mode: 'strict_order' },
  'funnel/rising': {
    name: 'Rising',
    steps: ['visit', 'view', 'inquiry'],
    windowMs: HOUR_MS,
    mode: 'strict_increase',
  },
  'lifecycle/default': { matureCount: 2, retainedAfterMs: DAY_MS, churnedAfterMs: 3 * DAY_MS },
  'opportunity/default': { closeAfterMs: 4 * DAY_MS, qualifiedAt: 0.4, country: { DE: 0.05 } },
  'score/opportunity': {
    name: 'Goes deep',
    horizonMs: DAY_MS,
    halfLifeMs: DAY_MS,
    intercept: -2,
    engagement: { view: 0.4, inquiry: 1 },
  },
  'trigger/left': { name: 'Left', on: 'transition', to: ['churned'] },
  'trigger/grown': { name: 'Grown', on: 'transition', to: ['mature', 'retained'] },
  'trigger/good': { name: 'Good', on: 'opportunity', to: ['qualified'] },
  'account/slow': { name: 'Slow', currency: 'EUR', dailyBudgetMicros: 50_000_000, utcOffsetMinutes: 60 },
  'account/quick': {
    name: 'Quick',
    currency: 'USD',
    dailyBudgetMicros: 10_000_000,
    totalBudgetMicros: 30_000_000,
    leaseTtlMs: 1_000,
    bidLifeMs: 1_000,
    noticeHorizonMs: 0,
  },
  'campaign/slow-display': { name: 'Slow', accountId: 'slow', channel: 'display' },
  'campaign/quick-search': { name: 'Quick', accountId: 'quick', channel: 'search' },
};

/** Writes them as `<type>/<id>.json`; answers the folder. */
export function writeSmallDefinitions(folder: string): string {
  for (const [name, document] of Object.entries(documents)) {
    const file = path.join(folder, `${name}.json`);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, JSON.stringify(document));
  }
  return folder;
}
