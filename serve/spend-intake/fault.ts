// Why a report or notice is not taken: an expected outcome, not an exception.
export interface SpendFault {
  readonly taken: false;
  /** snake_case, stable. */
  readonly reason: string;
  readonly detail: string;
}

export function spendFault(reason: string, detail: string): SpendFault {
  return { taken: false, reason, detail };
}

export function isFault(value: unknown): value is SpendFault {
  return typeof value === 'object' && value !== null && 'taken' in value && value.taken === false;
}
