// What a visitor's owner hands over with the first chunk of a history, as the log makes it.
import type { MergeBase } from '../../domain/identity-record.ts';
import type { Person } from '../person.ts';
import { heldVisitDays } from './held.ts';

const nothing = { firstMs: 0, lastMs: 0, stage: null, maturedMs: 0, overflow: false };
const nobody = { country: null, industry: null, channel: null, level: null, company: null };

/** All empty if the link does not own the history. `overflow` is not worked out: it is false. */
export function historyOf(
  { life, behaved, exposures, engagement, funnels }: Person,
  history: boolean,
  watermarkMs: number,
): MergeBase {
  if (!history) {
    const lists = {
      engagement: [],
      totals: [],
      visitDays: [],
      opportunities: [],
      exposures: [],
      counted: [],
    };
    return { history, ...nothing, ...nobody, ...lists };
  }
  const { firstMs, lastMs, stage, maturedMs, totals, opportunities, known } = life;
  return {
    history,
    firstMs,
    lastMs,
    ...known,
    engagement: engagement.map(({ halfLifeMs, sums }) => ({
      halfLifeMs,
      // The reference of sums is the stream's own: here they stand at the watermark.
      referenceMs: watermarkMs,
      sums: sorted([...sums]).map(([behaviour, sum]) => ({ behaviour, sum })),
    })),
    totals: sorted([...totals]).map(([behaviour, count]) => ({ behaviour, count })),
    visitDays: heldVisitDays(behaved),
    stage,
    maturedMs,
    opportunities: opportunities.map(({ id: _id, shares: _shares, ...open }) => open),
    exposures: [...exposures.values()],
    counted: funnels
      .filter(({ counted }) => counted > 0)
      .map(({ id: funnel, revision, counted }) => ({ funnel, revision, level: counted }))
      .sort((a, b) => (a.funnel < b.funnel ? -1 : 1)),
    overflow: false,
  };
}

function sorted<Value>(entries: [string, Value][]): [string, Value][] {
  return entries.sort(([a], [b]) => (a < b ? -1 : 1));
}
