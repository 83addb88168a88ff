// A visitor's history as records for its user's owner, in chunks of bounded size.
import { type Buyer, newBuyer, type VisitorLink } from './buyer.ts';
import type { MergeBase, MergeRecord } from './identity-record.ts';

/** What a new link hands over; a link that owns no history hands over one chunk with nothing in it. */
export function mergeRecords(
  state: Buyer,
  link: Pick<VisitorLink, 'id' | 'user'>,
  ownsHistory: boolean,
  chunkSize: number,
): Omit<MergeRecord, 'origin'>[] {
  const given = ownsHistory ? state : newBuyer(state.key);
  const chunks = Math.max(1, Math.ceil(given.behaviours.length / chunkSize));
  return Array.from({ length: chunks }, (_, chunk) => ({
    kind: 'merge',
    key: link.user,
    link: link.id,
    visitor: state.key,
    chunk,
    chunks,
    ...(chunk === 0 ? { base: baseOf(given, ownsHistory) } : {}),
    behaviours: given.behaviours
      .slice(chunk * chunkSize, (chunk + 1) * chunkSize)
      .map(({ timeMs, behaviour }): [number, string] => [timeMs, behaviour]),
  }));
}

function baseOf(state: Buyer, history: boolean): MergeBase {
  const { firstMs, lastMs, country, industry, channel, level, company, engagement, totals } = state;
  const { visitDays, stage, maturedMs, exposures, overflow } = state;
  return {
    history,
    firstMs,
    lastMs,
    country,
    industry,
    channel,
    level,
    company,
    engagement,
    totals,
    visitDays,
    stage,
    maturedMs,
    opportunities: state.opportunities.map(({ id: _id, shares: _shares, ...open }) => open),
    exposures,
    counted: state.funnels
      .filter(({ counted }) => counted > 0)
      .map(({ id: funnel, revision, counted }) => ({ funnel, revision, level: counted })),
    overflow,
  };
}
