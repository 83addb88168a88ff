// What a buyer was shown before, over all keys that the caller named: the variant that stays, and which experiments of a
// namespace have the buyer to the exclusion of others.
import type { Buyer, Exposed } from '../../domain/buyer.ts';
import type { InForce } from '../../domain/definition.ts';
import type { ExperimentDefinition } from '../../domain/experiment-definition.ts';

export type ExperimentInForce = InForce<ExperimentDefinition>;

/** The experiment in force under an id; undefined if there is none. */
export type ExperimentLookup = (id: string) => ExperimentInForce | undefined;

type Known = readonly (Buyer | null)[];

export interface PastExposure {
  /** The first exposure (event time, then message id) to a variant that the experiment still has; null if there is none. */
  readonly first: Exposed | null;
  /** The keys were exposed to different variants. */
  readonly crossover: boolean;
  /** The variant that the first key was exposed to itself: what came to it by a link is not its own. */
  readonly own: string | null;
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** Exposures to several experiments may have come under one message id. */
function byTime(a: Exposed, b: Exposed): number {
  return a.timeMs - b.timeMs || compare(a.messageId, b.messageId) || compare(a.experiment, b.experiment);
}

/** Over the blobs of every key that the caller named, the subject's own first. */
export function pastExposure(known: Known, { id, document }: ExperimentInForce): PastExposure {
  const isOfIt = ({ experiment }: Exposed): boolean => experiment === id;
  const exposures = known.flatMap((buyer) => buyer?.exposures.filter(isOfIt) ?? []);
  // Of a user with links the parts' first ones count, too: the first of all may be one whose variation is gone.
  const ofParts = known.flatMap(
    (buyer) => buyer?.parts.flatMap((part) => part.exposures.filter(isOfIt)) ?? [],
  );
  const subject = known[0];
  const stands = ({ variant }: Exposed): boolean => document.variations.some(({ key }) => key === variant);
  return {
    first: [...exposures, ...ofParts].filter(stands).sort(byTime)[0] ?? null,
    crossover: new Set(exposures.map(({ variant }) => variant)).size > 1,
    own: (subject?.parts[0] ?? subject)?.exposures.find(isOfIt)?.variant ?? null,
  };
}

function exclude({ document: one }: ExperimentInForce, { document: other }: ExperimentInForce): boolean {
  const [a, b] = [one.namespace, other.namespace];
  if (a === undefined || b === undefined || a.id !== b.id) return false;
  return a.to <= b.from || b.to <= a.from;
}

/**
 * The running experiments with a part of a namespace that the buyer was exposed to and is in. Of two that exclude each
 * other it is the one of the earlier exposure.
 */
export function experimentsHeld(known: Known, experimentOf: ExperimentLookup): readonly ExperimentInForce[] {
  const ids = new Set(known.flatMap((buyer) => buyer?.exposures.map(({ experiment }) => experiment) ?? []));
  const shown: { experiment: ExperimentInForce; first: Exposed }[] = [];
  for (const id of ids) {
    const experiment = experimentOf(id);
    if (experiment?.document.status !== 'running' || experiment.document.namespace === undefined) continue;
    const { first } = pastExposure(known, experiment);
    if (first !== null) shown.push({ experiment, first });
  }
  const held: ExperimentInForce[] = [];
  for (const { experiment } of shown.sort((a, b) => byTime(a.first, b.first)))
    if (!held.some((other) => exclude(other, experiment))) held.push(experiment);
  return held;
}

/** Whether an experiment that has the buyer keeps this one, which is not among them, away. */
export function isExcluded(experiment: ExperimentInForce, held: readonly ExperimentInForce[]): boolean {
  return !held.some(({ id }) => id === experiment.id) && held.some((other) => exclude(other, experiment));
}
