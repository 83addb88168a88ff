// The evaluation context of an OFREP request: who it is about, checked by hand because the protocol names an error
// code for each fault.
import type { Buyer } from '../../domain/buyer.ts';
import { ID_CHARACTERS_MAX, KEY_CHARACTERS_MAX } from '../../domain/record-fields.ts';
import { buyerKeyOfText, isKindAlone } from '../answer.ts';
import type { EvaluationFailure } from './evaluate.ts';

export interface EvaluationContext {
  /** The buyer's key in the log, `u:…` or `a:…`. */
  readonly key: string;
  /** The id without its kind: hashed, so that a user is in the same bucket however named. */
  readonly hashKey: string;
  /** Every buyer key that the caller named, the subject's own first. */
  readonly keys: readonly string[];
  /** Everything that stands in the context. */
  readonly attributes: Readonly<Record<string, unknown>>;
}

export type ContextFault = Pick<EvaluationFailure, 'errorCode' | 'errorDetails'>;

export type ContextResult =
  | { readonly ok: true; readonly context: EvaluationContext }
  | { readonly ok: false; readonly fault: ContextFault };

function fault(errorCode: ContextFault['errorCode'], errorDetails: string): ContextResult {
  return { ok: false, fault: { errorCode, errorDetails } };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isId(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= ID_CHARACTERS_MAX;
}

/** A text that was cut in the middle of a character. */
function isCut(value: unknown): boolean {
  return typeof value === 'string' && !value.isWellFormed();
}

/** The buyer's key that it names; undefined for none, for a kind without an id, and for one too long for any record of the log. */
function keyIn(targetingKey: unknown): string | undefined {
  if (typeof targetingKey !== 'string' || isKindAlone(targetingKey)) return undefined;
  const key = buyerKeyOfText(targetingKey);
  return key.length <= KEY_CHARACTERS_MAX ? key : undefined;
}

/** Reads a request's body. Beside `targetingKey`, `userId` and `anonymousId` name keys whose exposures count too. */
export function readContext(body: unknown): ContextResult {
  if (!isObject(body)) return fault('PARSE_ERROR', 'the body must be a JSON object with a context');
  if (!isObject(body.context)) return fault('INVALID_CONTEXT', 'context must be an object');
  const { context } = body;
  const { targetingKey } = context;
  if (targetingKey === undefined || targetingKey === null || targetingKey === '')
    return fault('TARGETING_KEY_MISSING', 'context has no targetingKey');
  const key = keyIn(targetingKey);
  if (key === undefined)
    return fault(
      'INVALID_CONTEXT',
      `targetingKey must be a text: u: or a: with an id of 1 to ${ID_CHARACTERS_MAX} characters, or a user id alone`,
    );
  if ([targetingKey, context.userId, context.anonymousId].some(isCut))
    return fault(
      'INVALID_CONTEXT',
      'targetingKey, userId or anonymousId has half of a character: two ids would become one',
    );
  const keys = new Set([key]);
  if (isId(context.userId)) keys.add(`u:${context.userId}`);
  if (isId(context.anonymousId)) keys.add(`a:${context.anonymousId}`);
  return { ok: true, context: { key, hashKey: key.slice(2), keys: [...keys], attributes: context } };
}

/** What targeting may look at: what is known of the buyer, and over it what the caller says. */
export function attributesFor(
  context: EvaluationContext,
  known: readonly (Buyer | null)[],
): Readonly<Record<string, unknown>> {
  const attributes: Record<string, unknown> = {};
  for (const buyer of [...known].reverse()) {
    if (buyer === null) continue;
    for (const name of ['country', 'industry', 'channel', 'level'] as const) {
      const stamped = buyer[name];
      if (stamped !== null) attributes[name] = stamped.value;
    }
    if (buyer.stage !== null) attributes.stage = buyer.stage;
  }
  return { ...attributes, ...context.attributes };
}
