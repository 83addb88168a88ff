// MurmurHash3's two variants of 128 bits (Appleby, smhasher), for ids that are shared with other systems.
// Not for hot paths: the 64-bit form counts in BigInt.

const utf8 = new TextEncoder();
const MASK = 0xffff_ffff_ffff_ffffn;

function littleEndianHex(value: bigint, bytes: number): string {
  let hex = '';
  for (let index = 0; index < bytes; index += 1) {
    hex += ((value >> BigInt(8 * index)) & 0xffn).toString(16).padStart(2, '0');
  }
  return hex;
}

function bytesAt(bytes: Uint8Array, from: number, to: number): bigint {
  let value = 0n;
  for (let index = Math.min(to, bytes.length) - 1; index >= from; index -= 1)
    value = (value << 8n) | BigInt(bytes[index]!);
  return value;
}

function rotateLeft64(value: bigint, bits: bigint): bigint {
  return ((value << bits) | (value >> (64n - bits))) & MASK;
}

function finish64(value: bigint): bigint {
  let mixed = ((value ^ (value >> 33n)) * 0xff51afd7ed558ccdn) & MASK;
  mixed = ((mixed ^ (mixed >> 33n)) * 0xc4ceb9fe1a85ec53n) & MASK;
  return mixed ^ (mixed >> 33n);
}

const FIRST = 0x87c37b91114253d5n;
const SECOND = 0x4cf5ad432745937fn;
const scrambleFirst = (block: bigint): bigint => (rotateLeft64((block * FIRST) & MASK, 31n) * SECOND) & MASK;
const scrambleSecond = (block: bigint): bigint => (rotateLeft64((block * SECOND) & MASK, 33n) * FIRST) & MASK;

/** MurmurHash3 x64_128 over UTF-8: 32 hexadecimal digits, each half's lowest byte first. */
export function murmur3x64of128(text: string, seed = 0): string {
  const bytes = utf8.encode(text);
  const whole = bytes.length - (bytes.length % 16);
  let first = BigInt(seed >>> 0);
  let second = first;
  for (let index = 0; index < whole; index += 16) {
    first ^= scrambleFirst(bytesAt(bytes, index, index + 8));
    first = ((rotateLeft64(first, 27n) + second) * 5n + 0x52dce729n) & MASK;
    second ^= scrambleSecond(bytesAt(bytes, index + 8, index + 16));
    second = ((rotateLeft64(second, 31n) + first) * 5n + 0x38495ab5n) & MASK;
  }
  second ^= scrambleSecond(bytesAt(bytes, whole + 8, whole + 16));
  first ^= scrambleFirst(bytesAt(bytes, whole, whole + 8));
  first ^= BigInt(bytes.length);
  second ^= BigInt(bytes.length);
  first = (first + second) & MASK;
  second = (second + first) & MASK;
  first = finish64(first);
  second = finish64(second);
  first = (first + second) & MASK;
  second = (second + first) & MASK;
  return littleEndianHex(first, 8) + littleEndianHex(second, 8);
}

// The four lanes of x86_128: multipliers before and after a rotation, then the lane's own rotation and constant.
const LANE_MULTIPLIERS = [0x239b961b, 0xab0e9789, 0x38b34ae5, 0xa1e38b93] as const;
const LANE_BITS = [15, 16, 17, 18] as const;
const MIX_BITS = [19, 17, 15, 13] as const;
const MIX_CONSTANTS = [0x561ccd1b, 0x0bcaa747, 0x96cd1c35, 0x32ac3b17] as const;

function rotateLeft32(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}

function scrambleLane(block: number, lane: number): number {
  const rotated = rotateLeft32(Math.imul(block, LANE_MULTIPLIERS[lane]!), LANE_BITS[lane]!);
  return Math.imul(rotated, LANE_MULTIPLIERS[(lane + 1) % 4]!);
}

function finish32(value: number): number {
  let mixed = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}

function spread(lanes: number[]): void {
  lanes[0] = (lanes[0]! + lanes[1]! + lanes[2]! + lanes[3]!) | 0;
  for (let lane = 1; lane < 4; lane += 1) lanes[lane] = (lanes[lane]! + lanes[0]) | 0;
}

/** MurmurHash3 x86_128 over UTF-8: 32 hexadecimal digits, each quarter's lowest byte first. */
export function murmur3x86of128(text: string, seed = 0): string {
  const bytes = utf8.encode(text);
  const whole = bytes.length - (bytes.length % 16);
  const blockAt = (index: number): number => Number(BigInt.asIntN(32, bytesAt(bytes, index, index + 4)));
  const lanes = [seed | 0, seed | 0, seed | 0, seed | 0];
  for (let index = 0; index < whole; index += 16) {
    for (let lane = 0; lane < 4; lane += 1) {
      const mixed = rotateLeft32(
        lanes[lane]! ^ scrambleLane(blockAt(index + 4 * lane), lane),
        MIX_BITS[lane]!,
      );
      lanes[lane] = (Math.imul((mixed + lanes[(lane + 1) % 4]!) | 0, 5) + MIX_CONSTANTS[lane]!) | 0;
    }
  }
  for (let lane = 0; lane < 4; lane += 1)
    lanes[lane]! ^= scrambleLane(blockAt(whole + 4 * lane), lane) ^ bytes.length;
  spread(lanes);
  for (let lane = 0; lane < 4; lane += 1) lanes[lane] = finish32(lanes[lane]!);
  spread(lanes);
  return lanes.map((lane) => littleEndianHex(BigInt(lane >>> 0), 4)).join('');
}
