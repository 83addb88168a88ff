// What folds come to, for Prometheus. A fold is the hot path: what happens for every record or state is a plain number
// until somebody asks.
import { Counter, type Registry } from 'prom-client';
import type { CountEffect, RowEffect } from '../domain/effect.ts';
import type { Verdict } from '../domain/record.ts';
import { type StatefulTopic, statefulTopics } from '../platform/keys.ts';
import type { FoldCounters } from './work.ts';

export interface FoldMetrics {
  of(topic: StatefulTopic): FoldCounters;
}

/** The columns of the series `northstar`. */
const measures = ['visitors', 'opportunities', 'quality_opportunities'] as const;

interface Tally {
  add(first: string, second: string, amount: number): void;
}

/** A counter with two labels, both of a bounded set. */
function tally(
  registry: Registry,
  name: string,
  help: string,
  labelNames: readonly [first: string, second: string],
): Tally {
  const counts = new Map<string, Map<string, number>>();
  new Counter({
    name,
    help,
    labelNames: [...labelNames],
    registers: [registry],
    collect() {
      for (const [first, bySecond] of counts) {
        for (const [second, count] of bySecond)
          this.inc({ [labelNames[0]]: first, [labelNames[1]]: second }, count);
        bySecond.clear();
      }
    },
  });
  return {
    add(first, second, amount) {
      let bySecond = counts.get(first);
      if (bySecond === undefined) {
        bySecond = new Map();
        counts.set(first, bySecond);
      }
      bySecond.set(second, (bySecond.get(second) ?? 0) + amount);
    },
  };
}

/** Rows that stand for something that happened to a buyer or an account. */
function rowCounters(registry: Registry): (effect: RowEffect) => void {
  const registers = [registry];
  const stages = new Counter({
    name: 'flywheel_lifecycle_transitions_total',
    help: 'Buyers that entered a stage of their lifecycle.',
    labelNames: ['stage'],
    registers,
  });
  const opportunities = new Counter({
    name: 'flywheel_opportunity_changes_total',
    help: 'What happened to opportunities.',
    labelNames: ['change'],
    registers,
  });
  const leases = new Counter({
    name: 'flywheel_ledger_leases_total',
    help: 'Leases of budgets by what the ledger did with them: granted, refused, voided, freed.',
    labelNames: ['account', 'status'],
    registers,
  });
  return ({ table, row }) => {
    if (table === 'transitions') stages.inc({ stage: String(row.to_stage) });
    else if (table === 'opportunities') opportunities.inc({ change: String(row.change) });
    else if (table === 'leases') leases.inc({ account: String(row.account), status: String(row.status) });
  };
}

function countCounters(registry: Registry): (effect: CountEffect) => void {
  const steps = tally(
    registry,
    'flywheel_funnel_steps_total',
    'Buyers counted at a step of a funnel; the first step is 1.',
    ['funnel', 'step'],
  );
  const northStar = new Counter({
    name: 'flywheel_north_star_total',
    help: 'Visitors of a day, opportunities opened, and those that became of quality.',
    labelNames: ['measure'],
    registers: [registry],
  });
  for (const measure of measures) northStar.inc({ measure }, 0);
  return ({ series, column, amount }) => {
    // What a past takes back elsewhere is no event of now.
    if (amount <= 0) return;
    if (series === 'northstar') northStar.inc({ measure: measures[column]! }, amount);
    else if (series.startsWith('funnel:')) steps.add(series.slice(7), String(column + 1), amount);
  };
}

/** Nearly all rejects are these: told from the start, so that the first of them is seen as a rise. */
const usualRejects = ['malformed', 'invalid'] as const;

export function createFoldMetrics(registry: Registry): FoldMetrics {
  const registers = [registry];
  const verdicts = tally(registry, 'flywheel_stream_records_total', 'Records folded, by verdict.', [
    'topic',
    'verdict',
  ]);
  const rejects = new Counter({
    name: 'flywheel_stream_rejects_total',
    help: 'Records that could not be taken, by reason.',
    labelNames: ['topic', 'reason'],
    registers,
  });
  for (const topic of statefulTopics) for (const reason of usualRejects) rejects.inc({ topic, reason }, 0);
  const lookups = tally(
    registry,
    'flywheel_stream_cache_lookups_total',
    'States that a batch needed: in memory (hit) or asked of Redis (miss).',
    ['topic', 'result'],
  );
  const stateWrites = tally(
    registry,
    'flywheel_stream_states_written_total',
    'States of buyers, companies and accounts that commits wrote.',
    ['topic', 'kind'],
  );
  const stateBytes = tally(
    registry,
    'flywheel_stream_state_written_bytes_total',
    'Size of the states that commits wrote.',
    ['topic', 'kind'],
  );
  const triggers = new Counter({
    name: 'flywheel_triggers_total',
    help: 'Triggers created, acknowledged and expired.',
    labelNames: ['definition', 'status'],
    registers,
  });
  const row = rowCounters(registry);
  const counted = countCounters(registry);
  return {
    of: (topic) => ({
      verdict: (verdict: Verdict) => verdicts.add(topic, verdict, 1),
      rejected: (reason) => rejects.inc({ topic, reason }),
      looked(hits, misses) {
        lookups.add(topic, 'hit', hits);
        lookups.add(topic, 'miss', misses);
      },
      stateWritten(key, bytes) {
        const kind = topic === 'spend' ? 'account' : key.startsWith('c:') ? 'company' : 'buyer';
        stateWrites.add(topic, kind, 1);
        stateBytes.add(topic, kind, bytes);
      },
      trigger: (definition, status) => triggers.inc({ definition, status }),
      counted,
      row,
    }),
  };
}
