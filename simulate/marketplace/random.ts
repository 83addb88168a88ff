// Randomness from a seed: the same seed gives the same marketplace, on every machine.
import { murmur3 } from '../../domain/hash.ts';

/** A number in [0, 1), the next of its sequence. */
export type Random = () => number;

/** The sequence of `seed` (mulberry32, T. Ettinger; 32 bits of state are enough for one buyer's life). */
export function randomOf(seed: string): Random {
  let state = murmur3(seed) | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Waiting time of a Poisson process of rate 1. */
export function exponential(random: Random): number {
  return -Math.log(1 - random());
}

/** Standard normal (Box and Muller, 1958). */
export function normal(random: Random): number {
  return Math.sqrt(2 * exponential(random)) * Math.cos(2 * Math.PI * random());
}

/** Log-normal with mean 1; `spread` is the standard deviation of the logarithm. */
export function logNormal(random: Random, spread: number): number {
  return Math.exp(spread * normal(random) - (spread * spread) / 2);
}

export function between(random: Random, low: number, high: number): number {
  return low + (high - low) * random();
}

/** A whole number in [low, high]. */
export function wholeBetween(random: Random, low: number, high: number): number {
  return low + Math.floor(random() * (high - low + 1));
}

export function pick<T>(random: Random, from: readonly T[]): T {
  return from[Math.floor(random() * from.length)]!;
}

/** Draws by weight; the sums are made once. */
export function weighted<T>(
  items: readonly T[],
  weightOf: (item: T, index: number) => number,
): (random: Random) => T {
  const sums: number[] = [];
  let total = 0;
  items.forEach((item, index) => {
    total += weightOf(item, index);
    sums.push(total);
  });
  return (random) => {
    const at = random() * total;
    let low = 0;
    let high = sums.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sums[middle]! > at) high = middle;
      else low = middle + 1;
    }
    return items[low]!;
  };
}
