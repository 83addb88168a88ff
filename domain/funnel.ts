// Funnels: how far a buyer got through a sequence of behaviours within a window.
// ClickHouse's windowFunnel, restated as an automaton that can stop after any instant and go on later.

export type FunnelMode = 'default' | 'strict_order' | 'strict_increase' | 'strict_order+strict_increase';

/** `steps` are 2 to 12 behaviours, one may repeat; the window is inclusive and runs from a chain's first step. */
export interface FunnelRule {
  readonly steps: readonly string[];
  readonly windowMs: number;
  readonly mode: FunnelMode;
}

/** A behaviour at its event time. */
export interface TimedBehaviour {
  readonly timeMs: number;
  readonly behaviour: string;
}

/**
 * What is remembered after a sorted prefix of a buyer's behaviours: plain numbers, a function of that prefix alone.
 * `[]` nothing yet; `[level]` decided for ever; else the level L, then for each step up to L when the chain that last
 * reached it began, then, where steps must be strictly later than each other, when that chain reached it.
 */
export type FunnelProgress = readonly number[];

const MAX_STEPS = 12;
/** The bit of a behaviour that is no step; bit k is step k, so the bits of an instant sort as ClickHouse sorts them. */
const UNMATCHED = 1;
/** Progress that many share, nobody's own: before anything, and decided for ever at a level. */
export const NOTHING_YET: FunnelProgress = Object.freeze([]);
const DECIDED: readonly FunnelProgress[] = Array.from({ length: MAX_STEPS + 1 }, (_, level) => [level]);

export function decidedAt(level: number): FunnelProgress {
  return DECIDED[level] ?? [level];
}

interface CompiledFunnel {
  readonly stepCount: number;
  readonly windowMs: number;
  readonly strictOrder: boolean;
  readonly strictIncrease: boolean;
  /** Which steps a behaviour is, as bits. */
  readonly stepBits: ReadonlyMap<string, number>;
  /** The bits of a behaviour that is no step: only strict_order cares. */
  readonly otherBits: number;
}

const compiled = new WeakMap<FunnelRule, CompiledFunnel>();

function compile(rule: FunnelRule): CompiledFunnel {
  const { steps, windowMs, mode } = rule;
  if (steps.length < 2 || steps.length > MAX_STEPS)
    throw new RangeError(`a funnel has 2 to ${MAX_STEPS} steps, not ${steps.length}`);
  if (!(windowMs >= 0)) throw new RangeError(`a funnel's window is at least 0 ms, not ${windowMs}`);
  const stepBits = new Map<string, number>();
  steps.forEach((step, index) => {
    stepBits.set(step, (stepBits.get(step) ?? 0) | (2 << index));
  });
  const strictOrder = mode === 'strict_order' || mode === 'strict_order+strict_increase';
  const strictIncrease = mode === 'strict_increase' || mode === 'strict_order+strict_increase';
  return {
    stepCount: steps.length,
    windowMs,
    strictOrder,
    strictIncrease,
    stepBits,
    otherBits: strictOrder ? UNMATCHED : 0,
  };
}

function compiledOf(rule: FunnelRule): CompiledFunnel {
  let funnel = compiled.get(rule);
  if (funnel === undefined) {
    funnel = compile(rule);
    compiled.set(rule, funnel);
  }
  return funnel;
}

// Working copy of one run, reused because runs never overlap: nothing is allocated for an event that changes nothing.
const beganMs = new Float64Array(MAX_STEPS);
const reachedMs = new Float64Array(MAX_STEPS);
const run = { level: 0, changed: false, decided: false };

function begin(funnel: CompiledFunnel, progress: FunnelProgress): void {
  const count = progress.length === 0 ? 0 : progress[0]!;
  for (let index = 0; index < count; index += 1) {
    beganMs[index] = progress[1 + index]!;
    if (funnel.strictIncrease) reachedMs[index] = progress[1 + count + index]!;
  }
  run.level = count;
  run.changed = false;
  run.decided = false;
}

/** The chain at step `step - 1`, if it is still open at this instant, goes on to `step`. */
function reach(funnel: CompiledFunnel, step: number, timeMs: number): void {
  const began = beganMs[step - 2]!;
  if (timeMs > began + funnel.windowMs) return;
  if (funnel.strictIncrease && reachedMs[step - 2]! >= timeMs) return;
  const index = step - 1;
  if (run.level < step) run.level = step;
  else if (beganMs[index] === began && (!funnel.strictIncrease || reachedMs[index] === timeMs)) return;
  beganMs[index] = began;
  reachedMs[index] = timeMs;
  run.changed = true;
  run.decided = step === funnel.stepCount;
}

function open(timeMs: number): void {
  if (run.level === 0) run.level = 1;
  else if (beganMs[0] === timeMs && reachedMs[0] === timeMs) return;
  beganMs[0] = timeMs;
  reachedMs[0] = timeMs;
  run.changed = true;
}

