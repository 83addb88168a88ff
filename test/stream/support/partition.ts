// One partition without servers: the stream's own decode and fold, its stores as maps, so that thousands of logs can be
// tried. It can be cut into any batches and, as if a process had died at each cut, be taken over from its stores alone.
import type { Buyer } from '../../../domain/buyer.ts';
import type { DefinitionType } from '../../../domain/definition.ts';
import { readDocument } from '../../../domain/definition.ts';
import type { WaitingTrigger } from '../../../domain/delivery.ts';
import { arrange, type KeptDefinition } from '../../../domain/in-force.ts';
import { decodeBuyer } from '../../../platform/buyer-codec.ts';
import { newBatch, type OutboxRecord } from '../../../stream/batch.ts';
import { noBugs } from '../../../stream/bugs.ts';
import { decode, type Message } from '../../../stream/decode.ts';
import { type Fold, LOOK_AGAIN_MS } from '../../../stream/fold-time.ts';
import type { Live } from '../../../stream/live.ts';
import { type FoldOutcome, foldRecord } from '../../../stream/process.ts';
import type { Row } from '../../../stream/rows.ts';
import type { Head } from '../../../stream/state.ts';
import { compareKeys, createTimerQueue, type Timer } from '../../../stream/timers.ts';
import { createWaitingTriggers } from '../../../stream/triggers.ts';
import { createWindows } from '../../../stream/windows.ts';
import { createWork, type Work } from '../../../stream/work.ts';
import { readEventRow } from './event-row.ts';
import { noCounters } from './no-counters.ts';

export const PARTITION = 0;

/** How the log is cut: the sizes of the batches, repeated, and whether the process dies after each. */
export interface Cuts {
  readonly sizes: readonly number[];
  readonly restarts: boolean;
}

export interface Partition {
  /** Appends to the log and applies it, in batches. */
  run(values: readonly string[]): void;
  buyer(key: string): Buyer | undefined;
  readonly head: Head;
  /** Every timer that was set, with the watermark at which it was. */
  readonly armed: readonly { readonly dueMs: number; readonly watermarkMs: number }[];
  /** Rows by table, in the order in which they were made. */
  readonly rows: ReadonlyMap<string, readonly Row[]>;
  readonly sent: readonly string[];
  /** What outboxes sent, repeats left out. */
  readonly records: readonly OutboxRecord[];
  /** The stores as text, for comparison. */
  stored(): Record<string, unknown>;
}

interface Stores {
  head: Head;
  kept: readonly KeptDefinition[];
  readonly blobs: Map<string, Buffer>;
  readonly timers: Map<string, number>;
  readonly windows: Map<string, Map<string, string>>;
  readonly triggers: Map<string, string>;
}

/** A definition record as it stands in the log. */
export function definitionValue(
  type: DefinitionType,
  id: string,
  revision: number,
  document: object,
): string {
  const common = { hash: '0'.repeat(64), previousHash: null, by: 'test', why: '', at: Date.UTC(2024, 0, 1) };
  return JSON.stringify({
    kind: 'definition',
    type,
    id,
    revision,
    document: readDocument(type, document),
    ...common,
  });
}

function newHead(): Head {
  return {
    nonce: '',
    seq: 0,
    offset: 0,
    fired: 0,
    ordinal: 0,
    watermarkMs: 0,
    received: new Map(),
    anchor: null,
    last: null,
  };
}

function takeUp(stores: Stores, partition: number): Work {
  const windows = createWindows();
  for (const [name, cells] of stores.windows) windows.load(name, Object.fromEntries(cells));
  const triggers = createWaitingTriggers();
  triggers.load([...stores.triggers.values()].map((json) => JSON.parse(json) as WaitingTrigger));
  return createWork({
    id: { topic: 'events', generation: 1, partition },
    head: { ...stores.head, received: new Map(stores.head.received) },
    inForce: { kept: stores.kept, definitions: arrange(stores.kept) },
    windows,
    triggers,
    counters: noCounters,
  });
}

function earliest(timers: ReadonlyMap<string, number>, count: number): Timer[] {
  return [...timers]
    .map(([key, dueMs]) => ({ key, dueMs }))
    .sort((a, b) => a.dueMs - b.dueMs || compareKeys(a.key, b.key))
    .slice(0, count);
}

function writeWindows(work: Work, stores: Stores): void {
  const { written, deleted } = work.windows.changes();
  for (const { name, fields } of written) {
    const cells = stores.windows.get(name) ?? new Map<string, string>();
    for (const [cell, value] of fields) cells.set(cell, value);
    stores.windows.set(name, cells);
  }
  for (const name of deleted) stores.windows.delete(name);
}

