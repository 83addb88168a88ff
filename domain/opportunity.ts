// Opportunities: what a deep behaviour opens, what it is about, and how good it is.
import { UNKNOWN } from './attributes.ts';
import type { OpenOpportunity, OpportunityStage } from './buyer.ts';
import type { OpportunityDefinition } from './definition.ts';
import { firstOf } from './text.ts';
import { countryWeightOf, weightOf } from './weight.ts';

const stages: readonly OpportunityStage[] = ['contact', 'inquiry', 'order'];

export function isDeep(behaviour: string): behaviour is OpportunityStage {
  return behaviour === 'contact' || behaviour === 'inquiry' || behaviour === 'order';
}

export function laterStage(a: OpportunityStage, b: OpportunityStage): OpportunityStage {
  return stages.indexOf(a) >= stages.indexOf(b) ? a : b;
}

type Properties = Readonly<Record<string, unknown>> | undefined;

/** What the opportunity is about: the first of the definition's properties that is there; '' if none is. */
export function subjectOf(properties: Properties, definition: OpportunityDefinition): string {
  for (const name of definition.subject) {
    const value = properties?.[name];
    if (typeof value === 'string' || typeof value === 'number') return firstOf(String(value), 128);
  }
  return '';
}

function messageLength(properties: Properties): number {
  if (typeof properties?.message === 'string') return properties.message.length;
  const length = properties?.messageLength;
  return typeof length === 'number' && length > 0 ? length : 0;
}

function quantityOf(properties: Properties): number {
  const quantity = properties?.quantity;
  return typeof quantity === 'number' && quantity > 0 ? quantity : 0;
}

function hasSpecification(properties: Properties): boolean {
  const specification = properties?.specification;
  return specification === true || (typeof specification === 'string' && specification !== '');
}

/**
 * Quality in [0, 1], to six places: base of the behaviour + length, quantity (logarithmic) and specification of the
 * inquiry, each up to its weight, + what the buyer's country and level add; what is not known adds what its name (`UNKNOWN`) adds.
 */
export function qualityOf(
  definition: OpportunityDefinition,
  behaviour: OpportunityStage,
  properties: Properties,
  buyer: { readonly country: string | undefined; readonly level: string | undefined },
): number {
  const length = Math.min(1, messageLength(properties) / definition.messageLength.full);
  const quantity = Math.min(1, Math.log1p(quantityOf(properties)) / Math.log1p(definition.quantity.full));
  const sum =
    weightOf(definition.base, behaviour) +
    definition.messageLength.weight * length +
    definition.quantity.weight * quantity +
    (hasSpecification(properties) ? definition.specification.weight : 0) +
    countryWeightOf(definition.country, buyer.country ?? UNKNOWN.country) +
    weightOf(definition.level, buyer.level ?? UNKNOWN.level);
  return Math.round(Math.min(1, Math.max(0, sum)) * 1e6) / 1e6;
}

/** The open opportunity that a deep behaviour joins: same subject, not yet ordered, the oldest first. */
export function joinable(open: readonly OpenOpportunity[], subject: string): OpenOpportunity | undefined {
  return oldest(open.filter((candidate) => candidate.subject === subject && candidate.stage !== 'order'));
}

/** The open opportunity that a fulfilment closes. */
export function fulfillable(open: readonly OpenOpportunity[], subject: string): OpenOpportunity | undefined {
  return oldest(open.filter((candidate) => candidate.subject === subject && candidate.stage === 'order'));
}

/** The list is in order of opening; the earliest opening time wins, the first opened among equals. */
export function oldest(open: readonly OpenOpportunity[]): OpenOpportunity | undefined {
  let found: OpenOpportunity | undefined;
  for (const candidate of open)
    if (found === undefined || candidate.openedMs < found.openedMs) found = candidate;
  return found;
}
