// What the sender of webhooks counts and shows.
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { BackfillProgress } from '../platform/backfill-progress.ts';

export type AttemptOutcome = 'delivered' | 'failed' | 'gone' | 'unsent';
export type DeadReason = 'exhausted' | 'gone' | 'inactive' | 'overflow';

/** Open deliveries of one receiver. */
export interface OpenDeliveries {
  readonly count: number;
  /** Since the oldest was queued. */
  readonly oldestAgeMs: number;
}

export interface JobsMetrics {
  attempt(receiver: string, outcome: AttemptOutcome, elapsedMs: number): void;
  retry(receiver: string): void;
  dead(receiver: string, reason: DeadReason): void;
  settled(receiver: string): void;
  receipt(): void;
  /** So many keys of the topic are forgotten. */
  forgot(keys: number): void;
  /** So many were deleted before they were taken: nobody is told of them. */
  lostTriggers(count: number): void;
  leads(leading: boolean): void;
  /** Asked at each scrape; null while another process leads. */
  showOpen(read: (() => ReadonlyMap<string, OpenDeliveries>) | null): void;
  /** So many records of funnels' pasts are written. */
  backfilled(records: number): void;
  /** As `showOpen`. */
  showBackfills(read: (() => readonly BackfillProgress[]) | null): void;
}

export function createJobsMetrics(registry: Registry): JobsMetrics {
  const registers = [registry];
  let readOpen: (() => ReadonlyMap<string, OpenDeliveries>) | null = null;
  const attempts = new Histogram({
    name: 'flywheel_delivery_attempt_seconds',
    help: 'Attempts to send a trigger to a receiver, from the request to the end of its answer, by outcome.',
    labelNames: ['receiver', 'outcome'],
    buckets: [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
    registers,
  });
  const retries = new Counter({
    name: 'flywheel_delivery_retries_total',
    help: 'Failed attempts that are to be repeated.',
    labelNames: ['receiver'],
    registers,
  });
  const dead = new Counter({
    name: 'flywheel_deliveries_dead_total',
    help: 'Deliveries given up until somebody replays them, by reason.',
    labelNames: ['receiver', 'reason'],
    registers,
  });
  const settled = new Counter({
    name: 'flywheel_deliveries_settled_total',
    help: 'Deliveries whose trigger was acknowledged elsewhere or expired before they were sent.',
    labelNames: ['receiver'],
    registers,
  });
  const receipts = new Counter({
    name: 'flywheel_delivery_receipts_total',
    help: 'Triggers acknowledged because all their receivers have them.',
    registers,
  });
  const forgotten = new Counter({
    name: 'flywheel_deliveries_forgotten_total',
    help: 'Deliveries and replays that were taken out of the topic, a week behind the end of their trigger.',
    registers,
  });
  const lost = new Counter({
    name: 'flywheel_delivery_triggers_lost_total',
    help: 'Offsets of the topic triggers that were deleted before a leader took them: sent to no receiver.',
    registers,
  });
  const leads = new Gauge({ name: 'flywheel_jobs_leads', help: '1 while this process sends.', registers });
  new Gauge({
    name: 'flywheel_deliveries_open',
    help: 'Deliveries that are still to be made.',
    labelNames: ['receiver'],
    registers,
    collect() {
      this.reset();
      for (const [receiver, { count }] of readOpen?.() ?? []) this.set({ receiver }, count);
    },
  });
  new Gauge({
    name: 'flywheel_deliveries_oldest_open_seconds',
    help: 'Age of the oldest delivery that is still to be made.',
    labelNames: ['receiver'],
    registers,
    collect() {
      this.reset();
      for (const [receiver, { oldestAgeMs }] of readOpen?.() ?? [])
        this.set({ receiver }, oldestAgeMs / 1_000);
    },
  });
  let readBackfills: (() => readonly BackfillProgress[]) | null = null;
  const backfilled = new Counter({
    name: 'flywheel_backfill_records_total',
    help: 'Records of funnels’ pasts that were written.',
    registers,
  });
  new Gauge({
    name: 'flywheel_backfill_keys',
    help: 'Buyers whose past in a funnel that is being computed is done, those that remain, and those whose record Kafka refused.',
    labelNames: ['funnel', 'state'],
    registers,
    collect() {
      this.reset();
      for (const { funnel, status, keysDone, keysTotal, refused } of readBackfills?.() ?? []) {
        if (status === 'done' || status === 'stopped') continue;
        this.set({ funnel, state: 'done' }, keysDone - refused.length);
        this.set({ funnel, state: 'refused' }, refused.length);
        this.set({ funnel, state: 'remaining' }, Math.max(0, keysTotal - keysDone));
      }
    },
  });
  new Gauge({
    name: 'flywheel_backfills_open',
    help: 'Funnels whose past is not computed yet, by status.',
    labelNames: ['status'],
    registers,
    collect() {
      this.reset();
      for (const status of ['waiting', 'running', 'failed'] as const) {
        const open = (readBackfills?.() ?? []).filter((each) => each.status === status);
        this.set({ status }, open.length);
      }
    },
  });
  return {
    attempt: (receiver, outcome, elapsedMs) => attempts.observe({ receiver, outcome }, elapsedMs / 1_000),
    retry: (receiver) => retries.inc({ receiver }),
    dead: (receiver, reason) => dead.inc({ receiver, reason }),
    settled: (receiver) => settled.inc({ receiver }),
    receipt: () => receipts.inc(),
    forgot: (keys) => forgotten.inc(keys),
    lostTriggers: (count) => lost.inc(count),
    leads: (leading) => leads.set(leading ? 1 : 0),
    showOpen(read) {
      readOpen = read;
    },
    backfilled: (records) => backfilled.inc(records),
    showBackfills(read) {
      readBackfills = read;
    },
  };
}
