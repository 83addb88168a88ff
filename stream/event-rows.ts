// The rows of `events` as bytes, in ClickHouse's RowBinary: the one table with a row for every record. As arrays they would
// be the most that waits for ClickHouse in memory, and each record's JSON would be escaped anew.
import { attributesOf } from '../domain/attributes.ts';
import type { SegmentRecord } from '../domain/buyer-record.ts';
import type { Verdict } from '../domain/record.ts';
import { BinaryWriter } from '../platform/binary.ts';
import { monthOf } from './months.ts';

/** The columns in the order in which `EventRows.add` writes them. */
export const eventColumns = [
  'key',
  'time',
  'generation',
  'partition',
  'offset',
  'kind',
  'event',
  'behaviour',
  'verdict',
  'message_id',
  'user_id',
  'anonymous_id',
  'country',
  'industry',
  'channel',
  'level',
  'source',
  'received_at',
  'appended_at',
  'record',
] as const;

/** What a row says of the record beside itself. */
export interface EventRowContext {
  readonly key: string;
  readonly generation: number;
  readonly partition: number;
  readonly offset: number;
  readonly appendMs: number;
  readonly verdict: Verdict;
  readonly behaviour: string;
  /** The record's JSON as it stands in the log. */
  readonly raw: Uint8Array;
}

/** What a row has beside its record's JSON, roughly. */
const ROW_BYTES = 160;

/** Rows of one batch, in the order in which they were added. */
export class EventRows {
  #writer: BinaryWriter | undefined;
  #bytesExpected: number;
  #ends: number[] = [];
  /** The month of each row's time, by which the table is partitioned. */
  readonly months: number[] = [];

  /**
   * @param records how many are expected, and @param bytes how long their JSON is: memory that is not used is to be had from
   * the system all the same, which for a batch of ten records cost more than its rows
   */
  constructor(records = 0, bytes = 0) {
    this.#bytesExpected = Math.max(1_024, bytes + records * ROW_BYTES);
  }

  get length(): number {
    return this.months.length;
  }

  add(record: SegmentRecord, at: EventRowContext): void {
    this.#writer ??= new BinaryWriter(this.#bytesExpected);
    const writer = this.#writer;
    const attributes = attributesOf(record);
    writer.text(at.key);
    writer.uint64LE(record.timestamp);
    writer.uint16LE(at.generation);
    writer.uint16LE(at.partition);
    writer.uint64LE(at.offset);
    writer.text(record.kind);
    writer.text(record.event ?? '');
    writer.text(at.behaviour);
    writer.text(at.verdict);
    writer.text(record.messageId);
    writer.text(record.userId ?? '');
    writer.text(record.anonymousId ?? '');
    writer.text(attributes.country ?? '');
    writer.text(attributes.industry ?? '');
    writer.text(attributes.channel ?? '');
    writer.text(attributes.level ?? '');
    writer.text(record.source ?? '');
    writer.uint64LE(record.receivedAt);
    writer.uint64LE(at.appendMs);
    writer.bytes(at.raw);
    this.#ends.push(writer.length);
    this.months.push(monthOf(record.timestamp));
  }

  /** All rows, one behind the other. */
  bytes(): Buffer {
    return this.#writer?.peek() ?? Buffer.alloc(0);
  }

  /** One row's bytes. */
  row(index: number): Buffer {
    return this.bytes().subarray(index === 0 ? 0 : this.#ends[index - 1]!, this.#ends[index]!);
  }

  /** Takes the last row out again. */
  dropLast(): void {
    if (this.length === 0) return;
    this.#ends.pop();
    this.months.pop();
    this.#writer!.cut(this.#ends.at(-1) ?? 0);
  }
}
