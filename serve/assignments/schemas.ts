// The shapes of OFREP 0.3, for the API's description. Requests are checked by hand (see context.ts).
import { z } from 'zod';

const context = z
  .looseObject({
    targetingKey: z.string().meta({ description: '`u:<userId>`, `a:<anonymousId>`, or a user id alone.' }),
    userId: z.string().optional(),
    anonymousId: z.string().optional(),
  })
  .meta({ examples: [{ targetingKey: 'u:buyer-123', anonymousId: 'device-9', country: 'DE' }] });

export const evaluationRequest = z.object({ context });

const metadata = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]));

export const evaluationSuccess = z.object({
  key: z.string().meta({ examples: ['inquiry-form'] }),
  reason: z.enum(['STATIC', 'TARGETING_MATCH', 'SPLIT', 'DISABLED', 'UNKNOWN']),
  variant: z.string().meta({ examples: ['short'] }),
  value: z
    .unknown()
    .optional()
    .meta({ description: 'Absent where the code’s default holds.', examples: [{ fields: 4 }] }),
  metadata,
});

export const evaluationFailure = z.object({
  key: z.string(),
  errorCode: z.enum(['PARSE_ERROR', 'TARGETING_KEY_MISSING', 'INVALID_CONTEXT', 'GENERAL']),
  errorDetails: z.string(),
});

export const flagNotFound = z.object({
  key: z.string(),
  errorCode: z.literal('FLAG_NOT_FOUND'),
  errorDetails: z.string(),
});

export const bulkEvaluationSuccess = z.object({
  flags: z.array(z.union([evaluationSuccess, evaluationFailure])),
  metadata,
});

export const bulkEvaluationFailure = z.object({
  errorCode: z.enum(['PARSE_ERROR', 'TARGETING_KEY_MISSING', 'INVALID_CONTEXT', 'GENERAL']),
  errorDetails: z.string(),
});

export const generalErrorResponse = z.object({ errorDetails: z.string() });
