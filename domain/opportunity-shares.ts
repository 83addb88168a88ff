// Who has a share in an opportunity: a deep behaviour joins what the person has open, whichever part it came by.
import type { OpenOpportunity, OpportunityShare, OpportunityStage } from './buyer.ts';
import { laterStage } from './opportunity.ts';

/** Notes what a part brings to an opportunity, before it is added. What is all the buyer's own keeps no shares. */
export function share(
  opportunity: OpenOpportunity,
  part: number,
  stage: OpportunityStage,
  quality: number,
  timeMs: number,
): void {
  if (part === 0 && opportunity.shares.length === 0) return;
  if (opportunity.shares.length === 0) {
    const { stage: ownStage, updatedMs, quality: ownQuality } = opportunity;
    opportunity.shares.push({ part: 0, stage: ownStage, updatedMs, quality: ownQuality });
  }
  addShare(opportunity.shares, { part, stage, updatedMs: timeMs, quality });
}

function addShare(shares: OpportunityShare[], added: OpportunityShare): void {
  const known = shares.find(({ part }) => part === added.part);
  if (known === undefined) {
    shares.push(added);
    shares.sort((a, b) => a.part - b.part);
  } else Object.assign(known, togetherOf([known, added]));
}

/** The highest stage and quality, the latest time. */
export function togetherOf(
  shares: readonly OpportunityShare[],
): Pick<OpportunityShare, 'stage' | 'updatedMs' | 'quality'> {
  const { stage, updatedMs, quality } = shares.reduce((all, each) => ({
    part: 0,
    stage: laterStage(all.stage, each.stage),
    updatedMs: Math.max(all.updatedMs, each.updatedMs),
    quality: Math.max(all.quality, each.quality),
  }));
  return { stage, updatedMs, quality };
}

/** None if there is but the buyer's own. */
export function simplified(shares: readonly OpportunityShare[]): OpportunityShare[] {
  return shares.length === 1 && shares[0]!.part === 0 ? [] : [...shares];
}

/** The part's share becomes the buyer's own. */
export function ownShare(opportunity: OpenOpportunity, part: number): void {
  const shares: OpportunityShare[] = [];
  for (const each of opportunity.shares)
    addShare(shares, { ...each, part: each.part === part ? 0 : each.part });
  opportunity.shares = simplified(shares);
}
