// Scratch tables without a server: takes rows in, and answers `windowFunnel` of the default mode by the oracle's own restatement.
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { FunnelDefinition } from '../../../domain/definition.ts';
import type { ClickHouse } from '../../../platform/clickhouse.ts';
import { levelOf, type TimedBehaviour } from '../../../verify/funnel-levels.ts';

/** `windowFunnel(<ms>)(time_ms, behaviour = '<step>', …)`. */
function funnelIn(query: string): FunnelDefinition {
  const windowMs = Number(/windowFunnel\((\d+)\)/.exec(query)![1]);
  const steps = [...query.matchAll(/behaviour = '(\w+)'/g)].map(([, step]) => step!);
  return { name: '', windowMs, steps, mode: 'default' } as FunnelDefinition;
}

/** For one table of (person, time, behaviour). */
export function scratchClickHouse(): ClickHouse {
  const behaviours = new Map<string, TimedBehaviour[]>();
  const exec = async ({ values }: { values: Readable }) => {
    const lines = (await text(values)).split('\n').filter((line) => line !== '');
    for (const [person, timeMs, behaviour] of lines.map((line) => JSON.parse(line)))
      behaviours.set(person, [...(behaviours.get(person) ?? []), { timeMs, behaviour }]);
    return { stream: Readable.from([]) };
  };
  const query = async ({ query: asked }: { query: string }) => {
    const funnel = funnelIn(asked);
    return { json: async () => [...behaviours].map(([person, did]) => [person, levelOf(funnel, did)]) };
  };
  return { command: async () => {}, exec, query } as unknown as ClickHouse;
}
