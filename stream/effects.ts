// Carries out what a transition asked for: rows and records into the batch, counts into windows, triggers into waiting.
import type {
  CountEffect,
  Effect,
  ReceiptEffect,
  RecordEffect,
  SetEffect,
  TriggerEffect,
} from '../domain/effect.ts';
import { partitionOf } from '../domain/hash.ts';
import { buyerPartition } from '../platform/keys.ts';
import { topicPartitions } from '../platform/namespace.ts';
import { addRow, type Batch } from './batch.ts';
import { campaignRow, cellParts, effectRow } from './rows.ts';
import { bucketStartMs } from './window.ts';
import { nextPosition, sourceOf, type Work } from './work.ts';

/** Effects in their order; each row and record takes the next ordinal of the offset at hand. */
export function carryOut(work: Work, batch: Batch, effects: readonly Effect[]): void {
  for (const effect of effects) {
    switch (effect.kind) {
      case 'row':
        work.counters.row(effect);
        addRow(batch, effect.table, effectRow(effect.table, effect.row, nextPosition(work)));
        break;
      case 'count':
        work.counters.counted(effect);
        count(work, batch, effect);
        break;
      case 'set':
        setCampaignHour(work, batch, effect);
        break;
      case 'trigger':
        offer(work, batch, effect);
        break;
      case 'receipt':
        acknowledge(work, batch, effect);
        break;
      case 'record':
        send(work, batch, effect);
        break;
    }
  }
}

/** A bucket that the watermark has passed is closed: what comes for it is a row of its own. */
function count(work: Work, batch: Batch, effect: CountEffect): void {
  const { definitions } = work.inForce;
  if (work.windows.count(effect, definitions, work.head.watermarkMs)) return;
  const { series, revision, timeMs, cell, column, amount } = effect;
  const [country, industry, channel] = cellParts(cell);
  const start = bucketStartMs(series, timeMs) / 1_000;
  const row = { series, revision, start, country, industry, channel, column, amount };
  addRow(batch, 'adjustments', effectRow('adjustments', row, nextPosition(work)));
}

/** For the owner of the record's key; receivers tell repeats by the origin. */
function send(work: Work, batch: Batch, { record }: RecordEffect): void {
  const { generation, partition, offset, ordinal } = nextPosition(work);
  const value = JSON.stringify({ ...record, origin: { generation, partition, offset, ordinal } });
  const { key } = record;
  batch.records.push({
    to: 'events',
    partition: buyerPartition(key),
    key,
    value,
    source: sourceOf(work, ordinal),
  });
}

/** An absolute value that the account's own state holds: versioned by position, it needs no window of its own. */
function setCampaignHour(work: Work, batch: Batch, effect: SetEffect): void {
  const { generation, partition } = work.id;
  const version = BigInt(work.head.offset) * 4_194_304n + BigInt(nextPosition(work).ordinal + 1);
  const campaign = effect.series.slice('campaign:'.length);
  const row = campaignRow(campaign, effect.timeMs, effect.cell, effect.values, {
    generation,
    partition,
    version,
  });
  addRow(batch, 'campaign_hours', row);
}

function offer(work: Work, batch: Batch, effect: TriggerEffect): void {
  const { offset, ordinal } = nextPosition(work);
  const id = `${work.id.partition}-${offset}-${ordinal}`;
  const { triggerTtlMs } = work.inForce.definitions.settings;
  const waiting = { id, ...effect.trigger, expiresMs: work.head.watermarkMs + triggerTtlMs };
  work.triggers.add(waiting);
  work.addTriggerRow(batch, waiting, 'created', waiting.timeMs);
  batch.records.push({
    to: 'triggers',
    partition: partitionOf(waiting.key, topicPartitions.triggers),
    key: waiting.key,
    value: JSON.stringify(waiting),
    source: sourceOf(work, ordinal),
  });
}

function acknowledge(work: Work, batch: Batch, effect: ReceiptEffect): void {
  const trigger = work.triggers.acknowledge(effect.id);
  if (trigger !== undefined) work.addTriggerRow(batch, trigger, 'acknowledged', effect.timeMs);
}
