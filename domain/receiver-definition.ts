// Definitions of what is told to whom: triggers, and the receivers that they are pushed to.
import { z } from 'zod';
import { days, durationMs, hours, id, minutes } from './definition-fields.ts';

/** What is worth telling somebody: a lifecycle transition, or an opportunity that opened or qualified. */
export const trigger = z.object({
  name: z.string().max(128),
  on: z.enum(['transition', 'opportunity']).describe('A change of a buyer’s stage, or of an opportunity.'),
  to: z
    .array(z.string())
    .min(1)
    .describe('Stages for `transition`, `opened` or `qualified` for `opportunity`.'),
});
export type TriggerDefinition = z.infer<typeof trigger>;

/** What a receiver calls its signing secret by. */
export const secretName = id;

/** Where triggers are pushed to: a webhook by the Standard Webhooks specification. */
export const receiver = z.object({
  name: z.string().max(128),
  url: z.url({ protocol: /^https?$/, error: 'must be an http:// or https:// URL' }).max(2_048),
  triggers: z.array(id).max(100).default([]).describe('The triggers that it gets; none named: all.'),
  secret: secretName.describe(
    'The name of its signing secret. The secret itself never stands in a definition.',
  ),
  status: z.enum(['active', 'disabled']).default('active'),
  timeoutMs: durationMs
    .min(100)
    .max(60_000)
    .default(15_000)
    .describe('An attempt that is not answered by then has failed.'),
  concurrency: z.int().min(1).max(64).default(4).describe('Requests to it at a time.'),
  retryAfterMs: z
    .array(durationMs.max(days(7)))
    .max(30)
    .default([5_000, minutes(5), minutes(30), hours(2), hours(5), hours(10), hours(14), hours(20), hours(24)])
    .describe(
      'Pauses after the first, second, … failed attempt; after the last one the delivery is dead. By default those of Standard Webhooks.',
    ),
});
export type ReceiverDefinition = z.infer<typeof receiver>;
