// What makes a definition acceptable: its own schema, rules across its fields, and what it and the others refer to.
import { z } from 'zod';
import { UNKNOWN } from '../domain/attributes.ts';
import {
  type AccountDefinition,
  type CampaignDefinition,
  type DefinitionType,
  deepBehaviours,
  definitionSchemas,
  definitionTypes,
  type OpportunityDefinition,
  readDocument,
  type ScoreDefinition,
  type Settings,
} from '../domain/definition.ts';
import type { ExperimentDefinition, SegmentDefinition } from '../domain/experiment-definition.ts';
import type { ReceiverDefinition, TriggerDefinition } from '../domain/receiver-definition.ts';
import { canonicalJson } from './canonical.ts';
import { countryMeantBy, isCountry, isCurrency } from './iso-codes.ts';
import { PlatformError } from './platform-error.ts';
import { schemaFault } from './schema-fault.ts';

export const definitionId = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

/** A record of it, with who changed it and why, must fit Kafka's megabyte. */
const DOCUMENT_BYTES_MAX = 768 * 1024;

/** Of these there is one in force at most. */
const onlyOne: readonly DefinitionType[] = ['settings', 'lifecycle', 'opportunity'];

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
  'segment',
  'experiment',
  'trigger',
  'receiver',
];

export type CheckedDocument =
  | { readonly ok: true; readonly document: Record<string, unknown> }
  | { readonly ok: false; readonly reasons: string[] };

export function isDefinitionType(type: string): type is DefinitionType {
  return (definitionTypes as string[]).includes(type);
}

/**
 * Checks one document by itself. The result has all defaults filled in, so that a later default changes no replay,
 * and is in canonical form. A field that the schema does not know is a mistake, not an extension.
 * @param before what it changes: rules across the fields that were stricter only later do not hold against it what it said already,
 * or an account of such a time, which keeps its currency for life, could never be changed again
 */
