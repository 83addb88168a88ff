// What makes a definition acceptable: its own schema, rules across its fields, and what it and the others refer to.
import {
  type AccountDefinition,
  type BehaviourMap,
  type CampaignDefinition,
  type DefinitionType,
  definitionSchemas,
  definitionTypes,
  type ExperimentDefinition,
  type FunnelDefinition,
  type LifecycleDefinition,
  type Settings,
  type TriggerDefinition,
} from '../domain/definition.ts';
import { canonicalJson } from './canonical.ts';
import { PlatformError } from './platform-error.ts';

export const definitionId = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

/** The types in an order in which none refers to a later one. */
export const publishOrder: readonly DefinitionType[] = [
  'settings',
  'behaviours',
  'score',
  'account',
  'funnel',
  'lifecycle',
  'opportunity',
  'campaign',
  'experiment',
  'trigger',
];

export type CheckedDocument =
  | { readonly ok: true; readonly document: Record<string, unknown> }
  | { readonly ok: false; readonly reasons: string[] };

/** What the other definitions say; the document that is being checked is already in it. */
export interface DefinitionSet {
  list<Document>(type: DefinitionType): readonly { readonly id: string; readonly document: Document }[];
}

export function isDefinitionType(type: string): type is DefinitionType {
  return (definitionTypes as string[]).includes(type);
}

/**
 * Checks one document by itself. The result has all defaults filled in, so that a later default changes no replay,
 * and is in canonical form. A field that the schema does not know is a mistake, not an extension.
 */
export function checkDocument(type: DefinitionType, id: string, document: unknown): CheckedDocument {
  const reasons = definitionId.test(id)
    ? []
    : [`the id ${JSON.stringify(id)} must fit ${definitionId.source}`];
  const parsed = definitionSchemas[type].safeParse(document);
  if (!parsed.success) {
    reasons.push(
      ...parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'the document'}: ${message}`),
    );
    return { ok: false, reasons };
  }
  reasons.push(...unknownFields(document, parsed.data, ''), ...crossFieldFaults(type, parsed.data));
  try {
    const canonical = JSON.parse(canonicalJson(parsed.data)) as Record<string, unknown>;
    return reasons.length === 0 ? { ok: true, document: canonical } : { ok: false, reasons };
  } catch (error) {
    if (!(error instanceof PlatformError)) throw error;
    return { ok: false, reasons: [...reasons, error.message] };
  }
}

/** zod drops what it does not know; what was given and is gone is listed. */
function unknownFields(given: unknown, kept: unknown, path: string): string[] {
  if (typeof given !== 'object' || given === null || typeof kept !== 'object' || kept === null) return [];
  return Object.entries(given).flatMap(([name, value]) => {
    const field = path === '' ? name : `${path}.${name}`;
    if (!Object.hasOwn(kept, name)) return value === undefined ? [] : [`${field}: there is no such field`];
    return unknownFields(value, (kept as Record<string, unknown>)[name], field);
  });
}

const stages = ['new', 'mature', 'retained', 'churned'];
const opportunityMoments = ['opened', 'qualified'];

function crossFieldFaults(type: DefinitionType, document: unknown): string[] {
  switch (type) {
    case 'settings': {
      const { latenessMs, idMemoryMs } = document as Settings;
      return latenessMs < idMemoryMs
        ? []
        : ['latenessMs must be less than idMemoryMs, or a forgotten message id could be applied again'];
    }
    case 'experiment':
      return experimentFaults(document as ExperimentDefinition);
    case 'trigger': {
      const { on, to } = document as TriggerDefinition;
      const allowed = on === 'transition' ? stages : opportunityMoments;
      return to
        .filter((target) => !allowed.includes(target))
        .map((target) => `to: ${target} is none of ${allowed.join(', ')}`);
    }
    default:
      return [];
  }
}

const WEIGHTS_TOLERANCE = 0.01;

function experimentFaults({ variations, fallback, namespace }: ExperimentDefinition): string[] {
  const keys = variations.map((variation) => variation.key);
  const total = variations.reduce((sum, { weight }) => sum + weight, 0);
  const reasons: string[] = [];
  if (new Set(keys).size < keys.length) reasons.push('variations: their keys must differ');
  if (!keys.includes(fallback))
    reasons.push(`fallback: ${fallback} is none of the variations ${keys.join(', ')}`);
  if (Math.abs(total - 1) > WEIGHTS_TOLERANCE)
    reasons.push(`variations: the weights add up to ${total}, not to 1`);
  if (namespace !== undefined && namespace.from >= namespace.to) {
    reasons.push('namespace: from must be below to');
  }
  return reasons;
}

/**
 * Everything that points to nothing in the set: campaign → account and score; funnel, lifecycle → a behaviour that a rule maps.
 */
export function danglingReferences(set: DefinitionSet): string[] {
  const accounts = new Set(set.list('account').map(({ id }) => id));
  const scores = new Set(set.list('score').map(({ id }) => id));
  const mapped = new Set(
    set
      .list<BehaviourMap>('behaviours')
      .flatMap(({ document }) => document.rules.map((rule) => rule.behaviour)),
  );
  const unmapped = (owner: string, behaviours: readonly string[]): string[] =>
    [...new Set(behaviours)]
      .filter((behaviour) => !mapped.has(behaviour))
      .map((behaviour) => `${owner}: no rule of the behaviours maps an event to ${behaviour}`);
  return [
    ...set
      .list<CampaignDefinition>('campaign')
      .flatMap(({ id, document: { accountId, scoreId } }) => [
        ...(accounts.has(accountId) ? [] : [`campaign ${id}: there is no account ${accountId}`]),
        ...(scores.has(scoreId) ? [] : [`campaign ${id}: there is no score ${scoreId}`]),
      ]),
    ...set
      .list<FunnelDefinition>('funnel')
      .flatMap(({ id, document }) => unmapped(`funnel ${id}`, document.steps)),
    ...set
      .list<LifecycleDefinition>('lifecycle')
      .flatMap(({ id, document }) => unmapped(`lifecycle ${id}`, document.matureBehaviours)),
  ];
}

/** What a new revision may not change: everything that shares a budget has one owner, and its money one currency. */
export function forbiddenChanges(type: DefinitionType, before: unknown, after: unknown): string[] {
  if (before === null || after === null) return [];
  if (type === 'campaign') {
    const { accountId } = before as CampaignDefinition;
    return accountId === (after as CampaignDefinition).accountId
      ? []
      : [`accountId: a campaign keeps its account (${accountId}) for life`];
  }
  if (type === 'account') {
    const { currency, utcOffsetMinutes } = before as AccountDefinition;
    const next = after as AccountDefinition;
    return [
      ...(currency === next.currency
        ? []
        : [`currency: an account keeps its currency (${currency}) for life`]),
      ...(utcOffsetMinutes === next.utcOffsetMinutes
        ? []
        : [`utcOffsetMinutes: an account keeps its days (${utcOffsetMinutes}) for life`]),
    ];
  }
  return [];
}
