// What folds come to, for Prometheus. A fold is the hot path: what happens for every record or state is a plain number
// until somebody asks.
import { Counter, type Registry } from 'prom-client';
import type { CountEffect, RowEffect } from '../domain/effect.ts';
import type { Verdict } from '../domain/record.ts';
import { accountRejections } from '../domain/transition-account.ts';
import { type StatefulTopic, statefulTopics } from '../platform/keys.ts';
import { decodeRejections, type RejectReason } from './decode.ts';
import type { FoldCounters } from './work.ts';

export interface FoldMetrics {
  /** For one owner of a partition. What it tells counts once it says that the batch is committed; of an owner that ends before, never. */
  of(topic: StatefulTopic): FoldCounters;
}

/** The columns of the series `northstar`. */
const measures = ['visitors', 'opportunities', 'quality_opportunities'] as const;

type Add = (first: string, second: string, amount: number) => void;

/** Amounts by one or two labels (the second is '' then), each of a bounded set. */
interface Counts {
  readonly add: Add;
  /** Hands all of them over, and begins at 0. */
  moveTo(add: Add): void;
}

function createCounts(): Counts {
  const counts = new Map<string, Map<string, number>>();
  return {
    add(first, second, amount) {
      let bySecond = counts.get(first);
      if (bySecond === undefined) {
        bySecond = new Map();
        counts.set(first, bySecond);
      }
      bySecond.set(second, (bySecond.get(second) ?? 0) + amount);
    },
    moveTo(add) {
      for (const [first, bySecond] of counts) {
        for (const [second, count] of bySecond) add(first, second, count);
        bySecond.clear();
      }
    },
  };
}

/** A counter of Prometheus that is added up when it asks. */
function counter(
  registry: Registry,
  name: string,
  help: string,
  labelNames: readonly [first: string, second?: string],
): Counts {
  const counts = createCounts();
  const [firstName, secondName] = labelNames;
  new Counter({
    name,
    help,
    labelNames: labelNames.filter((each) => each !== undefined),
    registers: [registry],
    collect() {
      counts.moveTo((first, second, count) => {
        const labels = { [firstName]: first };
        if (secondName !== undefined) labels[secondName] = second;
        this.inc(labels, count);
      });
    },
  });
  return counts;
}

/** All that a topic's records can be refused for. */
const rejectReasons: Readonly<Record<StatefulTopic, readonly RejectReason[]>> = {
  events: decodeRejections,
  spend: [...decodeRejections, ...accountRejections],
  rejected: decodeRejections,
};

/** What counts once its batch is committed: one that failed or was fenced is folded again by the next owner. */
function committedCounters(registry: Registry) {
  const named = (name: string, help: string, ...labelNames: [first: string, second?: string]): Counts =>
    counter(registry, name, help, labelNames);
  const counters = {
    verdicts: named(
      'flywheel_stream_records_total',
      'Records of committed batches, by verdict. A rewind counts its history again, here and in all that a fold comes to.',
      'topic',
      'verdict',
    ),
    rejects: named(
      'flywheel_stream_rejects_total',
      'Records that could not be taken, by reason.',
      'topic',
      'reason',
    ),
    stateWrites: named(
      'flywheel_stream_states_written_total',
      'States of buyers, companies and accounts that commits wrote.',
      'topic',
      'kind',
    ),
    stateBytes: named(
      'flywheel_stream_state_written_bytes_total',
      'Size of the states that commits wrote.',
      'topic',
      'kind',
    ),
    triggers: named(
      'flywheel_triggers_total',
      'Triggers created, acknowledged and expired.',
      'definition',
      'status',
    ),
    stages: named(
      'flywheel_lifecycle_transitions_total',
      'Buyers that entered a stage of their lifecycle.',
      'stage',
    ),
    opportunities: named('flywheel_opportunity_changes_total', 'What happened to opportunities.', 'change'),
    leases: named(
      'flywheel_ledger_leases_total',
      'Leases of budgets by what the ledger did with them: granted, refused, voided, returned, freed.',
      'account',
      'status',
    ),
    steps: named(
      'flywheel_funnel_steps_total',
      'Buyers counted at a step of a funnel; the first step is 1.',
      'funnel',
      'step',
    ),
    northStar: named(
      'flywheel_north_star_total',
      'Visitors of a day, opportunities opened, and those that became of quality.',
      'measure',
    ),
  };
  // Told from the start, so that the first of them is seen as a rise, however many come at once.
  for (const topic of statefulTopics)
    for (const reason of rejectReasons[topic]) counters.rejects.add(topic, reason, 0);
  for (const measure of measures) counters.northStar.add(measure, '', 0);
  return counters;
}

type Committed = ReturnType<typeof committedCounters>;

function addRow({ stages, opportunities, leases }: Committed, { table, row }: RowEffect): void {
  if (table === 'transitions') stages.add(String(row.to_stage), '', 1);
  else if (table === 'opportunities') opportunities.add(String(row.change), '', 1);
  else if (table === 'leases') leases.add(String(row.account), String(row.status), 1);
}

function addCount({ northStar, steps }: Committed, { series, column, amount }: CountEffect): void {
  // What a past takes back elsewhere is no event of now.
  if (amount <= 0) return;
  if (series === 'northstar') northStar.add(measures[column]!, '', amount);
  else if (series.startsWith('funnel:')) steps.add(series.slice(7), String(column + 1), amount);
}

export function createFoldMetrics(registry: Registry): FoldMetrics {
  const committed = committedCounters(registry);
  const names = Object.keys(committed) as (keyof Committed)[];
  const lookups = counter(
    registry,
    'flywheel_stream_cache_lookups_total',
    'States that a batch needed: in memory (hit) or asked of Redis (miss).',
    ['topic', 'result'],
  );
  return {
    of(topic) {
      const batch = Object.fromEntries(names.map((name) => [name, createCounts()])) as unknown as Committed;
      return {
        verdict: (verdict: Verdict) => batch.verdicts.add(topic, verdict, 1),
        rejected: (reason) => batch.rejects.add(topic, reason, 1),
        looked(hits, misses) {
          lookups.add(topic, 'hit', hits);
          lookups.add(topic, 'miss', misses);
        },
        stateWritten(key, bytes) {
          const kind = topic === 'spend' ? 'account' : key.startsWith('c:') ? 'company' : 'buyer';
          batch.stateWrites.add(topic, kind, 1);
          batch.stateBytes.add(topic, kind, bytes);
        },
        trigger: (definition, status) => batch.triggers.add(definition, status, 1),
        counted: (effect) => addCount(batch, effect),
        row: (effect) => addRow(batch, effect),
        committed() {
          for (const name of names) batch[name].moveTo(committed[name].add);
        },
      };
    },
  };
}
