// What is known of somebody by records alone, in whatever order they came: what a user did, what came by one link, and
// both together.
import type { Exposed, Stamped } from '../../domain/buyer.ts';
import type { ExposureRecord, SegmentRecord } from '../../domain/buyer-record.ts';
import type { MergeBase } from '../../domain/identity-record.ts';
import { asNamedNow, type Known, learn, nothingKnown, together } from '../attributes.ts';
import type { Engagement } from '../engagement.ts';

/** Part of a decayed sum: so much of a behaviour at a time. */
interface Term {
  readonly behaviour: string;
  readonly amount: number;
  readonly atMs: number;
}

export interface Gathering {
  firstMs: number;
  lastMs: number;
  known: Known;
  readonly totals: Map<string, number>;
  /** By half-life. */
  sums: Map<number, Term[]>;
  readonly exposures: Map<string, Exposed>;
}

export function nothingGathered(): Gathering {
  return {
    firstMs: 0,
    lastMs: 0,
    known: nothingKnown,
    totals: new Map(),
    sums: new Map(),
    exposures: new Map(),
  };
}

/** What a visitor's owner handed over. */
export function gatheredIn(base: MergeBase): Gathering {
  return {
    firstMs: base.firstMs,
    lastMs: base.lastMs,
    known: knownIn(base),
    totals: new Map(base.totals.map(({ behaviour, count }) => [behaviour, count])),
    sums: new Map(
      base.engagement.map(({ halfLifeMs, referenceMs, sums }) => [
        halfLifeMs,
        sums.map(({ behaviour, sum }) => ({ behaviour, amount: sum, atMs: referenceMs })),
      ]),
    ),
    exposures: new Map(base.exposures.map((exposed) => [exposed.experiment, exposed])),
  };
}

function knownIn(said: Readonly<Record<keyof Known, Stamped | null>>): Known {
  const { country, industry, channel, level, company } = said;
  return { country: asNamedNow(country), industry, channel, level, company };
}

export function gatherRecord(gathering: Gathering, record: SegmentRecord): void {
  gathering.known = learn(gathering.known, record);
}

/** One behaviour more. Sums of half-lives that are not in force any more are forgotten. */
export function gatherBehaviour(
  gathering: Gathering,
  behaviour: string,
  timeMs: number,
  halfLivesMs: readonly number[],
): void {
  gathering.firstMs = gathering.firstMs === 0 ? timeMs : Math.min(gathering.firstMs, timeMs);
  gathering.lastMs = Math.max(gathering.lastMs, timeMs);
  gathering.totals.set(behaviour, (gathering.totals.get(behaviour) ?? 0) + 1);
  const term = { behaviour, amount: 1, atMs: timeMs };
  for (const halfLifeMs of gathering.sums.keys())
    if (!halfLivesMs.includes(halfLifeMs)) gathering.sums.delete(halfLifeMs);
  for (const halfLifeMs of halfLivesMs) {
    const terms = gathering.sums.get(halfLifeMs);
    if (terms === undefined) gathering.sums.set(halfLifeMs, [term]);
    else terms.push(term);
  }
}

export function gatherExposure(gathering: Gathering, record: ExposureRecord): void {
  const { experiment, variant, timestamp: timeMs, messageId } = record;
  addExposed(gathering, { experiment, variant, timeMs, messageId });
}

function addExposed({ exposures }: Gathering, exposed: Exposed): void {
  const known = exposures.get(exposed.experiment);
  const isEarlier =
    known === undefined ||
    exposed.timeMs < known.timeMs ||
    (exposed.timeMs === known.timeMs && exposed.messageId < known.messageId);
  if (isEarlier) exposures.set(exposed.experiment, exposed);
}

/** All of them as one; only half-lives in force stay. */
export function joined(gatherings: readonly Gathering[], halfLivesMs: readonly number[]): Gathering {
  const all = nothingGathered();
  const firstTimes = gatherings.map(({ firstMs }) => firstMs).filter((timeMs) => timeMs > 0);
  all.firstMs = firstTimes.length === 0 ? 0 : Math.min(...firstTimes);
  all.lastMs = Math.max(0, ...gatherings.map(({ lastMs }) => lastMs));
  for (const { known, totals, exposures } of gatherings) {
    all.known = together(all.known, known);
    for (const [behaviour, count] of totals)
      all.totals.set(behaviour, (all.totals.get(behaviour) ?? 0) + count);
    for (const exposed of exposures.values()) addExposed(all, exposed);
  }
  for (const halfLifeMs of halfLivesMs) {
    const terms = gatherings.flatMap(({ sums }) => (sums.has(halfLifeMs) ? [sums.get(halfLifeMs)!] : []));
    if (terms.length > 0) all.sums.set(halfLifeMs, terms.flat());
  }
  return all;
}

/** The sums as they stand at a watermark. */
export function sumsAt({ sums }: Pick<Gathering, 'sums'>, nowMs: number): Engagement[] {
  return [...sums].map(([halfLifeMs, terms]) => {
    const worths = new Map<string, number>();
    for (const { behaviour, amount, atMs } of terms) {
      const worth = amount * 2 ** ((atMs - nowMs) / halfLifeMs);
      worths.set(behaviour, (worths.get(behaviour) ?? 0) + worth);
    }
    return { halfLifeMs, sums: worths };
  });
}
