// A batch through the fold: what was fetched ahead gives the same states as what was loaded record by record, and who is
// stopped before its turn has folded nothing.
import { readdirSync, readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { type DefinitionType, readDocument } from '../../domain/definition.ts';
import { arrange, type KeptDefinition } from '../../domain/in-force.ts';
import { benchDefinitions, workloadMessages } from '../../loadtest/bench/workload.ts';
import { partitionKeys } from '../../platform/keys.ts';
import { namespaceOf } from '../../platform/namespace.ts';
import type { RedisClient } from '../../platform/redis.ts';
import { verdictAt } from '../../stream/batch.ts';
import { noBugs } from '../../stream/bugs.ts';
import type { Message } from '../../stream/decode.ts';
import { createFolder } from '../../stream/folder.ts';
import { createGates } from '../../stream/gates.ts';
import { createLoader } from '../../stream/loading.ts';
import { MessageQueue } from '../../stream/message-queue.ts';
import { emptyHead } from '../../stream/state.ts';
import { createWaitingTriggers } from '../../stream/triggers.ts';
import { createWindows } from '../../stream/windows.ts';
import { createWork } from '../../stream/work.ts';
import { noCounters } from './support/no-counters.ts';

const id = { topic: 'events', generation: 1, partition: 4 } as const;
const keys = partitionKeys(namespaceOf('folder'), id);
const endMs = Date.UTC(2026, 0, 1);
const quiet = async (): Promise<void> => {};

function definitions(): KeptDefinition[] {
  const shipped = ['behaviours', 'lifecycle', 'opportunity', 'settings', 'trigger'].flatMap((type) =>
    readdirSync(`definitions/${type}`).map((file): [string, unknown] => [
      `${type}/${file.replace('.json', '')}`,
      JSON.parse(readFileSync(`definitions/${type}/${file}`, 'utf8')),
    ]),
  );
  return [...shipped, ...Object.entries(benchDefinitions())].map(([name, document], index) => {
    const [type, own] = name.split('/') as [DefinitionType, string];
    const common = { revision: 1, hash: '', epoch: index + 1, sinceMs: 0 };
    return { type, id: own, document: readDocument(type, document), ...common } as KeptDefinition;
  });
}

/** What one partition gets of 40,000 events of 2,000 buyers. */
function messagesOfWorkload(): Message[] {
  const workload = { events: 40_000, eventsPerBuyer: 20, endMs, spanMs: 43_200_000, seed: 7 };
  return [...workloadMessages('events', workload)]
    .filter(({ partition }) => partition === id.partition)
    .map(({ key, value }, offset) => {
      const bytes = Buffer.from(value as string);
      return { ...id, offset, key: key as string, value: bytes, appendMs: endMs, size: bytes.length };
    });
}

/** A partition whose states are in memory as bytes, and what was asked of them. */
function partition(kept: readonly KeptDefinition[], batchMax: number) {
  const blobs = new Map<string, Buffer>();
  const timers = new Map<string, number>();
  const asked: string[][] = [];
  const redis = {
    mgetBuffer: async (names: string[]) => {
      asked.push(names);
      return names.map((name) => blobs.get(name) ?? null);
    },
    zrange: async (_key: string, _from: number, last: string) =>
      [...timers]
        .sort(([a, dueA], [b, dueB]) => dueA - dueB || Buffer.from(a).compare(Buffer.from(b)))
        .slice(0, Number(last) + 1)
        .flatMap(([key, dueMs]) => [key, String(dueMs)]),
  } as unknown as RedisClient;
  const work = createWork({
    id,
    head: { ...emptyHead(), nonce: 'n', seq: 0 },
    inForce: { kept, definitions: arrange(kept) },
    windows: createWindows(),
    triggers: createWaitingTriggers(),
    counters: noCounters,
  });
  const loader = createLoader(work, redis, keys);
  const gates = createGates();
  const limits = { batchMax, batchBytesMax: 10_000_000, batchKeysMax: 500 } as Parameters<
    typeof createFolder
  >[2]['limits'];
  const parts = { limits, bugs: noBugs, live: { begin: () => undefined }, turn: async () => {}, gates };
  const folder = createFolder(work, loader, parts);
  return {
    work,
    folder,
    gates,
    asked,
    async run(messages: readonly Message[]) {
      let objectsMax = 0;
      const waiting = new MessageQueue();
      for (let from = 0; from < messages.length; from += 300) waiting.push(messages.slice(from, from + 300));
      while (waiting.length > 0) {
        const { fold, folded } = (await folder.fold(waiting, null, () => false, quiet))!;
        for (const key of work.changed) blobs.set(keys.buyer(key), Buffer.from(work.states.bytesOf(key)));
        work.changed.clear();
        for (const [key, dueMs] of fold.timers.changes()) timers.set(key, dueMs);
        for (const [key, dueMs] of timers) if (dueMs === 0) timers.delete(key);
        objectsMax = Math.max(objectsMax, work.states.size);
        loader.keep(10, 1_000_000);
        waiting.drop(folded);
      }
      return {
        objectsMax,
        states: [...blobs].map(([name, blob]) => `${name} ${blob.toString('hex')}`).sort(),
        timers,
      };
    },
  };
}

describe('a batch', () => {
  const kept = definitions();
  let messages: Message[] = [];
  beforeAll(() => {
    messages = messagesOfWorkload();
  });

  it('of many records comes to the same states and timers as batches of few, and asks for them at once', async () => {
    expect(messages.length).toBeGreaterThan(2_500);
    const few = partition(kept, 100);
    const many = partition(kept, 1_000);
    const expected = await few.run(messages);
    const got = await many.run(messages);
    expect(expected.timers.size).toBeGreaterThan(50);
    expect(many.work.head).toEqual(few.work.head);
    expect([got.states, got.timers]).toEqual([expected.states, expected.timers]);
    // Who comes no more is no object for the rest of the batch.
    expect(got.objectsMax).toBeLessThan(got.states.length / 2);
    expect(many.asked.length).toBeLessThan(few.asked.length / 3);
  });

  // Markers of somebody's transaction: the partition stood still at the first of them.
  it('goes on behind offsets that hold no record, which come to nothing, and stops where it is held', async () => {
    const { folder, work } = partition(kept, 1_000);
    const waiting = new MessageQueue();
    const holes = messages.slice(0, 8).map((message, index) => ({ ...message, offset: 2 + 2 * index }));
    waiting.push(holes);
    const { fold, folded, skipped } = (await folder.fold(waiting, 9, () => false, quiet))!;
    expect([folded, skipped, work.head.offset]).toEqual([4, 5, 9]);
    const { from, to } = fold.batch;
    expect([from, to]).toEqual([0, 8]);
    // By which the log is known again when it is taken over; held before offset 9, it has a record at 8.
    expect(work.head.last).toEqual({ offset: 8, appendMs: endMs });
    const verdicts = Array.from({ length: 9 }, (_, offset) => verdictAt(fold.batch, offset).verdict);
    expect(verdicts.map((verdict, offset) => verdict === 'applied' && offset).filter(Boolean)).toEqual([
      2, 4, 6, 8,
    ]);
    waiting.drop(folded);
    await folder.fold(waiting, 10, () => false, quiet);
    expect([work.head.offset, work.head.last?.offset]).toEqual([10, 8]);
    await folder.fold(waiting, null, () => false, quiet);
    expect(work.head.offset).toBe(17);
  });

  it('is not folded by an owner that was stopped while it waited for another one’s', async () => {
    const { folder, gates, work, asked } = partition(kept, 1_000);
    let isStopped = false;
    let end = (): void => {};
    const other = gates.fold(
      () =>
        new Promise<void>((resolve) => {
          end = resolve;
        }),
    );
    const waiting = new MessageQueue();
    waiting.push(messages);
    const folding = folder.fold(waiting, null, () => isStopped, quiet);
    await expect.poll(() => asked.length).toBeGreaterThan(0);
    isStopped = true;
    end();
    await other;
    expect(await folding).toBeUndefined();
    expect(waiting.length).toBe(messages.length);
    expect(work.head.offset).toBe(0);
    expect(work.changed.size).toBe(0);
  });
});
