// What is known of one buyer, as an answer: levels, scores with their factors, stage, opportunities, and what they
// were computed from. Pure; everything is as of the partition's watermark.
import { z } from 'zod';
import type { Buyer, BuyerFunnel, Stamped } from '../../domain/buyer.ts';
import type { FunnelDefinition, InForce, ScoreDefinition } from '../../domain/definition.ts';
import { emptyProgress, level, levelAfter } from '../../domain/funnel.ts';
import { levelOf } from '../../domain/funnel-levels.ts';
import { engagementAt, scoreOf } from '../../domain/score.ts';
import { iso, isoOrNull, isoTime } from '../answer.ts';

/** Behaviours that the answer shows, the latest first. */
const RECENT_MAX = 50;

const attribute = z.object({ value: z.string(), time: isoTime, messageId: z.string() }).nullable();
const nullableTime = isoTime.nullable();

export const factor = z.object({
  name: z.string().meta({ examples: ['engagement.inquiry'] }),
  value: z.union([z.string(), z.number()]),
  contribution: z.number().meta({ description: 'What it adds to the logit.' }),
});

const person = z.object({
  key: z.string().meta({ examples: ['u:buyer-123'] }),
  link: z.string().meta({ examples: ['7-1204-visitor-1'] }),
  since: isoTime,
});

const buyerLink = z.object({
  id: z.string().meta({ examples: ['7-1204-visitor-1'] }),
  visitor: z.string(),
  merged: isoTime,
  ended: z.boolean().meta({ description: 'No longer in force; what it brought stays.' }),
  firstSeen: nullableTime,
  lastSeen: nullableTime,
  totals: z.array(z.object({ behaviour: z.string(), count: z.int() })),
});

export const buyerAnswer = z.object({
  key: z.string().meta({ examples: ['u:buyer-123'] }),
  person: person.nullable().meta({ description: 'Of a visitor who is linked: the user that it is.' }),
  links: z.array(buyerLink).meta({
    description:
      'Of a user: the links whose part is still kept apart, in the order in which they were joined.',
  }),
  partition: z.int(),
  asOf: nullableTime.meta({ description: 'The watermark of the buyer’s partition.' }),
  firstSeen: nullableTime,
  lastSeen: nullableTime,
  attributes: z.object({ country: attribute, industry: attribute, channel: attribute, level: attribute }),
  company: z
    .object({ key: z.string().meta({ examples: ['c:acme'] }), since: isoTime, messageId: z.string() })
    .nullable()
    .meta({ description: 'The latest group that the buyer was put into.' }),
  lifecycle: z.object({
    stage: z.enum(['new', 'mature', 'retained', 'churned']).nullable(),
    since: nullableTime,
    matured: nullableTime,
  }),
  funnels: z.array(
    z.object({
      id: z.string(),
      revision: z.int(),
      name: z.string(),
      mode: z.string(),
      steps: z.array(z.string()),
      level: z.int().meta({
        description:
          'Steps reached, over settled and unsettled behaviours. Where something came by a link: the highest level that still stands. ' +
          'Of a new revision of a strict funnel those too that unsettled behaviours from before it would reach, which it does not count while its past is not known.',
      }),
      settledLevel: z.int().meta({ description: 'Steps reached that nothing in time can change.' }),
      counted: z.int().meta({ description: 'Steps already counted for this buyer.' }),
    }),
  ),
  scores: z.array(
    z.object({
      id: z.string(),
      revision: z.int(),
      name: z.string(),
      horizonMs: z.int(),
      probability: z.number(),
      logit: z.number(),
      factors: z.array(factor),
    }),
  ),
  opportunities: z.array(
    z.object({
      id: z.string(),
      subject: z.string(),
      stage: z.enum(['contact', 'inquiry', 'order']),
      opened: isoTime,
      updated: isoTime,
      quality: z.number(),
      qualified: z.boolean(),
    }),
  ),
  engagement: z.array(
    z.object({
      halfLifeMs: z.int(),
      behaviours: z.array(z.object({ behaviour: z.string(), value: z.number() })),
    }),
  ),
  totals: z.array(z.object({ behaviour: z.string(), count: z.int() })),
  recent: z.array(z.object({ behaviour: z.string(), time: isoTime })),
  exposures: z.array(z.object({ experiment: z.string(), variant: z.string(), time: isoTime })),
  overflow: z.boolean().meta({ description: 'A cap cut something of this buyer.' }),
});
export type BuyerAnswer = z.infer<typeof buyerAnswer>;

function attributeOf(stamped: Stamped | null): z.infer<typeof attribute> {
  return stamped === null
    ? null
    : { value: stamped.value, time: iso(stamped.timeMs), messageId: stamped.messageId };
}

