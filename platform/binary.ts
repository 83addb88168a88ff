// A compact binary form for state: variable-length integers (LEB128, zigzag for signed), doubles, UTF-8 strings.
// Smaller and several times faster than a general format, because the shape is known.

const TWO_28 = 2 ** 28;
const TWO_31 = 2 ** 31;
const TWO_32 = 2 ** 32;
/** Up to here a loop over the characters is faster than two calls into the runtime: measured, 4 times at 10 characters. */
const SHORT_TEXT = 40;

/** Texts that were read as names, each at the place that its bytes hash to; a power of two. */
const NAMES = 4_096;
const names: (string | undefined)[] = new Array<undefined>(NAMES).fill(undefined);
/** What is longer is read as any text. */
const NAME_MAX = 64;

/** Writes into one buffer that grows and is used again. */
export class BinaryWriter {
  #buffer: Buffer;
  #at = 0;

  constructor(initialBytes = 4_096) {
    this.#buffer = Buffer.allocUnsafe(initialBytes);
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#at + bytes));
    this.#buffer.copy(grown, 0, 0, this.#at);
    this.#buffer = grown;
  }

  /** A whole number from 0 to 2^53 − 1. */
  unsigned(value: number): void {
    this.#reserve(8);
    const bytes = this.#buffer;
    let at = this.#at;
    let rest = value;
    if (value >= TWO_28) {
      // Four groups at once: a remainder of a number beyond 32 bits is a call into the runtime.
      rest = Math.floor(value / TWO_28);
      const low = value - rest * TWO_28;
      bytes[at++] = (low & 127) | 128;
      bytes[at++] = ((low >>> 7) & 127) | 128;
      bytes[at++] = ((low >>> 14) & 127) | 128;
      bytes[at++] = (low >>> 21) | 128;
    }
    while (rest >= 128) {
      bytes[at++] = (rest & 127) | 128;
      rest >>>= 7;
    }
    bytes[at++] = rest;
    this.#at = at;
  }

  /** A whole number from −2^52 to 2^52 − 1. */
  signed(value: number): void {
    this.unsigned(value < 0 ? -2 * value - 1 : 2 * value);
  }

  double(value: number): void {
    this.#reserve(8);
    this.#at = this.#buffer.writeDoubleLE(value, this.#at);
  }

  text(value: string): void {
    if (value.length <= SHORT_TEXT && this.#shortAscii(value)) return;
    const bytes = Buffer.byteLength(value);
    this.unsigned(bytes);
    this.#reserve(bytes);
    this.#at += this.#buffer.write(value, this.#at, bytes, 'utf8');
  }

  /** Its length is one byte, and so is each character; false, and nothing is written, if one is not ASCII. */
  #shortAscii(value: string): boolean {
    const { length } = value;
    this.#reserve(1 + length);
    const start = this.#at + 1;
    for (let index = 0; index < length; index += 1) {
      const code = value.charCodeAt(index);
      if (code > 127) return false;
      this.#buffer[start + index] = code;
    }
    this.#buffer[this.#at] = length;
    this.#at = start + length;
    return true;
  }

  /** Bytes as they are, their count in front. */
  bytes(value: Uint8Array): void {
    this.unsigned(value.length);
    this.append(value);
  }

  // — of fixed width —

  byte(value: number): void {
    this.#reserve(1);
    this.#buffer[this.#at++] = value;
  }

  uint16LE(value: number): void {
    this.#reserve(2);
    this.#at = this.#buffer.writeUInt16LE(value, this.#at);
  }

  /** A whole number from 0 to 2^53 − 1, in 64 bits. */
  uint64LE(value: number): void {
    this.#reserve(8);
    this.#uint32LE(value % TWO_32);
    this.#uint32LE(value / TWO_32);
  }

