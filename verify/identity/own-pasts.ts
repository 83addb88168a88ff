// A buyer to whom nothing came by a link, but funnels' pasts: lived through record by record as a user with links is, in the
// funnels whose pasts came.
import type { BackfillRecord } from '../../domain/identity-record.ts';
import { nothingKnown } from '../attributes.ts';
import { type FunnelSpan, funnelSpans } from '../in-force.ts';
import { isBehaved, type Judged } from '../judge.ts';
import type { Place } from '../life-state.ts';
import type { FunnelCounts } from '../steps.ts';
import type { At } from './happenings.ts';
import type { HeldBehaviour } from './held.ts';
import { type AtStep, arrive, type Ladder, openLadder, settlingDueMs, waitForSettling } from './ladder.ts';
import { rungOf, takeBackfill } from './pasts.ts';
import { PAST_OFFSET } from './rungs.ts';

/** A past, and the link that the visitor had when it came. */
export interface GivenPast extends At {
  readonly record: BackfillRecord;
  readonly link: { readonly sinceMs: number } | null;
}

export interface LivedWithPasts {
  /** Whether a past was of a revision in force: then there is a state. */
  readonly isKnown: boolean;
  readonly held: readonly HeldBehaviour[];
  /** The level that each of the pasts left counted aloud; undefined for one that changed nothing. */
  readonly aloud: readonly (number | undefined)[];
  /** Undefined for a funnel whose past did not come. */
  funnelOf(span: FunnelSpan): FunnelCounts | undefined;
}

type Happened = { readonly judged: Judged } | { readonly past: GivenPast; readonly number: number };

const indexOf = (happened: Happened): number =>
  'past' in happened ? happened.past.index : happened.judged.index;

/** @param isSilentAt whether a visitor says nothing of what happens to it then */
export function liveWithPasts(
  key: string,
  judged: readonly Judged[],
  pasts: readonly GivenPast[],
  place: Place,
  isSilentAt: Ladder['isSilentAt'] = () => false,
): LivedWithPasts {
  const { walk } = place;
  const named = new Set(pasts.map(({ record }) => `${record.funnel}:${record.revision}`));
  const spans = funnelSpans(walk.history).filter(({ id, revision }) => named.has(`${id}:${revision}`));
  const ladder: Ladder = { ...openLadder(key, place, nothingKnown), spans, isSilentAt };
  const aloud: (number | undefined)[] = pasts.map(() => undefined);
  let isKnown = false;
  const happened: Happened[] = [
    ...judged.map((each) => ({ judged: each })),
    ...pasts.map((past, number) => ({ past, number })),
  ].sort((a, b) => indexOf(a) - indexOf(b));
  for (const each of happened) {
    waitForSettling(ladder, indexOf(each));
    if ('judged' in each) {
      live(ladder, each.judged);
      continue;
    }
    const { index, offset, watermarkMs, record, link } = each.past;
    const at: AtStep = { index, offset, watermarkMs, epoch: walk.history.at(offset) };
    const rung = rungOf(ladder, record, at);
    isKnown ||= rung !== undefined;
    if (rung === undefined || rung.backfilled) continue;
    const own = (by: string): number | undefined => (by === '' ? 0 : undefined);
    aloud[each.number] = takeBackfill(ladder, rung, record, own, link ?? undefined, at);
  }
  waitForSettling(ladder, walk.gone - 1);
  const dueMs = settlingDueMs(ladder, walk.history.at(Number.MAX_SAFE_INTEGER));
  return {
    isKnown,
    held: ladder.held.map((each) => (each.offset === PAST_OFFSET ? { ...each, part: 0 } : each)),
    aloud,
    funnelOf({ id, revision }) {
      if (!named.has(`${id}:${revision}`)) return undefined;
      const counted = ladder.rungs.get(`${id}:${revision}`)?.counted ?? 0;
      const { latenessMs } = walk.history.at(Number.MAX_SAFE_INTEGER).settings;
      return {
        id,
        revision,
        counted,
        waitingMs: dueMs === undefined ? [] : [dueMs - latenessMs - 1],
        hasPast: true,
      };
    },
  };
}

function live(ladder: Ladder, own: Judged): void {
  if (own.verdict !== 'applied') return;
  ladder.known = own.known;
  if (!isBehaved(own)) return;
  const { index, offset, watermarkMs, epoch, timeMs, behaviour } = own;
  ladder.total += 1;
  ladder.firstMs = ladder.firstMs === 0 ? timeMs : Math.min(ladder.firstMs, timeMs);
  arrive(ladder, { timeMs, behaviour, offset, part: 0 }, { index, offset, watermarkMs, epoch }, true);
}
