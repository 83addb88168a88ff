// The levels of a buyer's answer against what the stream itself makes of the same records.
import { expect, it } from 'vitest';
import type { FunnelDefinition } from '../../domain/definition.ts';
import { answerOf } from '../../serve/buyers/buyer-answer.ts';
import { backfillsOf } from '../stream/support/engine-pasts.ts';
import {
  documentOf,
  everywhere,
  FUNNEL,
  MINUTE_MS,
  open,
  others,
  START_MS,
  settings,
  track,
} from '../stream/support/funnel-world.ts';
import { definitionValue } from '../stream/support/partition.ts';

// All of it is within lateness, so that nothing is settled: what was done before the funnel's record was told as steps of it, and
// was gone from the level with the next record that came.
it('a new funnel has no level by what came before its record, until its past is known', () => {
  const engine = open(true);
  const document: FunnelDefinition = documentOf('default');
  const inForce = { id: FUNNEL, revision: 1, hash: '', document };
  const did = (event: string, minute: number) =>
    engine.run([track('u:one', event, START_MS + minute * MINUTE_MS, 'DE', `${event}-${minute}`)]);
  const told = () => {
    const buyer = engine.of('u:one').buyer('u:one')!;
    const [funnel] = answerOf(buyer, 0, START_MS, [inForce], []).funnels;
    return [funnel!.level, funnel!.settledLevel, funnel!.counted];
  };
  engine.run(others.flatMap(everywhere));
  did('view', 0);
  did('contact', 1);
  did('order', 2);
  const bounds = engine.partitions.map(({ head }) => head.offset);
  engine.run(everywhere(definitionValue('funnel', FUNNEL, 1, document)));
  const past = backfillsOf(engine, inForce, settings, bounds);
  expect(told()).toEqual([0, 0, 0]);
  did('view', 3);
  expect(told()).toEqual([1, 0, 1]);
  did('contact', 4);
  expect(told()).toEqual([2, 0, 2]);
  // All but the last settles, by what the funnel sees.
  did('search', 30);
  expect(told()).toEqual([2, 2, 2]);
  engine.run(past);
  expect(told()).toEqual([3, 3, 3]);
});
