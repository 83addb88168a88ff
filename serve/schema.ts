// From a zod schema to what Fastify wants: JSON Schema for Ajv, for the serialiser and for the OpenAPI page.
import { Ajv, type ErrorObject, type Options } from 'ajv';
import type { FastifySchemaCompiler } from 'fastify';
import { z } from 'zod';
import { complaining, type JsonSchema, jsonSchemaOf } from '../platform/validate.ts';
import { problemDetails } from './problem-details.ts';

/** Draft 7 (what Ajv and Fastify speak) of what a client may send. */
export const requestSchema: (schema: z.ZodType) => JsonSchema = jsonSchemaOf;

/** The same of a query string: a parameter that there is not is a mistake, and never just overlooked. */
export function querySchema(schema: z.ZodType): JsonSchema {
  return { ...jsonSchemaOf(schema), additionalProperties: false };
}

/** Draft 7 of what we answer. */
export function responseSchema(schema: z.ZodType): JsonSchema {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, {
    target: 'draft-7',
    io: 'output',
    unrepresentable: 'any',
  });
  return rest;
}

/** How errors are described: the document itself is made in problem-details.ts. */
export const problemResponse = {
  description: 'A problem document (RFC 9457).',
  content: { 'application/problem+json': { schema: responseSchema(problemDetails) } },
};

/**
 * The `response` part of a route's schema: its success beside the problem documents.
 * @param problems when these statuses are answered, where that is worth saying
 */
export function responses(
  success: Record<number, z.ZodType>,
  problems: Readonly<Record<number, string>> = {},
): Record<string, object> {
  const entries = Object.entries(success).map(
    ([status, schema]) => [status, responseSchema(schema)] as const,
  );
  const told = Object.entries(problems).map(
    ([status, description]) => [status, { ...problemResponse, description }] as const,
  );
  return { ...Object.fromEntries([...entries, ...told]), '4xx': problemResponse, '5xx': problemResponse };
}

// The schemas are made by zod: to check them against the meta schema would only make the start slower.
const options: Options = {
  strict: false,
  allErrors: false,
  useDefaults: true,
  removeAdditional: false,
  meta: false,
  validateSchema: false,
};

type Check = ((value: unknown) => boolean) & { errors?: ErrorObject[] | null };

function compilerOf(specific: Options): (schema: JsonSchema) => Check {
  const quick = new Ajv({ ...options, ...specific });
  const thorough = new Ajv({ ...options, ...specific, allErrors: true });
  return (schema) => {
    const isRight = quick.compile(schema);
    // Ajv knows a schema that it has compiled.
    const complaintsOf = complaining(
      () => isRight,
      () => thorough.compile(schema),
    );
    const check: Check = (value) => {
      check.errors = complaintsOf(value);
      return check.errors === null;
    };
    return check;
  };
}

/** Checks of our own: bodies are taken as they are, only queries, params and headers (all text) are coerced. */
export function validatorCompiler(): FastifySchemaCompiler<JsonSchema> {
  const exact = compilerOf({});
  const coercing = compilerOf({ coerceTypes: true });
  return ({ schema, httpPart }) => (httpPart === 'body' ? exact : coercing)(schema);
}
