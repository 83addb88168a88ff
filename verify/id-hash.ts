// What is remembered of an id: 53 bits of MurmurHash3 (Appleby, smhasher, x86_32) under two seeds, written a second time.

function rotated(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}

function mixedBlock(block: number): number {
  return Math.imul(rotated(Math.imul(block, 0xcc9e2d51), 15), 0x1b873593);
}

function murmur3(bytes: Buffer, seed: number): number {
  const rest = bytes.length % 4;
  const whole = bytes.length - rest;
  let hash = seed;
  for (let at = 0; at < whole; at += 4) {
    hash = Math.imul(rotated(hash ^ mixedBlock(bytes.readInt32LE(at)), 13), 5) + 0xe6546b64;
  }
  if (rest > 0) hash ^= mixedBlock(bytes.readUIntLE(whole, rest));
  hash ^= bytes.length;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** A whole number below 2⁵³: 21 bits of the hash under one seed, then 32 under another. */
export function idHash(id: string): number {
  const bytes = Buffer.from(id);
  return (murmur3(bytes, 0x51ed270b) % 2 ** 21) * 2 ** 32 + murmur3(bytes, 0x9e3779b9);
}
