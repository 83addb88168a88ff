// Money and counts as people write them, to the integers that are kept. No float takes part.

import { type SpendFault, spendFault } from './fault.ts';

const MICROS_MAX = 9_000_000_000_000_000n;
const COUNT_MAX = 1_000_000_000_000;
const MICRO_DIGITS = 6;
const DIGITS_MAX = 64;

const DECIMAL = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,3}))?$/;

/** The digits of a decimal number and how many of them stand behind the point. */
function digitsOf(text: string): { negative: boolean; digits: string; scale: number } | undefined {
  const match = DECIMAL.exec(text);
  if (match === null) return undefined;
  const [, sign, whole = '', fraction = '', exponent = '0'] = match;
  if (whole === '' && fraction === '') return undefined;
  return { negative: sign === '-', digits: whole + fraction, scale: fraction.length - Number(exponent) };
}

/** The digits as an integer of `digits × 10^-scale` millionths, half up; what is below a millionth is rounded. */
function microsOf(digits: string, scale: number): bigint {
  const shift = MICRO_DIGITS - scale;
  if (shift >= 0) return BigInt(digits) * 10n ** BigInt(shift);
  const divisor = 10n ** BigInt(-shift);
  return (BigInt(digits) * 2n + divisor) / (2n * divisor);
}

/**
 * Micros of an amount of money: `"12.34"` or `12.34` is 12,340,000. A number counts with the digits that it is
 * written with (12.1 is twelve and a tenth, not the double next to it).
 * @param perUnits 1000 for a price for a thousand
 */
export function microsOfMoney(
  name: string,
  given: string | number,
  perUnits: 1 | 1000 = 1,
): number | SpendFault {
  const text = String(given).trim();
  const parsed = digitsOf(text);
  if (parsed === undefined || parsed.digits.length > DIGITS_MAX) {
    return spendFault(
      'invalid',
      `${name} ${JSON.stringify(given)} is not an amount of money; write it like 12.34`,
    );
  }
  const micros = microsOf(parsed.digits, parsed.scale + (perUnits === 1000 ? 3 : 0));
  if (parsed.negative && micros > 0n) return spendFault('negative_money', `${name} ${text} is negative`);
  if (micros > MICROS_MAX) return spendFault('too_large', `${name} ${text} is more than can be kept`);
  return Number(micros);
}

/** Micros that are given as such: whole, from 0 on. */
export function microsOfInteger(name: string, given: string | number): number | SpendFault {
  const text = String(given).trim();
  if (/^-\d+$/.test(text)) return spendFault('negative_money', `${name} ${text} is negative`);
  if (!/^\d{1,32}$/.test(text)) {
    return spendFault('invalid', `${name} ${JSON.stringify(given)} is not a whole number of millionths`);
  }
  if (BigInt(text) > MICROS_MAX) return spendFault('too_large', `${name} ${text} is more than can be kept`);
  return Number(text);
}

/** A count, `12` or `"12"`; absent is 0. */
export function countOf(name: string, given: string | number | undefined): number | SpendFault {
  const text = String(given ?? 0).trim();
  const value = /^\d{1,16}(?:\.0+)?$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isNaN(value)) {
    return spendFault('invalid', `${name} ${JSON.stringify(given)} is not a whole number from 0 on`);
  }
  if (value > COUNT_MAX) return spendFault('too_large', `${name} ${text} is more than can be kept`);
  return value;
}
