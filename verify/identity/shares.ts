// Opportunities in which several parts have a share: taken over with a history, taken back with a link.
import type { MergeBase } from '../../domain/identity-record.ts';
import type { When } from '../facts.ts';
import type { Epoch } from '../in-force.ts';
import type { Life, Opportunity, Place } from '../life-state.ts';
import { byPart, close, makeRoom, say, shown } from '../opportunities.ts';

/** What the visitor had open is open here, under ids of this partition. */
export function takeOver(
  life: Life,
  taken: MergeBase['opportunities'],
  part: number,
  watermarkMs: number,
  when: When,
  epoch: Epoch,
  { walk, facts }: Place,
): void {
  taken.forEach(({ stage, updatedMs, quality, ...given }, number) => {
    makeRoom(life, watermarkMs, when, epoch, facts);
    const shares = [{ part, stage, updatedMs, quality }];
    const id = `${walk.partition}-${when.offset}.${number}`;
    const opportunity: Opportunity = { ...given, id, stage, updatedMs, quality, shares };
    life.opportunities.push(opportunity);
    say(life, opportunity, 'merged', watermarkMs, when, epoch, facts);
  });
}

/** The part's shares are gone, and what nobody else has a share in with them. */
export function dropShares(
  life: Life,
  part: number,
  watermarkMs: number,
  when: When,
  epoch: Epoch,
  { facts }: Place,
): void {
  for (const opportunity of [...life.opportunities]) {
    const left = opportunity.shares.filter((share) => share.part !== part);
    if (left.length === opportunity.shares.length) continue;
    if (left.length === 0) {
      close(life, opportunity, 'revoked', watermarkMs, when, epoch, facts);
      continue;
    }
    const { stage, quality } = opportunity;
    Object.assign(opportunity, shown(left), { shares: byPart(left) });
    if (opportunity.stage !== stage || opportunity.quality !== quality)
      say(life, opportunity, 'updated', watermarkMs, when, epoch, facts);
  }
}

/** The part's shares are the user's own for good. */
export function ownShares(life: Life, part: number): void {
  for (const opportunity of life.opportunities) {
    const own = opportunity.shares.map((share) => (share.part === part ? { ...share, part: 0 } : share));
    opportunity.shares = byPart(own);
  }
}
