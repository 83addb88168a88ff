// A receiver of triggers as docs/decisions/triggers.md asks for one: Kafka may repeat, so it keeps in a file of its own the highest position
// per source partition and counts only what is above it.
import { readFileSync, writeFileSync } from 'node:fs';
import type { Stage } from './stage.ts';

interface Kept {
  /** Where it goes on in each partition of `triggers`. */
  from: number[];
  /** `<topic>:<generation>:<partition>` → [offset, ordinal] of the last one counted. */
  highest: Record<string, [number, number]>;
  counted: string[];
  repeats: number;
}

export interface TriggerPuller {
  /** Reads on to the topic's end. */
  pull(): Promise<void>;
  /** Ids in the order in which they were counted. */
  counted(): readonly string[];
  repeats(): number;
}

function read(file: string): Kept {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Kept;
  } catch {
    return { from: [], highest: {}, counted: [], repeats: 0 };
  }
}

function isAbove([offset, ordinal]: [number, number], highest: [number, number] | undefined): boolean {
  if (highest === undefined) return true;
  return offset > highest[0] || (offset === highest[0] && ordinal > highest[1]);
}

/** @param file may hold what a puller before it kept */
export function createTriggerPuller(stage: Stage, file: string): TriggerPuller {
  return {
    async pull() {
      const kept = read(file);
      for (const record of await stage.log(stage.namespace.topics.triggers, kept.from)) {
        const [topic, generation, partition, offset, ordinal] = (record.headers.source ?? '').split(':');
        // One source partition's triggers go to several partitions of the topic: each pair has an order of its own.
        const source = `${topic}:${generation}:${partition}>${record.partition}`;
        const position: [number, number] = [Number(offset), Number(ordinal)];
        kept.from[record.partition] = record.offset + 1;
        if (!isAbove(position, kept.highest[source])) {
          kept.repeats += 1;
          continue;
        }
        kept.highest[source] = position;
        kept.counted.push((JSON.parse(record.value!.toString('utf8')) as { id: string }).id);
      }
      writeFileSync(file, JSON.stringify(kept));
    },
    counted: () => read(file).counted,
    repeats: () => read(file).repeats,
  };
}
