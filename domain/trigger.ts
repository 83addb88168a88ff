// Triggers: what is worth telling somebody, by the trigger definitions in force.
import type { Effect, PendingTrigger } from './effect.ts';
import type { Definitions } from './in-force.ts';

/** One trigger for each definition that asks for what happened. */
export function pushTriggers(
  definitions: Definitions,
  happened: Omit<PendingTrigger, 'definition' | 'revision'>,
  effects: Effect[],
): void {
  for (const { id, revision, document } of definitions.triggers) {
    if (document.on !== happened.on || !document.to.includes(happened.to)) continue;
    effects.push({ kind: 'trigger', trigger: { definition: id, revision, ...happened } });
  }
}
