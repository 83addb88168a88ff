// Messages that wait until they are folded. In a backlog that is tens of thousands for seconds: as objects, each with a buffer and
// its memory, they would outlive collection after collection and then be the most that is thrown away at once.
import type { Message } from './decode.ts';

/** Of a batch: at `bytes` it is full, and no record of one more key than `keys` comes in. */
export interface Bounds {
  readonly records: number;
  readonly bytes: number;
  readonly keys: number;
}

/** Messages that came together: their values are one piece of memory, and what else they have stands in two lists. */
interface Lot {
  readonly partition: number;
  readonly keys: readonly (string | null)[];
  /** `FIELDS` numbers a message. */
  readonly numbers: readonly number[];
  readonly values: Buffer;
}

const OFFSET = 0;
const APPEND_MS = 1;
const SIZE = 2;
/** Where its value begins in `values`, and how long it is; -1 for null. */
const VALUE_AT = 3;
const VALUE_BYTES = 4;
const FIELDS = 5;

function lotOf(messages: readonly Message[]): Lot {
  let bytes = 0;
  for (const { value } of messages) if (value !== null) bytes += value.length;
  const values = Buffer.allocUnsafe(bytes);
  const keys: (string | null)[] = [];
  const numbers: number[] = [];
  let at = 0;
  for (const { key, offset, appendMs, size, value } of messages) {
    keys.push(key);
    numbers.push(offset, appendMs, size, at, value === null ? -1 : value.length);
    if (value === null) continue;
    values.set(value, at);
    at += value.length;
  }
  return { partition: messages[0]!.partition, keys, numbers, values };
}

function messageAt({ partition, keys, numbers, values }: Lot, index: number): Message {
  const field = index * FIELDS;
  const at = numbers[field + VALUE_AT]!;
  const bytes = numbers[field + VALUE_BYTES]!;
  return {
    partition,
    offset: numbers[field + OFFSET]!,
    key: keys[index]!,
    value: bytes === -1 ? null : values.subarray(at, at + bytes),
    appendMs: numbers[field + APPEND_MS]!,
    size: numbers[field + SIZE]!,
  };
}

/** First in, first out. A message is made anew each time it is looked at. */
export class MessageQueue {
  #lots: Lot[] = [];
  /** How many messages of the first lot are gone. */
  #gone = 0;
  #length = 0;
  #bytes = 0;

  get length(): number {
    return this.#length;
  }

  /** Of all values that are held: those of a piece go together, with its last message. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Copies the messages, all of one partition: theirs may be thrown away. */
  push(messages: readonly Message[]): void {
    if (messages.length === 0) return;
    const lot = lotOf(messages);
    this.#lots.push(lot);
    this.#bytes += lot.values.length;
    this.#length += messages.length;
  }

  /** The next message; it goes on waiting. */
  peek(): Message | undefined {
    return this.#lots[0] && messageAt(this.#lots[0], this.#gone);
  }

  /** Those from one place in the queue to before another; they go on waiting. */
  slice(from: number, to: number): Message[] {
    const found: Message[] = [];
    this.#visit(from, to, (lot, index) => found.push(messageAt(lot, index)));
    return found;
  }

  /** The keys of the first ones. */
  keys(count: number): (string | null)[] {
    const found: (string | null)[] = [];
    this.#visit(0, count, ({ keys }, index) => found.push(keys[index]!));
    return found;
  }

  /** How many of the first ones stay within all bounds, one at least, and how large they are together. */
  within({ records, bytes, keys }: Bounds): { count: number; bytes: number } {
    const seen = new Set<string | null>();
    let isFull = false;
    let count = 0;
    let size = 0;
    this.#visit(0, records, (lot, index) => {
      const key = lot.keys[index]!;
      isFull ||= count > 0 && (size >= bytes || (seen.size >= keys && !seen.has(key)));
      if (isFull) return;
      seen.add(key);
      size += lot.numbers[index * FIELDS + SIZE]!;
      count += 1;
    });
    return { count, bytes: size };
  }

  /** Lets the first ones go. */
  drop(count: number): void {
    this.#length -= count;
    this.#gone += count;
    let empty = 0;
    while (empty < this.#lots.length && this.#gone >= this.#lots[empty]!.keys.length) {
      this.#gone -= this.#lots[empty]!.keys.length;
      this.#bytes -= this.#lots[empty]!.values.length;
      empty += 1;
    }
    if (empty > 0) this.#lots.splice(0, empty);
  }

  #visit(from: number, to: number, visit: (lot: Lot, index: number) => void): void {
    // Places in the lot at hand.
    let first = from + this.#gone;
    let end = to + this.#gone;
    for (const lot of this.#lots) {
      const { length } = lot.keys;
      for (let index = first; index < Math.min(end, length); index += 1) visit(lot, index);
      if (end <= length) return;
      first = Math.max(0, first - length);
      end -= length;
    }
  }
}
