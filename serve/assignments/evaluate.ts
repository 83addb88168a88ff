// One experiment for one buyer, as an OFREP 0.3 evaluation: who was exposed keeps what was seen, everybody else is
// assigned by hash. Pure: the plugin reads the state and logs the exposure.
import type { Buyer } from '../../domain/buyer.ts';
import { assign, type SegmentLookup } from '../../domain/experiment-assignment.ts';
import { type ExperimentInForce, isExcluded, type PastExposure, pastExposure } from './past-exposures.ts';

/** Who asks: the buyer's key in the log, the id that is hashed, what targeting may look at, and what is known of the buyer. */
export interface EvaluationSubject {
  readonly key: string;
  readonly hashKey: string;
  readonly attributes: Readonly<Record<string, unknown>>;
  /** The blobs of every key that the caller named, the subject's own first; null where nothing is known. */
  readonly known: readonly (Buyer | null)[];
  /** The experiments of namespaces that have the buyer: see `experimentsHeld`. */
  readonly held: readonly ExperimentInForce[];
  /** The segments in force. */
  readonly segmentOf: SegmentLookup;
}

/** Reasons of OpenFeature that OFREP 0.3 allows. */
export type EvaluationReason = 'STATIC' | 'TARGETING_MATCH' | 'SPLIT' | 'DISABLED' | 'UNKNOWN';

export interface EvaluationSuccess {
  readonly key: string;
  readonly reason: EvaluationReason;
  readonly variant: string;
  /** Absent where the code's own default holds. */
  readonly value?: unknown;
  readonly metadata: Readonly<Record<string, string | number | boolean>>;
}

export interface EvaluationFailure {
  readonly key: string;
  readonly errorCode:
    | 'PARSE_ERROR'
    | 'TARGETING_KEY_MISSING'
    | 'INVALID_CONTEXT'
    | 'GENERAL'
    | 'FLAG_NOT_FOUND';
  readonly errorDetails: string;
}

/** What the log is to learn: nothing where the buyer's own first exposure already says so. */
export interface ExposureToLog {
  readonly key: string;
  readonly experiment: string;
  readonly revision: number;
  readonly variant: string;
  readonly reason: string;
}

export interface Evaluation {
  readonly answer: EvaluationSuccess | EvaluationFailure;
  readonly exposure: ExposureToLog | null;
  /** The caller's keys were exposed to different variants of this experiment before. */
  readonly crossover: boolean;
}

interface Decision {
  readonly variationIndex: number;
  readonly reason: EvaluationReason;
  /** Why, in the words of this system: `split`, `sticky`, `notTargeted`, … */
  readonly detail: string;
  readonly inExperiment: boolean;
  readonly bucket: number | null;
}

function decide(experiment: ExperimentInForce, subject: EvaluationSubject, past: PastExposure): Decision {
  const { document } = experiment;
  const excluded = isExcluded(experiment, subject.held);
  const { first } = past;
  if (document.status === 'running' && first !== null && !excluded) {
    const variationIndex = document.variations.findIndex((variation) => variation.key === first.variant);
    return { variationIndex, reason: 'SPLIT', detail: 'sticky', inExperiment: true, bucket: null };
  }
  const { hashKey: key, attributes, segmentOf } = subject;
  const assignment = assign(experiment, { key, attributes, excluded }, segmentOf);
  const { variationIndex, inExperiment, bucket, reason: detail } = assignment;
  const rest = { variationIndex, inExperiment, bucket, detail };
  switch (detail) {
    case 'split':
      return { ...rest, reason: 'SPLIT' };
    case 'forced':
      return { ...rest, reason: 'TARGETING_MATCH' };
    case 'draft':
    case 'stopped':
      return { ...rest, reason: 'DISABLED' };
    case 'noKey':
    case 'outsideNamespace':
    case 'notTargeted':
    case 'notCovered':
      return { ...rest, reason: 'STATIC' };
  }
}

/** OFREP takes boolean, text, number and object; nothing at all means the code's default. */
function isFlagValue(value: unknown): boolean {
  return !Array.isArray(value);
}

/**
 * Evaluates one experiment. The first exposure to a variant that it still has wins while it runs, unless an experiment
 * that excludes it has the buyer; an exposure is logged only for those in the experiment (so for none that a variant is forced on), and only if the buyer's own state does not have it yet.
 */
export function evaluate(experiment: ExperimentInForce, subject: EvaluationSubject): Evaluation {
  const past = pastExposure(subject.known, experiment);
  const decision = decide(experiment, subject, past);
  const variation = experiment.document.variations[decision.variationIndex]!;
  const { crossover } = past;
  if (!isFlagValue(variation.value)) {
    const errorDetails = `the value of variation ${JSON.stringify(variation.key)} is an array, which no type of OFREP takes`;
    return { answer: { key: experiment.id, errorCode: 'GENERAL', errorDetails }, exposure: null, crossover };
  }
  const answer: EvaluationSuccess = {
    key: experiment.id,
    reason: decision.reason,
    variant: variation.key,
    ...(variation.value === undefined || variation.value === null ? {} : { value: variation.value }),
    metadata: {
      experiment: experiment.document.name,
      revision: experiment.revision,
      hash: experiment.hash,
      detail: decision.detail,
      inExperiment: decision.inExperiment,
      ...(decision.bucket === null ? {} : { bucket: decision.bucket }),
    },
  };
  const known = past.own === variation.key;
  const exposure =
    decision.inExperiment && !known
      ? {
          key: subject.key,
          experiment: experiment.id,
          revision: experiment.revision,
          variant: variation.key,
          reason: decision.detail,
        }
      : null;
  return { answer, exposure, crossover };
}
