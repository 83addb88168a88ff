// Definitions of what is shown to whom: segments of buyers, and experiments.
import { z } from 'zod';
import { id } from './definition-fields.ts';

const attributeCondition = z.object({
  attribute: z.string().min(1).max(128),
  operator: z.enum(['equals', 'notEquals', 'in', 'notIn', 'greaterThan', 'lessThan', 'exists']),
  value: z
    .unknown()
    .optional()
    .describe('A list for `in` and `notIn`; false with `exists` asks for absence.'),
});

/** Buyers who are alike, for targeting: all conditions must hold. */
export const segment = z.object({
  name: z.string().max(256),
  conditions: z.array(attributeCondition).min(1).max(50).describe('All must hold.'),
});
export type SegmentDefinition = z.infer<typeof segment>;

/** Who is meant: by an attribute, or by a segment (`in: false` means those outside it). */
export const targeting = z.union([
  attributeCondition,
  z.object({ segment: id, in: z.boolean().default(true) }),
]);

export const experiment = z.object({
  name: z.string().max(256),
  status: z.enum(['draft', 'running', 'stopped']),
  seed: z
    .string()
    .max(256)
    .optional()
    .describe(
      'Of the hash; the id if absent. Another one deals out the variations anew to those who have not been shown one yet; who has keeps it. To deal anew to all, make an experiment of another id.',
    ),
  hashVersion: z
    .union([z.literal(1), z.literal(2)])
    .default(2)
    .describe('GrowthBook’s.'),
  coverage: z.number().min(0).max(1).default(1).describe('The share of those who are meant who take part.'),
  variations: z
    .array(
      z.object({
        key: id,
        value: z
          .unknown()
          .describe(
            'All of one type: true or false, texts, numbers or objects. Null: the default of who asks.',
          ),
        weight: z.number().min(0).max(1),
      }),
    )
    .min(2)
    .max(20)
    .describe('What there is to see; the weights are the shares of those who take part, 1 together.'),
  namespace: z
    .object({ id: z.string(), from: z.number().min(0).max(1), to: z.number().min(0).max(1) })
    .optional()
    .describe(
      'Experiments with parts of one namespace that do not overlap exclude each other. Who was shown one that runs is in none of the others, wherever the hash says; of two that were shown it is the first.',
    ),
  targeting: z.array(targeting).default([]).describe('Who is meant: all of it must hold; none: everybody.'),
  fallback: id.describe('The variant of those who are not in the experiment.'),
  forced: id
    .optional()
    .describe(
      'For trying one out: everybody new who would be in it gets this variant, and is not in it meanwhile.',
    ),
});
export type ExperimentDefinition = z.infer<typeof experiment>;
