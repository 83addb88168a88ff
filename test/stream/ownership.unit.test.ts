// Partitions come, go and come again while they are taken over: each has one owner, the one of its latest assignment, which is read.
import { expect, it, vi } from 'vitest';
import { namespaceOf } from '../../platform/namespace.ts';
import type { Owner, OwnerEnd, Unread } from '../../stream/owner.ts';
import { createOwnership } from '../../stream/ownership.ts';
import type { TopicPartition } from '../../stream/source.ts';
import { type TakenOver, TakeOverError } from '../../stream/take-over.ts';

const namespace = namespaceOf('ownership');
const given = (partition: number): TopicPartition => ({ topic: namespace.topics.events, partition });

/** The end of an owner, as the test says. */
interface Made {
  readonly partition: TopicPartition;
  readonly readFrom: number;
  /** What it was told that it does not read. */
  readonly notes: Unread[];
  /** Where it was told that the log ends. */
  readonly logEnds: number[];
  end(how: OwnerEnd): void;
}

/** @param backlog how many messages wait in each owner */
function world(backlog = 0) {
  const ours = new Set<TopicPartition>();
  const made: Made[] = [];
  const restarted: [TopicPartition, number][] = [];
  const fatal: Error[] = [];
  const clock = { nowMs: 1_000 };
  let first = async (from: number): Promise<number> => from + 2;
  let attempts = 0;
  let take = async (_partition: TopicPartition): Promise<number> => 7;
  const ownership = createOwnership({
    namespace,
    admin: { watermarks: async () => Array.from({ length: 12 }, () => ({ low: 0, high: 90 })) },
    source: () => ({
      isAssigned: (partition) => ours.has(partition),
      afterNextPoll: async () => {},
      restart: async (partition, offset) => void restarted.push([partition, offset]),
    }),
    async takeOver(partition) {
      attempts += 1;
      return { readFrom: await take(partition) } as TakenOver;
    },
    firstRecord: (_partition, from) => first(from),
    ownerOf({ readFrom }, partition) {
      let end = (_how: OwnerEnd): void => {};
      const ended = new Promise<OwnerEnd>((resolve) => {
        end = resolve;
      });
      const notes: Unread[] = [];
      const logEnds: number[] = [];
      made.push({ partition, readFrom, notes, logEnds, end });
      const id = { topic: 'events', generation: 1, partition: partition.partition };
      const stop = async () => end('stopped');
      return {
        ended,
        stop,
        giveUp: () => end('failed'),
        work: { id },
        expected: readFrom,
        backlog,
        noteUnread: (unread: Unread) => void notes.push(unread),
        noteLogEnd: (offset: number) => void logEnds.push(offset),
        get unread() {
          return notes.at(-1);
        },
      } as unknown as Owner;
    },
    takeOverFailed: () => {},
    sourceFailed: (error) => fatal.push(error),
    fatal: (error) => fatal.push(error),
    log: () => {},
    now: () => clock.nowMs,
  });
  return {
    ours,
    made,
    restarted,
    fatal,
    ownership,
    clock,
    attempts: () => attempts,
    firsts: (next: typeof first) => {
      first = next;
    },
    takes: (next: typeof take) => {
      take = next;
    },
  };
}

it('does not wait for one that can not be taken over, and reads it when it can', async () => {
  const { ours, ownership, restarted, takes } = world();
  const [good, bad] = [given(1), given(2)];
  for (const each of [good, bad]) ours.add(each);
  let isBroken = true;
  takes(async (partition) => {
    if (isBroken && partition === bad) throw new Error('not yet');
    return 7;
  });
  expect(await ownership.assigned([good, bad])).toEqual([{ ...good, offset: 7 }]);
  expect(restarted).toEqual([]);
  isBroken = false;
  await vi.waitFor(() => expect(restarted).toEqual([[bad, 7]]), 3_000);
  expect(ownership.all()).toHaveLength(2);
});

it('makes no owner of what was taken back meanwhile, nor of the assignment before', async () => {
  const { ours, ownership, made, takes } = world();
  const [before, after] = [given(3), given(3)];
  ours.add(before);
  let answer: ((offset: number) => void) | undefined;
  takes(() => new Promise((resolve) => (answer = resolve)));
  const first = ownership.assigned([before]);
  await vi.waitFor(() => expect(answer).toBeDefined());
  ours.delete(before);
  await ownership.revoked([before]);
  ours.add(after);
  const slow = answer;
  takes(async () => 9);
  expect(await ownership.assigned([after])).toEqual([{ ...after, offset: 9 }]);
  slow!(8);
  expect(await first).toEqual([]);
  expect(made.map(({ partition, readFrom }) => [partition === after, readFrom])).toEqual([[true, 9]]);
  expect(ownership.all()).toHaveLength(1);
});