/** strict_order: what comes out of turn ends the whole evaluation at the level reached. */
function end(): void {
  run.changed = true;
  run.decided = true;
}

/** All behaviours of one instant, as bits: lower steps first, and doing one twice changes nothing. */
function instant(funnel: CompiledFunnel, bits: number, timeMs: number): void {
  for (let left = bits; left !== 0 && !run.decided; left &= left - 1) {
    const step = 31 - Math.clz32(left & -left);
    if (step === 1) open(timeMs);
    else if (step <= run.level + 1 && step !== 0) reach(funnel, step, timeMs);
    else if (run.level > 0 && funnel.strictOrder) end();
    else if (step !== 0) return;
  }
}

function fold(
  funnel: CompiledFunnel,
  progress: FunnelProgress,
  behaviours: readonly TimedBehaviour[],
  from: number,
  to: number,
): void {
  const { stepBits, otherBits } = funnel;
  begin(funnel, progress);
  let index = from;
  while (index < to && !run.decided) {
    let item = behaviours[index]!;
    const { timeMs } = item;
    let bits = stepBits.get(item.behaviour) ?? otherBits;
    for (index += 1; index < to; index += 1) {
      item = behaviours[index]!;
      if (item.timeMs !== timeMs) break;
      bits |= stepBits.get(item.behaviour) ?? otherBits;
    }
    if (bits !== 0) instant(funnel, bits, timeMs);
  }
}

/** The working copy as progress; the array is made in its final size, because this runs for most behaviours. */
function recorded({ strictIncrease }: CompiledFunnel): FunnelProgress {
  const { level: count, decided } = run;
  if (decided) return decidedAt(count);
  const progress = new Array<number>(1 + (strictIncrease ? 2 : 1) * count);
  progress[0] = count;
  for (let index = 0; index < count; index += 1) {
    progress[1 + index] = beganMs[index]!;
    if (strictIncrease) progress[1 + count + index] = reachedMs[index]!;
  }
  return progress;
}

function isDecided(progress: FunnelProgress): boolean {
  return progress.length === 1;
}

/** Progress before any behaviour; throws RangeError for a rule that is no funnel. */
export function emptyProgress(rule: FunnelRule): FunnelProgress {
  compiledOf(rule);
  return NOTHING_YET;
}

/** The level reached: 0 to the number of steps. It never falls as a prefix grows. */
export function level(progress: FunnelProgress): number {
  return progress.length === 0 ? 0 : progress[0]!;
}

/**
 * Goes on over behaviours `[from, to)`, sorted by time and none earlier than what `progress` has seen. All behaviours
 * of one instant must come in one call, in any order. Returns the same object if nothing changed.
 */
export function advance(
  rule: FunnelRule,
  progress: FunnelProgress,
  behaviours: readonly TimedBehaviour[],
  from = 0,
  to = behaviours.length,
): FunnelProgress {
  if (isDecided(progress)) return progress;
  const funnel = compiledOf(rule);
  fold(funnel, progress, behaviours, from, to);
  if (!run.changed) return progress;
  return recorded(funnel);
}

/** The level that `advance` would come to, without building its progress: for a tail that is computed again and again. */
export function levelAfter(
  rule: FunnelRule,
  progress: FunnelProgress,
  behaviours: readonly TimedBehaviour[],
  from = 0,
  to = behaviours.length,
): number {
  if (isDecided(progress)) return progress[0]!;
  fold(compiledOf(rule), progress, behaviours, from, to);
  return run.level;
}

/** An instant that lifts the level. */
export interface Rise {
  readonly level: number;
  readonly timeMs: number;
}

/** Where over sorted behaviours `[from, to)` the level rises: one pass, and nothing is built for instants that change no level. */
export function risesOf(
  rule: FunnelRule,
  behaviours: readonly TimedBehaviour[],
  from: number,
  to: number,
): Rise[] {
  const funnel = compiledOf(rule);
  const { stepBits, otherBits } = funnel;
  const rises: Rise[] = [];
  begin(funnel, NOTHING_YET);
  for (let index = from; index < to && !run.decided; ) {
    const { timeMs } = behaviours[index]!;
    const before = run.level;
    let bits = 0;
    for (; index < to && behaviours[index]!.timeMs === timeMs; index += 1)
      bits |= stepBits.get(behaviours[index]!.behaviour) ?? otherBits;
    instant(funnel, bits, timeMs);
    if (run.level > before) rises.push({ level: run.level, timeMs });
  }
  return rises;
}

/** Whether a behaviour is a step of the funnel. */
export function isStep(rule: FunnelRule, behaviour: string): boolean {
  return compiledOf(rule).stepBits.has(behaviour);
}

/** The level over behaviours in any order: what ClickHouse's `windowFunnel` answers for this buyer. */
export function windowFunnel(rule: FunnelRule, behaviours: readonly TimedBehaviour[]): number {
  const sorted = [...behaviours].sort((a, b) => a.timeMs - b.timeMs);
  return levelAfter(rule, NOTHING_YET, sorted);
}
