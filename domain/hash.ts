// Hashes that must equal somebody else's bit for bit: GrowthBook's buckets, Kafka's partitions, MurmurHash3.
// Fast in plain JavaScript: 32-bit multiplications, one pass and no allocation for ASCII text.

const utf8 = new TextEncoder();

/** Char codes above these make a string text that is not ASCII, or no string of bytes. */
const ASCII = 0x7f;
const BYTES = 0xff;
/** Answer of a hash over a string that has a char code above the one allowed. */
const NOT_HASHED = -1;

/** A string whose char codes are the bytes of `text` in UTF-8. A lone surrogate becomes U+FFFD. */
function byteString(text: string): string {
  let bytes = '';
  for (const byte of utf8.encode(text)) bytes += String.fromCharCode(byte);
  return bytes;
}

function rotateLeft(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}

/** FNV-1a, 32 bits, over UTF-16 code units (not bytes), unsigned: what GrowthBook hashes with. */
export function fnv1a32(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  return hash >>> 0;
}

/** Where GrowthBook puts `value` in [0, 1): version 1 in thousandths, 2 in ten-thousandths; null for others. */
export function growthBookHash(seed: string, value: string, version: number): number | null {
  if (version === 2) return (fnv1a32(`${fnv1a32(seed + value)}`) % 10_000) / 10_000;
  if (version === 1) return (fnv1a32(value + seed) % 1_000) / 1_000;
  return null;
}

function scramble(block: number): number {
  return Math.imul(rotateLeft(Math.imul(block, 0xcc9e2d51), 15), 0x1b873593);
}

function finish(hash: number): number {
  let mixed = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

/** MurmurHash3 x86_32 over char codes as bytes; NOT_HASHED if one is above `maxCode`. */
function murmur3Of(bytes: string, seed: number, maxCode: number): number {
  const { length } = bytes;
  const whole = length & ~3;
  let hash = seed | 0;
  let seen = 0;
  for (let index = 0; index < whole; index += 4) {
    const first = bytes.charCodeAt(index);
    const second = bytes.charCodeAt(index + 1);
    const third = bytes.charCodeAt(index + 2);
    const fourth = bytes.charCodeAt(index + 3);
    seen |= first | second | third | fourth;
    hash ^= scramble(first | (second << 8) | (third << 16) | (fourth << 24));
    hash = (Math.imul(rotateLeft(hash, 13), 5) + 0xe6546b64) | 0;
  }
  let tail = 0;
  for (let index = length - 1; index >= whole; index -= 1) {
    const code = bytes.charCodeAt(index);
    seen |= code;
    tail = (tail << 8) | code;
  }
  if (seen > maxCode) return NOT_HASHED;
  return finish(hash ^ scramble(tail) ^ length);
}

/** MurmurHash3 x86_32 (Appleby, smhasher) over UTF-8, unsigned. */
export function murmur3(text: string, seed = 0): number {
  const hash = murmur3Of(text, seed, ASCII);
  return hash === NOT_HASHED ? murmur3Of(byteString(text), seed, BYTES) : hash;
}

/** Folds an id to a safe integer of 53 bits: 32 bits of its hash under one seed, 21 under another. */
export function idHash53(id: string): number {
  return (murmur3(id, 0x51ed270b) & 0x1fffff) * 0x1_0000_0000 + murmur3(id, 0x9e3779b9);
}

const MURMUR2 = 0x5bd1e995;

/** Kafka's MurmurHash2 over char codes as bytes, unsigned; NOT_HASHED if one is above `maxCode`. */
function murmur2Of(bytes: string, maxCode: number): number {
  const { length } = bytes;
  const whole = length & ~3;
  let hash = 0x9747b28c ^ length;
  let seen = 0;
  for (let index = 0; index < whole; index += 4) {
    const first = bytes.charCodeAt(index);
    const second = bytes.charCodeAt(index + 1);
    const third = bytes.charCodeAt(index + 2);
    const fourth = bytes.charCodeAt(index + 3);
    seen |= first | second | third | fourth;
    const block = Math.imul(first | (second << 8) | (third << 16) | (fourth << 24), MURMUR2);
    hash = Math.imul(hash, MURMUR2) ^ Math.imul(block ^ (block >>> 24), MURMUR2);
  }
  let tail = 0;
  for (let index = length - 1; index >= whole; index -= 1) {
    const code = bytes.charCodeAt(index);
    seen |= code;
    tail = (tail << 8) | code;
  }
  if (seen > maxCode) return NOT_HASHED;
  if (whole < length) hash = Math.imul(hash ^ tail, MURMUR2);
  hash = Math.imul(hash ^ (hash >>> 13), MURMUR2);
  return (hash ^ (hash >>> 15)) >>> 0;
}

/** MurmurHash2 over UTF-8 as Kafka's Java clients have it (`Utils.murmur2`), but unsigned. */
export function murmur2(text: string): number {
  const hash = murmur2Of(text, ASCII);
  return hash === NOT_HASHED ? murmur2Of(byteString(text), BYTES) : hash;
}

/** The partition that Kafka's Java clients choose for this key; `partitions` is at least 1. */
export function partitionOf(key: string, partitions: number): number {
  return (murmur2(key) & 0x7fffffff) % partitions;
}
