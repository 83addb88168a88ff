// Validation at the edge: Ajv compiled once from the zod schemas of domain/, which costs a fraction of zod per record.
import { Ajv, type ErrorObject, type Options, type ValidateFunction } from 'ajv';
import { z } from 'zod';
import {
  clockRecord,
  definitionRecord,
  type EventsTopicRecord,
  eventsTopicRecord,
  type RejectedRecord,
  rejectedRecord,
  type SpendTopicRecord,
} from '../domain/record.ts';
import { leaseRequestRecord, noticeRecord, reportRecord } from '../domain/spend-record.ts';

/** Faults that are named of one value; it could have one in every byte. */
const ERRORS_MAX = 20;

export type Validated<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly errors: string[] };

export type Validator<Value> = (value: unknown) => Validated<Value>;

export type JsonSchema = Record<string, unknown>;

/**
 * The JSON schema (draft 7) that says what may come in; fields with a default may be left out.
 * Fields that the schema does not name are let through.
 */
export function jsonSchemaOf(schema: z.ZodType): JsonSchema {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { target: 'draft-7', io: 'input' });
  return withoutTruisms(rest) as JsonSchema;
}

/** Compiles a validator. Defaults are filled into the value itself, which is returned. */
export function compileValidator<Schema extends z.ZodType>(schema: Schema): Validator<z.infer<Schema>> {
  const complaintsOf = complaining(whenNeeded(schema, false), whenNeeded(schema, true));
  return (value) => {
    const complaints = complaintsOf(value);
    return complaints === null
      ? { ok: true, value: value as z.infer<Schema> }
      : { ok: false, errors: messages(complaints) };
  };
}

/**
 * What is wrong with a value, null if nothing is. Most values are right: what names every fault, so that all are mended in one
 * go, costs more and looks at those alone that are not.
 */
export function complaining(
  isRight: () => ValidateFunction,
  everyFault: () => ValidateFunction,
): (value: unknown) => ErrorObject[] | null {
  return (value) => {
    if (isRight()(value)) return null;
    const validate = everyFault();
    validate(value);
    return (validate.errors ?? []).slice(0, ERRORS_MAX);
  };
}

/** Compiling takes a process half a second at its start, and each needs a few of the schemas only: at its first use. */
function whenNeeded(schema: z.ZodType, allErrors: boolean): () => ValidateFunction {
  let compiled: ValidateFunction | undefined;
  return () => {
    compiled ??= (allErrors ? thorough : quick).compile(jsonSchemaOf(schema));
    return compiled;
  };
}

// `unicode: false` counts UTF-16 units, as zod and the oracle do; Ajv calls it deprecated, loudly, hence no logger.
// The schemas are made by zod, so they are not validated against the meta schema, which would have to be compiled too.
const options: Options = {
  useDefaults: true,
  unicode: false,
  logger: false,
  strict: true,
  strictTypes: false,
  meta: false,
  validateSchema: false,
};
const quick = new Ajv({ ...options, allErrors: false });
const thorough = new Ajv({ ...options, allErrors: true });

/** Drops what is always true of parsed JSON but would be looked at for every field. */
function withoutTruisms(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(withoutTruisms);
  if (typeof schema !== 'object' || schema === null) return schema;
  const kept = Object.entries(schema).filter(
    ([keyword, value]) => !(keyword === 'propertyNames' && JSON.stringify(value) === '{"type":"string"}'),
  );
  return Object.fromEntries(kept.map(([keyword, value]) => [keyword, withoutTruisms(value)]));
}

/** What Ajv says of one fault. */
type Complaint = Pick<ErrorObject, 'keyword' | 'instancePath' | 'message' | 'params'>;

/** What is wrong with one field, and where it stands (JSON pointer). */
export interface FieldFault {
  readonly pointer: string;
  readonly detail: string;
}

/** What would be right in one place: values, of a list or of a choice between constants, and types. */
interface Allowed {
  readonly values: unknown[];
  readonly types: Set<string>;
}

const isOfType = ({ keyword }: Complaint): boolean => keyword === 'type';

function valuesAllowedBy({ params }: Complaint): readonly unknown[] {
  if (Array.isArray(params.allowedValues)) return params.allowedValues;
  return 'allowedValue' in params ? [params.allowedValue] : [];
}

