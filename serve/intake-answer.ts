// What everything that takes data in answers: how many were taken, and each that was not with its reason.
import { z } from 'zod';
import type { Rejection } from './intake.ts';
import type { Problem } from './problem-details.ts';

/** Set by `flywheel replay rejected`: what is turned away again is in events.rejected already. */
export const REPLAY_HEADER = 'x-flywheel-replay';

/** Beside it: the name of the key by which it came at first, percent-encoded, for the `source` of behaviour. */
export const SOURCE_HEADER = 'x-flywheel-source';

export const intakeAnswer = z.object({
  success: z.literal(true),
  accepted: z.int(),
  rejected: z.array(
    z.object({ index: z.int(), reason: z.string(), detail: z.string(), messageId: z.string().optional() }),
  ),
});
export type Listed = z.infer<typeof intakeAnswer>['rejected'];

export function listed(rejections: readonly Rejection[]): Listed {
  return rejections.map(({ index, reason, detail, messageId }) => ({
    index,
    reason,
    detail,
    ...(messageId === undefined ? {} : { messageId }),
  }));
}

/** The 400 of a request of which nothing was taken. */
export function refusal(rejections: readonly Rejection[]): Problem {
  const [first] = rejections;
  const alone = rejections.length === 1;
  return {
    status: 400,
    code: alone ? first!.reason : 'all_rejected',
    detail: alone
      ? `Not taken: ${first!.detail}.`
      : `None of the ${rejections.length} was taken; "rejected" says why.`,
    members: { accepted: 0, rejected: listed(rejections) },
  };
}
