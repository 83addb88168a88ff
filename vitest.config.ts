// `unit` needs nothing but this process; `ops` starts stacks of its own; `stack` shares one real Kafka, Redis and ClickHouse per run:
// each file has a namespace of its own. Three files at a time, of whichever kind: much of their time is waiting.

import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Tests that touch no server. */
const UNIT = ['test/domain/**/*.test.ts', 'test/**/*.unit.test.ts'];
const OPS = ['test/ops/**/*.test.ts'];
/** Goes through whole data sets: a process of its own, begun early, for it takes as long as the rest of `unit`. */
const SETS = ['test/simulate/readers.contract.unit.test.ts'];

/** Files of a minute and more, the longest first: one that begins last would run alone at the end. */
const LONG = [
  'bugs',
  'webhooks',
  'replay-figures',
  'failpoints-linked',
  'faults',
  'same-bytes',
  'failpoints',
  'readers.contract',
  'funnel-backfill',
  'schemathesis',
  'control',
  'planted',
  'up',
  'ops/stack',
  'owners',
  'external-parts',
].map((name) => `/${name}.test.ts`);

class LongFilesFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const placeOf = ({ moduleId }: TestSpecification): number => {
      const place = LONG.findIndex((end) => moduleId.endsWith(end));
      return place === -1 ? LONG.length : place;
    };
    const sorted = await super.sort(files);
    return sorted.sort((one, other) => placeOf(one) - placeOf(other));
  }
}

export default defineConfig({
  test: {
    maxWorkers: 3,
    sequence: { sequencer: LongFilesFirst },
    projects: [
      {
        test: {
          name: 'unit',
          include: UNIT,
          exclude: SETS,
          // They keep nothing in modules, and to load the modules anew for each file takes as long as to run it.
          isolate: false,
          testTimeout: 120_000,
        },
      },
      { test: { name: 'sets', include: SETS } },
      {
        test: {
          name: 'ops',
          include: OPS,
          exclude: UNIT,
          testTimeout: 180_000,
          hookTimeout: 240_000,
        },
      },
      {
        test: {
          name: 'stack',
          include: ['test/**/*.test.ts'],
          exclude: [...UNIT, ...OPS],
          globalSetup: ['test/setup/stack.ts'],
          testTimeout: 180_000,
          hookTimeout: 240_000,
        },
      },
    ],
  },
});
