// Which behaviours somebody still holds: those that an open window can reach, the latest of them up to a cap.
import { type Epoch, settledBefore } from '../in-force.ts';

export interface HeldBehaviour {
  readonly timeMs: number;
  readonly behaviour: string;
  /** Of the record by which it came: a funnel counts only what came after its definition. */
  readonly offset: number;
  /** The number of the part that it came by; 0 for the buyer's own. */
  readonly part: number;
}

/** By event time, ties in the order in which they came. */
export function byTime<Timed extends { readonly timeMs: number }>(entries: readonly Timed[]): Timed[] {
  return [...entries].sort((a, b) => a.timeMs - b.timeMs);
}

/** What is left of sorted behaviours when they are looked over: it happens whenever one has come. */
export function stillHeld<Timed extends { readonly timeMs: number }>(
  sorted: readonly Timed[],
  watermarkMs: number,
  { settings, funnels }: Epoch,
): Timed[] {
  const windowMs = Math.max(0, ...funnels.map(({ document }) => document.windowMs));
  const sinceMs = watermarkMs - windowMs - settings.latenessMs;
  return sorted.filter(({ timeMs }) => timeMs >= sinceMs).slice(-settings.maxBehavioursPerBuyer);
}

interface Came {
  readonly timeMs: number;
  readonly watermarkMs: number;
  readonly epoch: Epoch;
}

/** What somebody holds to whom these behaviours came one after the other. */
export function heldOf<Arrived extends Came>(arrived: readonly Arrived[]): Arrived[] {
  let held: Arrived[] = [];
  for (const own of arrived) held = stillHeld(insert(held, own), own.watermarkMs, own.epoch);
  return held;
}

/** Behind those of the same instant. */
function insert<Timed extends { readonly timeMs: number }>(sorted: readonly Timed[], added: Timed): Timed[] {
  const after = sorted.findIndex(({ timeMs }) => timeMs > added.timeMs);
  return after === -1 ? [...sorted, added] : [...sorted.slice(0, after), added, ...sorted.slice(after)];
}

/** The days of visits that are still remembered, as somebody remembers them to whom these behaviours came. */
export function heldVisitDays(arrived: readonly Came[]): number[] {
  let days: number[] = [];
  for (const { timeMs, watermarkMs, epoch } of arrived) {
    const oldest = Math.floor(settledBefore(epoch, watermarkMs) / DAY_MS);
    const day = Math.floor(timeMs / DAY_MS);
    days = [...new Set([...days, day])].filter((each) => each >= oldest).sort((a, b) => a - b);
  }
  return days;
}

const DAY_MS = 86_400_000;