export function checkDocument(
  type: DefinitionType,
  id: string,
  document: unknown,
  before: unknown = null,
): CheckedDocument {
  const reasons = definitionId.test(id)
    ? []
    : [`the id ${JSON.stringify(id)} must fit ${definitionId.source}`];
  if (onlyOne.includes(type) && id !== 'default')
    reasons.push(`there is one ${type} only; its id is default`);
  const parsed = definitionSchemas[type].safeParse(document, { error: schemaFault });
  if (!parsed.success) {
    reasons.push(
      ...parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'the document'}: ${message}`),
      ...unknownFields(definitionSchemas[type], document, ''),
    );
    return { ok: false, reasons };
  }
  reasons.push(
    ...unknownFields(definitionSchemas[type], document, ''),
    ...newFaults(type, parsed.data, before),
  );
  try {
    const text = canonicalJson(parsed.data);
    const bytes = Buffer.byteLength(text);
    if (bytes > DOCUMENT_BYTES_MAX)
      reasons.push(`the document has ${bytes} bytes as JSON; a definition may have ${DOCUMENT_BYTES_MAX}`);
    const canonical = JSON.parse(text) as Record<string, unknown>;
    return reasons.length === 0 ? { ok: true, document: canonical } : { ok: false, reasons };
  } catch (error) {
    if (!(error instanceof PlatformError)) throw error;
    return { ok: false, reasons: [...reasons, error.message] };
  }
}

/** zod drops what it does not know; here it is listed, whether or not the rest of the document fits. */
function unknownFields(schema: z.ZodType, given: unknown, path: string): string[] {
  const inside = (inner: unknown, value: unknown, name: string | number): string[] =>
    unknownFields(inner as z.ZodType, value, path === '' ? String(name) : `${path}.${name}`);
  if (typeof given !== 'object' || given === null) return [];
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodNullable)
    return unknownFields(schema.unwrap() as z.ZodType, given, path);
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault)
    return unknownFields(schema.unwrap() as z.ZodType, given, path);
  if (schema instanceof z.ZodArray)
    return Array.isArray(given) ? given.flatMap((value, index) => inside(schema.element, value, index)) : [];
  if (schema instanceof z.ZodUnion) {
    const byOption = schema.options.map((option) => unknownFields(option as z.ZodType, given, path));
    return byOption.reduce((fewest, each) => (each.length < fewest.length ? each : fewest));
  }
  if (!(schema instanceof z.ZodObject) || Array.isArray(given)) return [];
  return Object.entries(given).flatMap(([name, value]) => {
    if (Object.hasOwn(schema.shape, name)) return inside(schema.shape[name], value, name);
    return value === undefined ? [] : [`${path === '' ? name : `${path}.${name}`}: there is no such field`];
  });
}

/** The rules between fields stand here and not in the schemas: those read what is in the log, which was accepted by the rules of its day. */
function newFaults(type: DefinitionType, document: unknown, before: unknown): string[] {
  const known = readDocument(type, before);
  const already = new Set(known === undefined ? [] : crossFieldFaults(type, known));
  return crossFieldFaults(type, document).filter((reason) => !already.has(reason));
}

/** An answer has its way to the exchange, whose auction takes its time: of what lives for less nothing would be won. */
const BID_LIFE_MS_MIN = 1_000;

const stages = ['new', 'mature', 'retained', 'churned'];
const opportunityMoments = ['opened', 'qualified'];

function crossFieldFaults(type: DefinitionType, document: unknown): string[] {
  switch (type) {
    case 'settings': {
      const { latenessMs, idMemoryMs, linkExpiryMs } = document as Settings;
      return [
        ...(latenessMs < idMemoryMs
          ? []
          : ['latenessMs must be less than idMemoryMs, or a forgotten message id could be applied again']),
        ...(linkExpiryMs >= idMemoryMs
          ? []
          : [
              'linkExpiryMs must be at least idMemoryMs, or message ids that are forgotten with their visitor could be applied again',
            ]),
      ];
    }
    case 'account': {
      const { currency, bidLifeMs } = document as AccountDefinition;
      return [
        ...(isCurrency(currency) ? [] : [`currency: ${currency} is no currency of ISO 4217`]),
        ...(bidLifeMs >= BID_LIFE_MS_MIN
          ? []
          : [
              `bidLifeMs: a bid that lives for ${bidLifeMs} ms is over before it can win; the least is ${BID_LIFE_MS_MIN}`,
            ]),
      ];
    }
    case 'campaign': {
      const { channel, countries } = document as CampaignDefinition;
      return [
        ...(channel.trim() === ''
          ? ['channel: it may not be empty; spend that names no channel is counted under it']
          : []),
        ...countryFaults('countries', countries),
      ];
    }
    case 'score':
      return countryFaults('country', Object.keys((document as ScoreDefinition).country));
    case 'opportunity': {
      const { base, country } = document as OpportunityDefinition;
      return [
        ...Object.keys(base)
          .filter((name) => !(deepBehaviours as readonly string[]).includes(name))
          .map((name) => `base: ${name} opens no opportunity; only ${deepBehaviours.join(', ')} do`),
        ...countryFaults('country', Object.keys(country)),
      ];
    }
    case 'experiment':
      return [
        ...experimentFaults(document as ExperimentDefinition),
        ...conditionFaults('targeting', (document as ExperimentDefinition).targeting),
      ];
    case 'segment':
      return conditionFaults('conditions', (document as SegmentDefinition).conditions);
    case 'trigger': {
      const { on, to } = document as TriggerDefinition;
      const allowed = on === 'transition' ? stages : opportunityMoments;
      return to
        .filter((target) => !allowed.includes(target))
        .map((target) => `to: ${target} is none of ${allowed.join(', ')}`);
    }
    case 'receiver': {
      const url = new URL((document as ReceiverDefinition).url);
      return url.username === '' && url.password === '' && url.hash === ''
        ? []
        : ['url: it may carry no user, password or fragment; receivers know us by the signature'];
    }
    default:
      return [];
  }
}

/** A country that nobody has would be in force and never do anything. `ZZ`, not known, may be asked for and weighed. */
function countryFaults(field: string, codes: readonly string[]): string[] {
  return codes
    .filter((code) => code !== UNKNOWN.country && !isCountry(code))
    .map((code) => {
      const meant = countryMeantBy(code.toUpperCase()) ?? code;
      const hint = meant !== code && isCountry(meant) ? `; ${meant} is` : '';
      return `${field}: ${JSON.stringify(code)} is no country of ISO 3166-1${hint}`;
    });
}

type Condition = SegmentDefinition['conditions'][number];

/** What an operator's value must be; a condition that it is not holds for nobody, or for everybody. */
const operands: Readonly<Record<Condition['operator'], readonly [string, (value: unknown) => boolean]>> = {
  equals: ['a number, a text, true or false', isPlain],
  notEquals: ['a number, a text, true or false', isPlain],
  in: ['a list', Array.isArray],
  notIn: ['a list', Array.isArray],
  greaterThan: ['a number or a text', (value) => isPlain(value) && typeof value !== 'boolean'],
  lessThan: ['a number or a text', (value) => isPlain(value) && typeof value !== 'boolean'],
  exists: ['true, false or nothing', (value) => value === undefined || typeof value === 'boolean'],
};

function isPlain(value: unknown): boolean {
  return ['number', 'string', 'boolean'].includes(typeof value);
}

function conditionFaults(field: string, conditions: ExperimentDefinition['targeting']): string[] {
  return conditions.flatMap((condition, index) => {
    if ('segment' in condition) return [];
    const [needed, fits] = operands[condition.operator];
    return fits(condition.value) ? [] : [`${field}.${index}.value: ${condition.operator} needs ${needed}`];
  });
}

const WEIGHTS_TOLERANCE = 0.01;

/** As people call them; a list is none of the types that a flag can have (OFREP 0.3). */
function typeNameOf(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  const names: Readonly<Record<string, string>> = {
    boolean: 'true or false',
    string: 'a text',
    number: 'a number',
  };
  return names[typeof value] ?? 'an object';
}

/** A client asks for a flag of one type, and gets its own default where a value is of another; null says that default. */
function valueFaults(variations: ExperimentDefinition['variations']): string[] {
  const given = variations.filter(({ value }) => value !== undefined && value !== null);
  const lists = given.filter(({ value }) => Array.isArray(value));
  const types = [...new Set(given.map(({ value }) => typeNameOf(value)))];
  return [
    ...lists.map(
      ({ key }) => `variations: the value of ${key} is a list, which no flag can be; put it into an object`,
    ),
    ...(types.length > 1
      ? [`variations: their values are of different types (${types.sort().join(', ')}); a flag has one`]
      : []),
  ];
}

function experimentFaults({ variations, fallback, forced, namespace }: ExperimentDefinition): string[] {
  const keys = variations.map((variation) => variation.key);
  const total = variations.reduce((sum, { weight }) => sum + weight, 0);
  const reasons: string[] = [];
  if (new Set(keys).size < keys.length) reasons.push('variations: their keys must differ');
  for (const [field, key] of Object.entries({ fallback, forced }))
    if (key !== undefined && !keys.includes(key))
      reasons.push(`${field}: ${key} is none of the variations ${keys.join(', ')}`);
  reasons.push(...valueFaults(variations));
  if (Math.abs(total - 1) > WEIGHTS_TOLERANCE)
    reasons.push(`variations: the weights add up to ${total}, not to 1`);
  if (namespace !== undefined && namespace.from >= namespace.to) {
    reasons.push('namespace: from must be below to');
  }
  return reasons;
}
