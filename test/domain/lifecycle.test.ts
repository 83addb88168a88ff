// The borders of the lifecycle's stages.
import { expect, it } from 'vitest';
import { lifecycle } from '../../domain/definition.ts';
import { type ActiveBuyer, churnDueMs, stageAfterActivity } from '../../domain/lifecycle.ts';

const definition = lifecycle.parse({ matureCount: 2, retainedAfterMs: 1_000, churnedAfterMs: 500 });

function buyer(own: Partial<ActiveBuyer>): ActiveBuyer {
  return { stage: null, lastMs: 0, maturedMs: 0, totals: [], ...own };
}

it('the first behaviour makes a buyer new, also one that could be mature at once', () => {
  const totals = [{ behaviour: 'order', count: 9 }];
  expect(stageAfterActivity(buyer({ totals }), definition)).toEqual({ to: 'new', reason: 'first' });
});

it('deep behaviours of all kinds count together, shallow ones not at all', () => {
  const withTotals = (totals: ActiveBuyer['totals']) =>
    stageAfterActivity(buyer({ stage: 'new', totals }), definition);
  expect(
    withTotals([
      { behaviour: 'contact', count: 1 },
      { behaviour: 'view', count: 99 },
    ]),
  ).toBeNull();
  expect(
    withTotals([
      { behaviour: 'contact', count: 1 },
      { behaviour: 'order', count: 1 },
    ]),
  ).toEqual({ to: 'mature', reason: 'matured' });
});

it('mature becomes retained at exactly the asked time, not a millisecond before', () => {
  const at = (lastMs: number) =>
    stageAfterActivity(buyer({ stage: 'mature', maturedMs: 10_000, lastMs }), definition);
  expect(at(10_999)).toBeNull();
  expect(at(11_000)).toEqual({ to: 'retained', reason: 'retained' });
});

it('who comes back is retained if it was ever mature, else new', () => {
  const back = (maturedMs: number) =>
    stageAfterActivity(buyer({ stage: 'churned', maturedMs }), definition)?.to;
  expect([back(0), back(1)]).toEqual(['new', 'retained']);
});

it('absence is waited for in every living stage, and in no other', () => {
  const due = (stage: ActiveBuyer['stage']) => churnDueMs(buyer({ stage, lastMs: 100 }), definition);
  expect((['new', 'mature', 'retained'] as const).map(due)).toEqual([600, 600, 600]);
  expect([due(null), due('churned')]).toEqual([0, 0]);
});
