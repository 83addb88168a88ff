// A company: what its members did together, in silence. No time passes for it by itself: what waits settles when a
// member does something.

import type { MemberRecord } from '../../domain/identity-record.ts';
import type { EventsTopicRecord } from '../../domain/record.ts';
import { statedBy, together } from '../attributes.ts';
import { noFacts } from '../facts.ts';
import { newLife } from '../life-state.ts';
import type { Person } from '../person.ts';
import type { Walk } from '../watermark.ts';
import { type Gathering, gatherBehaviour, gatherExposure, nothingGathered, sumsAt } from './gathering.ts';
import type { Happening } from './happenings.ts';
import { type AtStep, arrive, funnelsOf, openLadder, waitForSettling } from './ladder.ts';

export function companyOf(
  key: string,
  happenings: readonly Happening[],
  walk: Walk<EventsTopicRecord>,
): Person {
  const gathered = nothingGathered();
  const ladder = openLadder(key, { walk, facts: noFacts() }, gathered.known);
  for (const happening of happenings) {
    if (happening.kind === 'exposure') gatherExposure(gathered, happening.record);
    if (happening.kind !== 'member') continue;
    const { index, offset, watermarkMs, record } = happening;
    const at: AtStep = { index, offset, watermarkMs, epoch: walk.history.at(offset) };
    gather(gathered, record, at);
    if (record.behaviour === '') continue;
    waitForSettling(ladder, index);
    ladder.total += 1;
    const { timestamp: timeMs, behaviour } = record;
    arrive(ladder, { timeMs, behaviour, offset, part: 0 }, at, false);
  }
  const { firstMs, lastMs, known, totals } = gathered;
  const life = { ...newLife(key), firstMs, lastMs, known, totals };
  const isKnown = happenings.some(({ kind }) => kind === 'member' || kind === 'exposure');
  return {
    key,
    isKnown,
    judged: [],
    behaved: [],
    seen: [],
    settledEarly: new Map(),
    life,
    funnels: [],
    engagement: sumsAt(gathered, walk.watermarkMs),
    visitDays: new Set(),
    exposures: gathered.exposures,
    dueMs: undefined,
    links: null,
    linked: {
      life,
      gathered,
      parts: [],
      nextPart: 1,
      arriving: [],
      held: ladder.held,
      funnels: funnelsOf(ladder),
    },
  };
}

function gather(gathered: Gathering, record: MemberRecord, { epoch }: AtStep): void {
  const { attributes, behaviour, timestamp } = record;
  if (attributes !== undefined) {
    gathered.known = together(gathered.known, statedBy(attributes, record));
  }
  if (behaviour !== '') gatherBehaviour(gathered, behaviour, timestamp, epoch.halfLivesMs);
}
