// Counts by step as an answer: what part came from the step before, and from the first.
import { z } from 'zod';

export const funnelSteps = z.array(
  z.object({
    step: z.string().meta({ examples: ['inquiry'] }),
    count: z.int(),
    rateFromPrevious: z
      .number()
      .nullable()
      .meta({ description: 'Null for the first step and after an empty one.' }),
    rateFromFirst: z.number().nullable(),
  }),
);

export function ratio(part: number, whole: number): number | null {
  return whole === 0 ? null : part / whole;
}

/** @param counts by step; missing ones are 0. */
export function stepsOf(names: readonly string[], counts: readonly number[]): z.infer<typeof funnelSteps> {
  return names.map((step, index) => {
    const count = counts[index] ?? 0;
    return {
      step,
      count,
      rateFromPrevious: index === 0 ? null : ratio(count, counts[index - 1] ?? 0),
      rateFromFirst: index === 0 ? null : ratio(count, counts[0] ?? 0),
    };
  });
}
