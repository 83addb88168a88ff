// Why a report or notice is not taken: an expected outcome, not an exception.
import type { RejectReason } from '../reject-reasons.ts';

export interface SpendFault {
  readonly taken: false;
  readonly reason: RejectReason;
  readonly detail: string;
}

export function spendFault(reason: RejectReason, detail: string): SpendFault {
  return { taken: false, reason, detail };
}

/** The parts as they are, or all faults among them as one, by the reason of the first. */
export function allOf<Parts extends Readonly<Record<string, unknown>>>(
  parts: Parts,
): { readonly [Name in keyof Parts]: Exclude<Parts[Name], SpendFault> } | SpendFault {
  const faults = Object.values(parts).filter(isFault);
  const [first] = faults;
  if (first !== undefined) return spendFault(first.reason, faults.map(({ detail }) => detail).join('; '));
  return parts as { readonly [Name in keyof Parts]: Exclude<Parts[Name], SpendFault> };
}

export function isFault(value: unknown): value is SpendFault {
  return typeof value === 'object' && value !== null && 'taken' in value && value.taken === false;
}
