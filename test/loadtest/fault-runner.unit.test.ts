// A fault that cannot be done is a result of its own, and takes none of those behind it along.
import { expect, it } from 'vitest';
import { type Fault, NotHereError } from '../../loadtest/faults/fault.ts';
import { runFaults } from '../../loadtest/faults/runner.ts';

const addresses = {
  kafkaBrokers: '127.0.0.1:1',
  redisUrl: 'redis://127.0.0.1:1',
  clickhouseUrl: 'http://127.0.0.1:1',
};

function faultOf(name: string, change: Partial<Fault>): Fault {
  return { name, title: name, run: async () => [], ...change };
}

const refused = faultOf('no-mount', {
  ownParts: true,
  prepare: async () => {
    throw new NotHereError('a tmpfs cannot be mounted here');
  },
});
const unprepared = faultOf('no-folder', {
  ownParts: true,
  prepare: async () => {
    throw new Error('no space left');
  },
});
const unopened = faultOf('no-arena', {
  open: async () => {
    throw new Error('serve ended (1) before it was ready');
  },
});

it('what this machine cannot do is skipped, what does not begin has failed, and the next is run', async () => {
  const told: string[] = [];
  const kept: string[] = [];
  const results = await runFaults({
    faults: [refused, unprepared, unopened],
    seeds: [1, 2],
    kills: 1,
    addresses,
    print: (line) => told.push(line),
    onResult: async ({ fault, seed }) => void kept.push(`${fault} ${seed}`),
  });
  expect(results.map(({ fault, seed, outcome }) => `${fault} ${seed} ${outcome}`)).toEqual([
    'no-mount 1 skipped',
    'no-folder 1 failed',
    'no-arena 1 failed',
    'no-mount 2 skipped',
    'no-folder 2 failed',
    'no-arena 2 failed',
  ]);
  expect(kept).toHaveLength(6);
  expect(results[0]!.faults).toEqual(['a tmpfs cannot be mounted here']);
  expect(told).toContain('  failed: serve ended (1) before it was ready');
});

it('what was prepared for a fault that did not begin is cleared away', async () => {
  let cleared = 0;
  const prepared = faultOf('no-arena', {
    prepare: async () => async () => {
      cleared += 1;
    },
    open: async () => {
      throw new Error('not ready');
    },
  });
  await runFaults({ faults: [prepared], seeds: [1], kills: 1, addresses, print: () => {} });
  expect(cleared).toBe(1);
});
