// The quality of an opportunity and what it is about, from the definition's formula.
import type { OpportunityStage } from '../domain/buyer.ts';
import type { OpportunityDefinition } from '../domain/definition.ts';

export type Properties = Readonly<Record<string, unknown>>;

const SUBJECT_LENGTH_MAX = 128;

/** The first of the definition's properties that is there; '' if none is. */
export function subjectOf(definition: OpportunityDefinition, properties: Properties): string {
  const name = definition.subject.find((each) => ['string', 'number'].includes(typeof properties[each]));
  return name === undefined ? '' : String(properties[name]).slice(0, SUBJECT_LENGTH_MAX).toWellFormed();
}

function positive(value: unknown): number {
  return typeof value === 'number' && value > 0 ? value : 0;
}

function own(weights: Readonly<Record<string, number>>, name: string): number {
  return Object.hasOwn(weights, name) ? weights[name]! : 0;
}

/** Who once said UK is of GB: a weight that was given to UK is GB's, unless that has its own. */
function ofCountry(weights: Readonly<Record<string, number>>, country: string): number {
  return country === 'GB' && !('GB' in weights) ? own(weights, 'UK') : own(weights, country);
}

/** In [0, 1], to six places. */
export function qualityOf(
  definition: OpportunityDefinition,
  stage: OpportunityStage,
  properties: Properties,
  buyer: { readonly country: string; readonly level: string },
): number {
  const { message, messageLength, quantity, specification } = properties;
  const characters = typeof message === 'string' ? message.length : positive(messageLength);
  const specified = specification === true || (typeof specification === 'string' && specification.length > 0);
  const terms = [
    own(definition.base, stage),
    definition.messageLength.weight * Math.min(1, characters / definition.messageLength.full),
    definition.quantity.weight *
      Math.min(1, Math.log(1 + positive(quantity)) / Math.log(1 + definition.quantity.full)),
    specified ? definition.specification.weight : 0,
    ofCountry(definition.country, buyer.country),
    own(definition.level, buyer.level),
  ];
  const sum = terms.reduce((total, term) => total + term, 0);
  return Math.round(Math.min(Math.max(sum, 0), 1) * 1e6) / 1e6;
}
