// How a link stands: what the visitor's owner and the user's owner know of it, put together. Pure.
import type { Buyer, BuyerPart, LifecycleStage } from '../../domain/buyer.ts';
import type { Settings } from '../../domain/definition.ts';
import { levelOf } from '../../domain/funnel-levels.ts';
import type { BuyerReading } from '../state.ts';
import type { LinkId } from './link-id.ts';

export type LinkStatus = 'active' | 'superseded' | 'revoked' | 'expired';

/** What the visitor's owner says of a link. */
export interface KnownLink {
  readonly id: string;
  readonly user: string;
  readonly status: LinkStatus;
  /** The visitor's watermark at its record; 0 for one that has ended. */
  readonly sinceMs: number;
  /** The visitor's stage as it was said last. */
  readonly stage: LifecycleStage | null;
}

/** Null if the visitor does not know it, or not any more. */
export function knownLink(visitor: Buyer | null, { text }: LinkId): KnownLink | null {
  const { current = null, past = [] } = visitor?.links ?? {};
  if (current?.id === text) return { ...current, status: 'active' };
  // A link comes once: its last entry says how it ended.
  const ended = past.find(({ id }) => id === text);
  return ended === undefined ? null : { ...ended, status: ended.how, sinceMs: 0, stage: null };
}

/** Whether what came by a link can still be told apart from the rest, and why not. */
export type Separability =
  | { readonly separable: true; readonly part: BuyerPart | null; readonly untilMs: number }
  | { readonly separable: false; readonly part: BuyerPart | null; readonly why: string };

/**
 * @param received the offset of the visitor's partition up to which the user's owner has taken what was sent to it, -1 for none.
 *   It must have been read before the user's state.
 */
export function separabilityOf(
  { offset }: LinkId,
  link: KnownLink,
  user: BuyerReading,
  received: number,
  settings: Settings,
): Separability {
  const { buyer, watermarkMs } = user;
  const part = buyer?.parts.find((each) => each.link === link.id) ?? null;
  if (link.status === 'revoked') return { separable: false, part, why: 'it was taken back before' };
  const tooOld = `it was joined more than ${Math.round(settings.linkMemoryMs / 86_400_000)} days ago`;
  const tooMany = `at least ${settings.maxLinksPerBuyer} links of this user came after it`;
  if (part !== null) {
    const untilMs = part.mergedMs + settings.linkMemoryMs;
    if (untilMs < watermarkMs) return { separable: false, part, why: tooOld };
    // Parts stand in the order of their merges, behind the user's own; a lowered limit takes hold at the user's next record.
    const younger = buyer!.parts.length - 1 - buyer!.parts.indexOf(part);
    if (younger >= settings.maxLinksPerBuyer) return { separable: false, part, why: tooMany };
    return { separable: true, part, untilMs };
  }
  const arrives = received < offset || buyer?.arriving.some((each) => each.link === link.id);
  if (arrives) return { separable: true, part, untilMs: 0 };
  return {
    separable: false,
    part,
    why: `${tooOld}, or ${tooMany}`,
  };
}

/** A funnel level that falls with a part. */
export interface NeededLevel {
  readonly funnel: string;
  readonly revision: number;
  readonly level: number;
  /** What remains without the part. */
  readonly without: number;
}

/** The user's levels that need the part. */
export function levelsThatNeed(user: Buyer, part: BuyerPart): NeededLevel[] {
  return user.funnels.flatMap((own) => {
    const level = levelOf(user, own);
    const reached = own.reached.filter(({ parts }) => !parts.includes(part.number));
    const without = levelOf(user, { ...own, reached });
    return without < level ? [{ funnel: own.id, revision: own.revision, level, without }] : [];
  });
}
