// One partition walked from low to high: each offset is a record or a reject, with the watermark after it.

import type { EventsTopicRecord, SpendTopicRecord } from '../domain/record.ts';
import type { Decoded, RejectReason } from './decode.ts';
import { raises } from './decode.ts';
import type { When } from './facts.ts';
import { type DefinitionHistory, type Epoch, openHistory } from './in-force.ts';
import type { LogPartition, LogRecord } from './log.ts';

type AnyRecord = EventsTopicRecord | SpendTopicRecord;

export interface Step<Of extends AnyRecord> {
  /** Its place in the walk: offsets may have gaps. */
  readonly index: number;
  readonly offset: number;
  readonly appendMs: number;
  readonly value: Buffer | null;
  readonly record: Of | undefined;
  readonly reason: RejectReason | undefined;
  /** The watermark after this record. */
  readonly watermarkMs: number;
  /** Only for definitions: whether it came into force here. */
  readonly inForce: boolean;
}

export interface Walk<Of extends AnyRecord> {
  readonly partition: number;
  readonly steps: readonly Step<Of>[];
  /** How many of the steps have been gone: all, but for a walk as it stood earlier. */
  readonly gone: number;
  readonly history: DefinitionHistory;
  /** The watermark at the end; 0 if nothing raised it. */
  readonly watermarkMs: number;
  /** The first step, from an index on, after which the watermark is at least this; undefined if none is. */
  firstReaching(timeMs: number, fromIndex?: number): Step<Of> | undefined;
}

/** Walks a partition's records in the order of the log. Rejected records move nothing. */
export function walk<Of extends AnyRecord>(
  log: LogPartition,
  decode: (record: LogRecord, partition: number) => Decoded<Of>,
): Walk<Of> {
  const history = openHistory();
  const steps: Step<Of>[] = [];
  let watermarkMs = 0;
  for (const logRecord of log.records) {
    const { record, reason } = decode(logRecord, log.partition);
    if (record !== undefined) watermarkMs = Math.max(watermarkMs, raises(record));
    const { offset, appendMs, value } = logRecord;
    const inForce = record?.kind === 'definition' && history.accept(offset, record, watermarkMs);
    steps.push({ index: steps.length, offset, appendMs, value, record, reason, watermarkMs, inForce });
  }
  return {
    partition: log.partition,
    steps,
    gone: steps.length,
    history,
    watermarkMs,
    firstReaching: (timeMs, fromIndex = 0) => firstReaching(steps, timeMs, fromIndex),
  };
}

/** Binary search: the watermark never falls. */
function firstReaching<Of extends AnyRecord>(
  steps: readonly Step<Of>[],
  timeMs: number,
  fromIndex: number,
): Step<Of> | undefined {
  let low = fromIndex;
  let high = steps.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (steps[middle]!.watermarkMs >= timeMs) high = middle;
    else low = middle + 1;
  }
  return steps[low];
}

/** Something that waits for a time which the definitions in force decide. */
export interface Due {
  readonly step: Step<EventsTopicRecord>;
  readonly dueMs: number;
  readonly epoch: Epoch;
}

/**
 * Where it goes off, from one step on: before the first record that finds it due by the definitions that hold then, those that
 * the record itself brings not among them. Undefined if it waits beyond the step at `lastIndex`.
 */
export function whenDue(
  { steps, history, firstReaching }: Walk<EventsTopicRecord>,
  fromIndex: number,
  lastIndex: number,
  dueMsOf: (epoch: Epoch) => number | undefined,
): Due | undefined {
  let from = fromIndex;
  while (from <= lastIndex) {
    const before = steps[from]!.offset - 1;
    const epoch = history.at(before);
    const next = history.epochs.find(({ sinceOffset }) => sinceOffset > before);
    const changesAt = next === undefined ? steps.length : indexOf(steps, next.sinceOffset);
    const dueMs = dueMsOf(epoch);
    const step = dueMs === undefined ? undefined : firstReaching(dueMs, from);
    if (step !== undefined && step.index <= Math.min(changesAt, lastIndex))
      return { step, dueMs: dueMs!, epoch };
    from = changesAt + 1;
  }
  return undefined;
}

/** The watermark when something happens: after its record, or, for what a timer does, when that goes off before it. */
export function watermarkWhen({ steps }: Walk<AnyRecord>, { offset, dueMs }: When): number {
  const index = indexOf(steps, offset);
  if (dueMs === undefined) return steps[index]!.watermarkMs;
  return Math.max(dueMs, steps[index - 1]?.watermarkMs ?? 0);
}

function indexOf(steps: readonly Step<AnyRecord>[], offset: number): number {
  let low = 0;
  let high = steps.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (steps[middle]!.offset < offset) low = middle + 1;
    else high = middle;
  }
  return low;
}