  #uint32LE(value: number): void {
    const bytes = this.#buffer;
    const at = this.#at;
    const whole = value >>> 0;
    bytes[at] = whole & 255;
    bytes[at + 1] = (whole >>> 8) & 255;
    bytes[at + 2] = (whole >>> 16) & 255;
    bytes[at + 3] = whole >>> 24;
    this.#at = at + 4;
  }

  uint32BE(value: number): void {
    this.#reserve(4);
    this.#at = this.#buffer.writeUInt32BE(value, this.#at);
  }

  /** Text or bytes with their count as four bytes in front. */
  counted(value: string | Uint8Array): void {
    const start = this.#at;
    this.uint32BE(0);
    if (typeof value === 'string') this.#plain(value);
    else this.append(value);
    this.#buffer.writeUInt32BE(this.#at - start - 4, start);
  }

  #plain(value: string): void {
    const { length } = value;
    // No character takes more than three bytes.
    this.#reserve(3 * length);
    const start = this.#at;
    for (let index = 0; index < length; index += 1) {
      const code = value.charCodeAt(index);
      if (code > 127) {
        this.#at = start + this.#buffer.write(value, start, 'utf8');
        return;
      }
      this.#buffer[start + index] = code;
    }
    this.#at = start + length;
  }

  /** Bytes as they are. */
  append(value: Uint8Array): void {
    this.#reserve(value.length);
    this.#buffer.set(value, this.#at);
    this.#at += value.length;
  }

  /** How many bytes stand there. */
  get length(): number {
    return this.#at;
  }

  /** Writes over what was written before. */
  patchUint32BE(value: number, at: number): void {
    this.#buffer.writeUInt32BE(value, at);
  }

  /** What stands there, good until the next write. */
  peek(): Buffer {
    return this.#buffer.subarray(0, this.#at);
  }

  /** Forgets what stands behind `length` bytes. */
  cut(length: number): void {
    this.#at = length;
  }

  /** What stands there, good until the next write, which begins anew. */
  take(): Buffer {
    const bytes = this.peek();
    this.#at = 0;
    return bytes;
  }
}

/**
 * What is in a list, and the lists in it, while they are read: the array is then made in one piece, where one that grows
 * is made four times and thrown away three times.
 */
const held: unknown[] = [];
let heldCount = 0;
const heldNumbers = [0.5];

export class BinaryReader {
  #buffer: Buffer;
  #at = 0;
  #goesOn = false;

  constructor(buffer: Buffer) {
    this.#buffer = buffer;
  }

  unsigned(): number {
    const low = this.#upTo28Bits();
    return this.#goesOn ? low + this.#upTo28Bits() * TWO_28 : low;
  }

  signed(): number {
    const value = this.unsigned();
    if (value < TWO_31) return (value & 1) === 0 ? value >>> 1 : -(value >>> 1) - 1;
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  /** The next groups of seven bits, four at most; `#goesOn` says that there are more. */
  #upTo28Bits(): number {
    const bytes = this.#buffer;
    let value = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = bytes[this.#at++];
      if (byte === undefined) throw new RangeError('the stored state ends too early');
      value |= (byte & 127) << shift;
      if (byte < 128) {
        this.#goesOn = false;
        return value;
      }
    }
    this.#goesOn = true;
    return value;
  }

  double(): number {
    const value = this.#buffer.readDoubleLE(this.#at);
    this.#at += 8;
    return value;
  }

  text(): string {
    return this.#textOf(this.unsigned());
  }

  #textOf(bytes: number): string {
    const value = this.#buffer.toString('utf8', this.#at, this.#at + bytes);
    this.#at += bytes;
    return value;
  }

  /** A text that many states have: the same string each time, which costs no call into the runtime and no memory. */
  name(): string {
    const length = this.unsigned();
    const start = this.#at;
    if (length > NAME_MAX) return this.#textOf(length);
    let hash = length;
    for (let at = start; at < start + length; at += 1) hash = (Math.imul(hash, 31) + this.#buffer[at]!) | 0;
    const place = (hash ^ (hash >>> 12)) & (NAMES - 1);
    const known = names[place];
    if (known !== undefined && this.#reads(known, length)) {
      this.#at = start + length;
      return known;
    }
    const name = this.#textOf(length);
    names[place] = name;
    return name;
  }

  /** Whether this ASCII text stands here, in so many bytes; never of another text. */
  #reads(text: string, length: number): boolean {
    if (text.length !== length) return false;
    for (let index = 0; index < length; index += 1) {
      const code = text.charCodeAt(index);
      if (code > 127 || code !== this.#buffer[this.#at + index]) return false;
    }
    return true;
  }

  /** As many items as the count that stands in front, in an array that is no longer than they are. */
  list<Item>(read: () => Item): Item[] {
    const count = this.unsigned();
    if (count === 0) return [];
    const from = heldCount;
    heldCount += count;
    try {
      for (let index = 0; index < count; index += 1) held[from + index] = read();
    } finally {
      heldCount = from;
    }
    return held.slice(from, from + count) as Item[];
  }

  /** So many numbers, in an array that V8 keeps as doubles, whatever they are. `read` reads no numbers of its own by this. */
  numbers(count: number, read: (index: number) => number): number[] {
    while (heldNumbers.length < count) heldNumbers.push(0.5);
    for (let index = 0; index < count; index += 1) heldNumbers[index] = read(index);
    return heldNumbers.slice(0, count);
  }
}