/**
 * A step of a `default` funnel is counted in the very record that reaches it, and where parts come and go levels are kept with what they
 * need: both by what the funnel sees, of which behaviours before its record are none until its past is known. A strict one counts what
 * is settled: what is not follows from the behaviours.
 */
function levelIn(buyer: Buyer, own: BuyerFunnel | undefined, funnel: FunnelDefinition): number {
  if (funnel.mode === 'default' || buyer.nextPart > 1) return own === undefined ? 0 : levelOf(buyer, own);
  return levelAfter(funnel, own?.settled ?? emptyProgress(funnel), buyer.behaviours, buyer.settledCount);
}

function personOf({ links }: Buyer): BuyerAnswer['person'] {
  const current = links?.current ?? null;
  return current === null ? null : { key: current.user, link: current.id, since: iso(current.sinceMs) };
}

function companyOf({ company }: Buyer): BuyerAnswer['company'] {
  if (company === null) return null;
  return { key: `c:${company.value}`, since: iso(company.timeMs), messageId: company.messageId };
}

function linksOf({ parts }: Buyer): BuyerAnswer['links'] {
  return parts
    .filter(({ number }) => number !== 0)
    .map(({ link, visitor, mergedMs, ended, firstMs, lastMs, totals }) => ({
      id: link,
      visitor,
      merged: iso(mergedMs),
      ended,
      firstSeen: isoOrNull(firstMs),
      lastSeen: isoOrNull(lastMs),
      totals,
    }));
}

function funnelOf(buyer: Buyer, funnel: InForce<FunnelDefinition>): BuyerAnswer['funnels'][number] {
  const { id, revision, document } = funnel;
  const own = buyer.funnels.find((each) => each.id === id && each.revision === revision);
  const settled = own?.settled ?? emptyProgress(document);
  return {
    id,
    revision,
    name: document.name,
    mode: document.mode,
    steps: document.steps,
    level: levelIn(buyer, own, document),
    settledLevel: level(settled),
    counted: own?.counted ?? 0,
  };
}

function scoreAnswer(
  buyer: Buyer,
  score: InForce<ScoreDefinition>,
  atMs: number,
): BuyerAnswer['scores'][number] {
  const { id, revision, document } = score;
  const { probability, logit, factors } = scoreOf(document, buyer, atMs);
  return {
    id,
    revision,
    name: document.name,
    horizonMs: document.horizonMs,
    probability,
    logit,
    factors: [...factors],
  };
}

/** @param watermarkMs of the buyer's partition: scores and decay are as of then. */
export function answerOf(
  buyer: Buyer,
  partition: number,
  watermarkMs: number,
  funnels: readonly InForce<FunnelDefinition>[],
  scores: readonly InForce<ScoreDefinition>[],
): BuyerAnswer {
  return {
    key: buyer.key,
    person: personOf(buyer),
    links: linksOf(buyer),
    partition,
    asOf: isoOrNull(watermarkMs),
    firstSeen: isoOrNull(buyer.firstMs),
    lastSeen: isoOrNull(buyer.lastMs),
    attributes: {
      country: attributeOf(buyer.country),
      industry: attributeOf(buyer.industry),
      channel: attributeOf(buyer.channel),
      level: attributeOf(buyer.level),
    },
    company: companyOf(buyer),
    lifecycle: {
      stage: buyer.stage,
      since: isoOrNull(buyer.stageSinceMs),
      matured: isoOrNull(buyer.maturedMs),
    },
    funnels: funnels.map((funnel) => funnelOf(buyer, funnel)),
    scores: scores.map((score) => scoreAnswer(buyer, score, watermarkMs)),
    opportunities: buyer.opportunities.map(
      ({ id, subject, stage, openedMs, updatedMs, quality, qualified }) => ({
        id,
        subject,
        stage,
        opened: iso(openedMs),
        updated: iso(updatedMs),
        quality,
        qualified,
      }),
    ),
    engagement: buyer.engagement.map((sums) => ({
      halfLifeMs: sums.halfLifeMs,
      behaviours: engagementAt(sums, watermarkMs, Number.POSITIVE_INFINITY),
    })),
    totals: buyer.totals,
    recent: buyer.behaviours
      .slice(-RECENT_MAX)
      .reverse()
      .map(({ behaviour, timeMs }) => ({ behaviour, time: iso(timeMs) })),
    exposures: buyer.exposures.map(({ experiment, variant, timeMs }) => ({
      experiment,
      variant,
      time: iso(timeMs),
    })),
    overflow: buyer.overflow,
  };
}
