// Who was told what and how often: what the stand-in receiver got, against the log of deliveries. A receiver may get a message
// again under its `webhook-id`, but only by an attempt that `jobs` had written down before, and only where it wrote down of the
// attempt before that no answer is known: what was answered is told once.
import type { DeliveriesTopicRecord } from '../../domain/delivery.ts';
import type { Receiver } from './arena/receiver.ts';

const SHOWN = 5;

/** What the log says of one `webhook-id`. */
export interface Attempts {
  readonly trigger: string;
  /** Intents: each was sent at most once. */
  intents: number;
  /** Intents without an outcome, whose sender was gone before it could write one. */
  interrupted: number;
  /** Intents whose answer did not come in time: the receiver may have the message all the same. */
  unanswered: number;
  isOpen: boolean;
}

/** Folds the records of the topic `deliveries`, in order: `webhook-id` → what was attempted. */
export function foldAttempts(records: Iterable<DeliveriesTopicRecord>): Map<string, Attempts> {
  const all = new Map<string, Attempts>();
  for (const record of records) {
    if (record.kind !== 'delivery') continue;
    const known = all.get(record.id) ?? {
      trigger: record.trigger.id,
      intents: 0,
      interrupted: 0,
      unanswered: 0,
      isOpen: false,
    };
    const isIntent = record.status === 'sending';
    // Who takes over writes no outcome for the one before, but an intent of its own, or that nothing is left to do.
    if (known.isOpen && (isIntent || record.status === 'settled')) known.interrupted += 1;
    if (known.isOpen && record.status === 'queued' && record.answer === 0) known.unanswered += 1;
    known.isOpen = isIntent;
    known.intents = Math.max(known.intents, record.attempt);
    all.set(record.id, known);
  }
  return all;
}

export interface Receipts {
  readonly received: Receiver['received'];
  readonly attempts: ReadonlyMap<string, Attempts>;
  /** Ids of all triggers that there ever were. */
  readonly triggers: ReadonlySet<string>;
  /** Nothing that `jobs` needs was hit: nobody had to go on for another, and only a receiver that was slow hears again. */
  readonly sparesJobs: boolean;
}

const some = (what: readonly string[]): string => `${what.length}: ${what.slice(0, SHOWN).join(', ')}`;

/** Once, and once more for each attempt that the receiver may have got without `jobs` hearing its answer. */
function timesAllowed(attempts: Attempts | undefined, sparesJobs: boolean): number {
  const { interrupted = 0, unanswered = 0 } = attempts ?? {};
  return 1 + unanswered + (sparesJobs ? 0 : interrupted);
}

/** What of it must not be. */
export function receiptFaults({ received, attempts, triggers, sparesJobs }: Receipts): string[] {
  const pairs = [...received].flatMap(([trigger, ids]) =>
    [...ids].map(([id, count]) => ({ trigger, id, count })),
  );
  const unknown = [...received.keys()].filter((trigger) => !triggers.has(trigger));
  const underMore = [...received].filter(([, ids]) => ids.size > 1).map(([trigger]) => trigger);
  const strange = pairs.filter(({ trigger, id }) => attempts.get(id)?.trigger !== trigger);
  const unwritten = pairs.filter(({ id, count }) => count > (attempts.get(id)?.intents ?? 0));
  const interrupted = [...attempts].filter(([, one]) => one.interrupted > 0);
  const repeated = pairs.filter(({ id, count }) => count > timesAllowed(attempts.get(id), sparesJobs));
  const found: [string, string[]][] = [
    ['messages of triggers that there are not', unknown],
    ['triggers told under more than one id', underMore],
    ['messages that no delivery knows', strange.map(({ id }) => id)],
    [
      'messages that came more often than they were attempted',
      unwritten.map(({ id, count }) => `${id} came ${count} times of ${attempts.get(id)?.intents ?? 0}`),
    ],
    ['attempts cut off though jobs was spared', sparesJobs ? interrupted.map(([id]) => id) : []],
    [
      `messages told again though ${sparesJobs ? 'jobs was spared' : 'they were answered'}`,
      repeated.map(({ id, count }) => `${id} ${count} times`),
    ],
  ];
  return found.filter(([, what]) => what.length > 0).map(([what, ids]) => `${what}, ${some(ids)}`);
}