/**
 * @param appendMs when every record was appended: later than any of them
 * @param live somebody looks
 */
export function createPartition(
  cuts: Cuts,
  appendMs: number,
  partition = PARTITION,
  live?: Pick<Live, 'begin'>,
): Partition {
  const stores: Stores = {
    head: newHead(),
    kept: [],
    blobs: new Map(),
    timers: new Map(),
    windows: new Map(),
    triggers: new Map(),
  };
  let work = takeUp(stores, partition);
  let log: Message[] = [];
  let batches = 0;
  const armed: { dueMs: number; watermarkMs: number }[] = [];
  const rows = new Map<string, Row[]>();
  const sent: string[] = [];
  const records: OutboxRecord[] = [];

  function commit(fold: Fold): void {
    for (const key of work.changed) stores.blobs.set(key, Buffer.from(work.states.bytesOf(key)));
    work.changed.clear();
    for (const [key, dueMs] of fold.timers.changes()) {
      if (dueMs === 0) stores.timers.delete(key);
      else stores.timers.set(key, dueMs);
    }
    if (fold.looksAgain) for (const key of stores.timers.keys()) stores.timers.set(key, LOOK_AGAIN_MS);
    writeWindows(work, stores);
    for (const [id, trigger] of work.triggers.changes()) {
      if (trigger === null) stores.triggers.delete(id);
      else stores.triggers.set(id, JSON.stringify(trigger));
    }
    stores.kept = work.inForce.kept;
    stores.head = { ...work.head, received: new Map(work.head.received) };
    const { batch } = fold;
    for (const [table, more] of batch.rows) rows.set(table, [...(rows.get(table) ?? []), ...more]);
    const eventRows = batch.eventRows.months.map((_, index) => readEventRow(batch.eventRows.row(index)));
    rows.set('events', [...(rows.get('events') ?? []), ...eventRows]);
    records.push(...batch.records);
    for (const { to, source, value } of batch.records) sent.push(`${to} ${source} ${value}`);
  }

  function step(): void {
    const size = cuts.sizes[batches % cuts.sizes.length]!;
    batches += 1;
    const messages = log.slice(0, size);
    const decoded = messages.map((message) => decode('events', message));
    const { timersPerCommit } = work.inForce.definitions.settings;
    const ahead = earliest(stores.timers, timersPerCommit + 1);
    for (const key of new Set([...decoded.map((one) => one.key), ...ahead.map((timer) => timer.key)])) {
      const blob = stores.blobs.get(key);
      if (blob !== undefined && !work.states.has(key)) work.states.read(key, blob);
    }
    const queue = createTimerQueue(ahead);
    const arm = (key: string, dueMs: number): void => {
      armed.push({ dueMs, watermarkMs: work.head.watermarkMs });
      queue.arm(key, dueMs);
    };
    const fold: Fold = {
      batch: newBatch(work.head.offset),
      timers: { ...queue, arm },
      timersLeft: timersPerCommit,
      looksAgain: false,
      bugs: noBugs,
      live: live?.begin(),
    };
    let folded = 0;
    let outcome: FoldOutcome = 'folded';
    while (folded < messages.length && outcome === 'folded') {
      outcome = foldRecord(work, fold, messages[folded]!, decoded[folded]!);
      if (outcome === 'cut') break;
      folded += 1;
      // More often than a large batch does: whatever asks for one of them gets it again.
      if (folded % 3 === 0) for (const key of work.changed) work.states.pack(key);
    }
    log = log.slice(folded);
    commit(fold);
    fold.live?.committed();
    if (cuts.restarts) work = takeUp(stores, partition);
  }

  return {
    run(values) {
      const from = work.head.offset;
      log = values.map((value, index) => {
        const bytes = Buffer.from(value);
        return { partition, offset: from + index, key: null, value: bytes, appendMs, size: bytes.length };
      });
      while (log.length > 0) step();
    },
    buyer(key) {
      const blob = stores.blobs.get(key);
      return blob === undefined ? undefined : decodeBuyer(key, blob);
    },
    get head() {
      return stores.head;
    },
    armed,
    rows,
    sent,
    records,
    stored: () => ({
      head: { ...stores.head, received: [...stores.head.received] },
      kept: stores.kept,
      blobs: [...stores.blobs].map(([key, blob]) => `${key} ${blob.toString('hex')}`).sort(),
      timers: [...stores.timers].map(([key, dueMs]) => `${key} ${dueMs}`).sort(),
      windows: [...stores.windows]
        .map(([name, cells]) => `${name} ${[...cells].map((cell) => cell.join('=')).sort()}`)
        .sort(),
      triggers: [...stores.triggers].map(([id, json]) => `${id} ${json}`).sort(),
    }),
  };
}
