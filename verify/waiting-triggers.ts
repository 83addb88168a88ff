// Triggers of one partition that wait for a receiver, gone through with the watermark: until a receipt, until their time is over, or
// until more have come than may wait.
import type { EventsTopicRecord } from '../domain/record.ts';
import type { CreatedTrigger } from './facts.ts';
import type { Step, Walk } from './watermark.ts';

/** A trigger under the id that the stream gave it. */
export interface Named extends CreatedTrigger {
  readonly id: string;
  /** The watermark at which it was created. */
  readonly createdMs: number;
  /** It waits while the watermark is at most this. */
  readonly expiresMs: number;
}

export interface Ended {
  readonly trigger: Named;
  readonly how: 'acknowledged' | 'expired';
  readonly offset: number;
  /** Of a receipt; when it is looked at that something has expired depends on timers that change nothing. */
  readonly timeMs: number | undefined;
}

/** Which triggers ended, how and where; and those that wait at the end, the oldest first. */
export function endsOf(
  walk: Walk<EventsTopicRecord>,
  named: readonly Named[],
): { readonly ended: readonly Ended[]; readonly waiting: readonly Named[] } {
  const ended: Ended[] = [];
  const waiting = new Map<string, Named>();
  const end = ({ offset }: Step<EventsTopicRecord>, trigger: Named | undefined, timeMs?: number): void => {
    if (trigger === undefined || !waiting.delete(trigger.id)) return;
    ended.push({ trigger, how: timeMs === undefined ? 'expired' : 'acknowledged', offset, timeMs });
  };
  const createdAt = grouped(inOrder(named), ({ offset }) => offset);
  const expireAt = grouped(named, ({ expiresMs }) => walk.firstReaching(expiresMs + 1)?.offset);
  let watermarkMs = 0;
  for (const step of walk.steps) {
    const created = createdAt.get(step.offset) ?? [];
    const add = (some: readonly Named[]): void => {
      for (const trigger of some) waiting.set(trigger.id, trigger);
    };
    const hasRisen = step.watermarkMs > watermarkMs;
    watermarkMs = step.watermarkMs;
    // Timers that are due below the watermark of their record fire before it rises so far, all others and the record itself behind that.
    const isBefore = (trigger: Named): boolean =>
      trigger.dueMs !== undefined && trigger.createdMs < watermarkMs;
    add(created.filter(isBefore));
    if (hasRisen) {
      for (const trigger of expireAt.get(step.offset) ?? []) end(step, trigger);
      const { maxPendingTriggers } = walk.history.at(step.offset - 1).settings;
      for (const trigger of waiting.values()) {
        if (waiting.size <= maxPendingTriggers) break;
        end(step, trigger);
      }
    }
    add(created.filter((trigger) => !isBefore(trigger)));
    if (step.record?.kind === 'receipt') end(step, waiting.get(step.record.trigger), step.record.timestamp);
  }
  return { ended, waiting: [...waiting.values()] };
}

function grouped<Name>(named: readonly Named[], nameOf: (trigger: Named) => Name): Map<Name, Named[]> {
  const groups = new Map<Name, Named[]>();
  for (const trigger of named) {
    const group = groups.get(nameOf(trigger));
    if (group === undefined) groups.set(nameOf(trigger), [trigger]);
    else group.push(trigger);
  }
  return groups;
}

/** As they were created: by the ordinal that their ids end in. */
function inOrder(named: readonly Named[]): Named[] {
  const ordinalOf = ({ id }: Named): number => Number(id.slice(id.lastIndexOf('-') + 1));
  return [...named].sort((a, b) => a.offset - b.offset || ordinalOf(a) - ordinalOf(b));
}
