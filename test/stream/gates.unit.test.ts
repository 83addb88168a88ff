// Who is let in at a gate: few at a time, in order, and one more when those inside are held up.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createGate, createGates, type Gate } from '../../stream/gates.ts';

const STALL_MS = 1_000;

/** Calls of a gate that end when they are told to. */
function visitors(most: number, gate: Gate = createGate(most, STALL_MS)) {
  const inside: string[] = [];
  const ends = new Map<string, (error?: Error) => void>();
  return {
    inside,
    come: (name: string): Promise<string> =>
      gate(
        () =>
          new Promise((resolve, reject) => {
            inside.push(name);
            ends.set(name, (error) => (error === undefined ? resolve(name) : reject(error)));
          }),
      ),
    async end(name: string, error?: Error): Promise<void> {
      ends.get(name)!(error);
      await settled();
    },
  };
}

/** When all that waited for nothing but each other has gone on. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
}

describe('a gate', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('lets so many in, the others in the order in which they came', async () => {
    const { inside, come, end } = visitors(2);
    const all = ['a', 'b', 'c', 'd'].map(come);
    await settled();
    expect(inside).toEqual(['a', 'b']);
    await end('b');
    expect(inside).toEqual(['a', 'b', 'c']);
    await end('a');
    expect(inside).toEqual(['a', 'b', 'c', 'd']);
    await end('c');
    await end('d');
    expect(await Promise.all(all)).toEqual(['a', 'b', 'c', 'd']);
    expect(vi.getTimerCount()).toBe(0);
  });

  it.each(['prepare', 'fold'] as const)(
    'of the stream (%s) lets one more in after a second',
    async (name) => {
      const gates = createGates();
      const { inside, come, end } = visitors(1, gates[name]);
      const all = ['a', 'b', 'c'].map(come);
      await settled();
      const before = inside.length;
      expect(before).toBeLessThan(3);
      await vi.advanceTimersByTimeAsync(1_000);
      expect(inside).toHaveLength(before + 1);
      // Until all are in.
      await vi.advanceTimersByTimeAsync(1_000);
      for (const each of ['a', 'b', 'c']) await end(each);
      expect(await Promise.all(all)).toEqual(['a', 'b', 'c']);
    },
  );

  it('is left by who fails, too, who hears of it alone', async () => {
    const { inside, come, end } = visitors(1);
    const failing = expect(come('a')).rejects.toThrow('broken');
    const next = come('b');
    await settled();
    await end('a', new Error('broken'));
    await failing;
    expect(inside).toEqual(['a', 'b']);
    await end('b');
    expect(await next).toBe('b');
  });

  it('has room for one more each time that nobody leaves for too long, until nobody waits', async () => {
    const { inside, come, end } = visitors(1);
    const all = ['a', 'b', 'c', 'd', 'e'].map(come);
    await settled();
    await vi.advanceTimersByTimeAsync(STALL_MS - 1);
    expect(inside).toEqual(['a']);
    await vi.advanceTimersByTimeAsync(1);
    expect(inside).toEqual(['a', 'b']);
    // The first one is held up still, and the others pass it by one after the other.
    await end('b');
    expect(inside).toEqual(['a', 'b', 'c']);
    await vi.advanceTimersByTimeAsync(STALL_MS);
    expect(inside).toEqual(['a', 'b', 'c', 'd']);
    await end('c');
    expect(inside).toEqual(['a', 'b', 'c', 'd', 'e']);
    const late = come('f');
    await end('d');
    await end('e');
    expect(inside).not.toContain('f');
    await end('a');
    expect(inside).toContain('f');
    await end('f');
    await Promise.all([...all, late]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('counts from when the last one left', async () => {
    const { inside, come, end } = visitors(1);
    for (const name of ['a', 'b', 'c']) void come(name);
    await settled();
    await vi.advanceTimersByTimeAsync(STALL_MS - 1);
    await end('a');
    await vi.advanceTimersByTimeAsync(STALL_MS - 1);
    expect(inside).toEqual(['a', 'b']);
    await vi.advanceTimersByTimeAsync(1);
    expect(inside).toEqual(['a', 'b', 'c']);
  });
});
