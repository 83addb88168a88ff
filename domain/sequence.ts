// Sequence patterns over one buyer's behaviours, as ClickHouse's sequenceMatch and sequenceCount have them:
// `(?N)` the N-th condition, `.` any behaviour, `.*` any number of them, `(?t<=10)` time since the one before.

/** Behaviours that meet no condition must be left out by the caller, as ClickHouse leaves them out. */
export interface SequenceStep {
  readonly time: number;
  readonly behaviour: string;
}

type TimeOperator = '<=' | '<' | '>=' | '>' | '==';

type Action =
  | { readonly type: 'condition'; readonly behaviour: string }
  | { readonly type: 'any' }
  | { readonly type: 'skip' }
  | { readonly type: 'time'; readonly operator: TimeOperator; readonly distance: number };

/** Where the matching stands: the next action, the next step, and the step that times are measured from. */
interface Position {
  readonly action: number;
  readonly step: number;
  readonly base: number;
}

/** ClickHouse gives up after so many moves too. */
const MOVES_MAX = 1_000_000;
const TOKEN = /\(\?t(<=|<|>=|>|==)(\d+)\)|\(\?(\d+)\)|(\.\*)|(\.)/y;

function parse(pattern: string, conditions: readonly string[]): Action[] {
  const actions: Action[] = [{ type: 'skip' }];
  TOKEN.lastIndex = 0;
  let from = 0;
  while (from < pattern.length) {
    const token = TOKEN.exec(pattern);
    if (token === null)
      throw new SyntaxError(`sequence pattern "${pattern}": cannot read it from position ${from}`);
    from = TOKEN.lastIndex;
    const [, operator, distance, condition, skip] = token;
    if (operator !== undefined) {
      actions.push({ type: 'time', operator: operator as TimeOperator, distance: Number(distance) });
    } else if (condition !== undefined) {
      const behaviour = conditions[Number(condition) - 1];
      if (behaviour === undefined)
        throw new SyntaxError(`sequence pattern "${pattern}": no condition ${condition}`);
      actions.push({ type: 'condition', behaviour });
    } else actions.push({ type: skip === undefined ? 'any' : 'skip' });
  }
  return actions;
}

function isWithin(elapsed: number, operator: TimeOperator, distance: number): boolean {
  switch (operator) {
    case '<=':
      return elapsed <= distance;
    case '<':
      return elapsed < distance;
    case '>=':
      return elapsed >= distance;
    case '>':
      return elapsed > distance;
    case '==':
      return elapsed === distance;
  }
}

/** An action that may hold over no step at all, so that it holds after the last one. */
function mayBeEmpty(action: Action): boolean {
  if (action.type === 'skip') return true;
  if (action.type !== 'time') return false;
  return (
    action.operator === '<=' || action.operator === '<' || (action.operator === '>=' && action.distance === 0)
  );
}

/** One move; 'fail' where this way cannot go on. What can be tried again one step later is put on `retries`. */
function move(
  action: Action,
  at: Position,
  steps: readonly SequenceStep[],
  retries: Position[],
): Position | 'fail' {
  const step = steps[at.step]!;
  const next = { action: at.action + 1, step: at.step + 1, base: at.step };
  switch (action.type) {
    case 'condition':
      return step.behaviour === action.behaviour ? next : 'fail';
    case 'any':
      return next;
    case 'time':
      if (!isWithin(step.time - steps[at.base]!.time, action.operator, action.distance)) {
        if (action.operator === '<=' || action.operator === '<') return 'fail';
        return at.step + 1 < steps.length ? { ...at, step: at.step + 1 } : 'fail';
      }
      break;
    case 'skip':
      break;
  }
  retries.push(at);
  return { action: at.action + 1, step: at.step, base: at.step };
}

/** The latest action that can be tried one step later; where none can, the earliest one, behind the last step. */
function retry(retries: Position[], at: Position, steps: readonly SequenceStep[]): Position {
  let later = at;
  for (let last = retries.pop(); last !== undefined; last = retries.pop()) {
    later = { ...last, step: last.step + 1 };
    if (later.step < steps.length) return later;
  }
  return { ...later, step: steps.length };
}

/** The step behind the first match from `from` on, or undefined. */
function matchFrom(
  actions: readonly Action[],
  steps: readonly SequenceStep[],
  from: number,
): number | undefined {
  const retries: Position[] = [];
  let at: Position = { action: 0, step: from, base: from };
  for (let moves = 0; at.action < actions.length && at.step < steps.length; moves += 1) {
    if (moves > MOVES_MAX) throw new RangeError(`a sequence pattern took more than ${MOVES_MAX} moves`);
    const moved = move(actions[at.action]!, at, steps, retries);
    at = moved === 'fail' ? retry(retries, at, steps) : moved;
  }
  if (!actions.slice(at.action).every(mayBeEmpty)) return undefined;
  return Math.max(at.step, from + 1);
}

/**
 * How often the pattern is found, one match beginning behind the other (0: no match). `conditions` name the behaviours
 * that `(?1)`, `(?2)`, … stand for; distances are in the unit of the times. Throws SyntaxError for a pattern that is none.
 */
export function sequenceCount(
  pattern: string,
  conditions: readonly string[],
  unsorted: readonly SequenceStep[],
): number {
  const actions = parse(pattern, conditions);
  const steps = [...unsorted].sort((a, b) => a.time - b.time);
  let count = 0;
  for (let from: number | undefined = 0; from !== undefined && from < steps.length; ) {
    from = matchFrom(actions, steps, from);
    if (from !== undefined) count += 1;
  }
  return count;
}