/** By place: of a choice between schemas each branch says its own. */
function allowedByPlace(complaints: readonly Complaint[]): ReadonlyMap<string, Allowed> {
  const places = new Map<string, Allowed>();
  for (const complaint of complaints) {
    const { instancePath: pointer, params } = complaint;
    const allowed = places.get(pointer) ?? { values: [], types: new Set<string>() };
    places.set(pointer, allowed);
    allowed.values.push(...valuesAllowedBy(complaint));
    if (isOfType(complaint)) for (const type of [params.type].flat()) allowed.types.add(type as string);
  }
  return places;
}

function mustBe({ values, types }: Allowed): string {
  const named = values.map((value) =>
    typeof value === 'string' && value !== '' ? value : JSON.stringify(value),
  );
  // Of null there is one value: it reads better among the others.
  const all = values.length > 0 && types.has('null') ? [...named, 'null'] : named;
  const oneOf = all.length > 1 ? `one of ${all.join(', ')}` : all.join();
  const kinds = [...types].filter((type) => all.length === 0 || type !== 'null');
  return `must be ${[oneOf, ...kinds].filter((choice) => choice !== '').join(' or ')}`;
}

/** Ajv's complaints in words that say what would be right. That no branch of a choice fits is told by the branches. */
export function faultsOf(complaints: readonly Complaint[]): FieldFault[] {
  const allowed = allowedByPlace(complaints);
  const faults = new Map<string, FieldFault>();
  for (const complaint of complaints) {
    const { instancePath: pointer, keyword, message = 'is wrong', params } = complaint;
    if (keyword === 'anyOf' && complaints.length > 1) continue;
    let detail = message;
    if (isOfType(complaint) || valuesAllowedBy(complaint).length > 0) detail = mustBe(allowed.get(pointer)!);
    else if (params.additionalProperty !== undefined)
      detail = `has no ${JSON.stringify(params.additionalProperty)}`;
    faults.set(`${pointer} ${detail}`, { pointer, detail });
  }
  return [...faults.values()];
}

/** What a fault of no field in it is said of. */
const WHOLE = 'the document';

function messages(errors: ErrorObject[] | null | undefined): string[] {
  return faultsOf((errors ?? []).slice(0, ERRORS_MAX)).map(({ pointer, detail }) => {
    const field = pointer === '' ? WHOLE : pointer.slice(1).replaceAll('/', '.');
    return `${field} ${detail}`;
  });
}

type KindSchema = z.ZodObject<{ kind: z.ZodLiteral<string> }>;

/** One compiled validator a kind: a union would try them one after the other. */
function compileByKind<Value>(schemas: readonly KindSchema[]): Validator<Value> {
  const byKind = new Map(schemas.map((schema) => [schema.shape.kind.value, whenNeeded(schema, false)]));
  const kinds = [...byKind.keys()].join(', ');
  return (value) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      return { ok: false, errors: ['the record must be an object'] };
    }
    const kind = (value as { kind?: unknown }).kind;
    const compiled = byKind.get(kind as string);
    if (compiled === undefined) return { ok: false, errors: [`kind must be one of ${kinds}`] };
    const validate = compiled();
    return validate(value)
      ? { ok: true, value: value as Value }
      : { ok: false, errors: messages(validate.errors) };
  };
}

/** What is wrong with a value, as one sentence that calls it what its sender does (`a row`, `a message`). */
export function faultsOfOne(errors: readonly string[], what: string): string {
  return errors.join('; ').replaceAll(WHOLE, what);
}

/** Of a record of the topic `events`. */
export const validateEventsRecord: Validator<EventsTopicRecord> = compileByKind(
  eventsTopicRecord.options as unknown as KindSchema[],
);

/** Of a record of the topic `spend`. */
export const validateSpendRecord: Validator<SpendTopicRecord> = compileByKind([
  reportRecord,
  noticeRecord,
  leaseRequestRecord,
  clockRecord,
  definitionRecord,
] as unknown as KindSchema[]);

/** Of a record of the topic `events.rejected`. */
export const validateRejectedRecord: Validator<RejectedRecord> = compileByKind([
  rejectedRecord,
] as unknown as KindSchema[]);