it.each(['fenced', 'failed', 'to be rewound'] as const)(
  'an owner that was %s is followed by another',
  async (how) => {
    const { ours, ownership, made, restarted } = world();
    const partition = given(4);
    ours.add(partition);
    await ownership.assigned([partition]);
    made[0]!.end(how);
    await vi.waitFor(() => expect(restarted).toEqual([[partition, 7]]), 3_000);
    expect(ownership.all()).toHaveLength(1);
  },
);

it('whoever reads nothing is followed by one that begins at the next record there is', async () => {
  const { ours, ownership, made, restarted } = world();
  const partition = given(5);
  ours.add(partition);
  await ownership.assigned([partition]);
  await ownership.lookForStalls();
  await ownership.lookForStalls();
  await vi.waitFor(() => expect(restarted).toEqual([[partition, 9]]), 3_000);
  expect(made.map(({ readFrom }) => readFrom)).toEqual([7, 9]);
  // It knows since when nothing is read.
  expect(made[1]!.notes).toEqual([{ expected: 7, sinceMs: 1_000 }]);
});

it('whoever reads nothing is told, by where it reads on and since when', async () => {
  const { ours, ownership, made, clock } = world();
  const partition = given(5);
  ours.add(partition);
  await ownership.assigned([partition]);
  const { notes } = made[0]!;
  await ownership.lookForStalls();
  expect(notes).toEqual([]);
  for (const nowMs of [11_000, 21_000]) {
    clock.nowMs = nowMs;
    await ownership.lookForStalls();
  }
  expect(notes[0]).toEqual({ expected: 7, sinceMs: 11_000 });
  expect(notes[1] ?? notes[0]).toMatchObject({ sinceMs: 11_000 });
});

it('whoever has enough to do, and reads no further, is told all the same where the log ends', async () => {
  const { ours, ownership, made } = world(24_001);
  const partition = given(5);
  ours.add(partition);
  await ownership.assigned([partition]);
  await ownership.lookForStalls();
  await ownership.lookForStalls();
  expect(made.map(({ notes, logEnds }) => [notes, logEnds])).toEqual([[[], [90, 90]]]);
});

it('asks for the log’s end again before it says that the state is ahead of it', async () => {
  const { ours, ownership, takes, attempts, fatal } = world();
  const partition = given(6);
  ours.add(partition);
  // The owner before committed what came after the first question.
  takes(async () => {
    if (attempts() === 1) throw new TakeOverError('OFFSET_AHEAD', 'another log');
    return 7;
  });
  expect(await ownership.assigned([partition])).toEqual([{ ...partition, offset: 7 }]);
  expect(fatal).toEqual([]);
});

it('looks up the next record there is until the log answers', async () => {
  const { ours, ownership, restarted, firsts } = world();
  const partition = given(5);
  ours.add(partition);
  await ownership.assigned([partition]);
  let asked = 0;
  firsts(async (from) => {
    asked += 1;
    if (asked === 1) throw new Error('Kafka is away');
    return from + 2;
  });
  await ownership.lookForStalls();
  await ownership.lookForStalls();
  await vi.waitFor(() => expect(restarted).toEqual([[partition, 9]]), 3_000);
  expect(asked).toBe(2);
});

it('does not look while a rebalance is under way, nor compare with what was before it', async () => {
  const { ours, ownership, made, takes } = world();
  const [there, coming] = [given(5), given(6)];
  for (const each of [there, coming]) ours.add(each);
  await ownership.assigned([there]);
  await ownership.lookForStalls();
  let answer: ((offset: number) => void) | undefined;
  takes(() => new Promise((resolve) => (answer = resolve)));
  const assigning = ownership.assigned([coming]);
  await vi.waitFor(() => expect(answer).toBeDefined());
  await ownership.lookForStalls();
  answer!(7);
  await assigning;
  await ownership.lookForStalls();
  expect(made.map(({ notes }) => notes)).toEqual([[], []]);
  expect(made).toHaveLength(2);
});

it('stops trying when it is closed, and where state and log do not belong together', async () => {
  const { ours, ownership, fatal, takes, attempts } = world();
  const partition = given(6);
  ours.add(partition);
  takes(async () => {
    throw new TakeOverError('LOG_LOST', 'gone');
  });
  expect(await ownership.assigned([partition])).toEqual([]);
  expect(fatal).toHaveLength(1);
  const after = attempts();
  await new Promise((resolve) => setTimeout(resolve, 700));
  expect(attempts()).toBe(after);
  const closing = world();
  closing.ours.add(partition);
  closing.takes(async () => {
    throw new Error('not yet');
  });
  await closing.ownership.assigned([partition]);
  // The first of those that are made again and again, half a second apart.
  await vi.waitFor(() => expect(closing.attempts()).toBeGreaterThan(1));
  await closing.ownership.close();
  const last = closing.attempts();
  await new Promise((resolve) => setTimeout(resolve, 1_700));
  expect(closing.attempts()).toBe(last);
});
