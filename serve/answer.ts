// What every answer shares: times as ISO 8601, keys as people write them, and what a refusing log or store comes to.
import { z } from 'zod';
import type { DefinitionType } from '../domain/definition.ts';
import type { DefinitionRecord } from '../domain/record.ts';
import { KEY_CHARACTERS_MAX } from '../domain/record-fields.ts';
import { PlatformError } from '../platform/platform-error.ts';
import type { DefinitionView } from './dependencies.ts';
import { type ProblemError, problemError, retryProblem } from './problem-details.ts';

/** A time as it leaves the API. */
export function iso(ms: number): string {
  return new Date(ms).toISOString();
}

/** A time as it leaves the API; null where there is none (0 inside). */
export function isoOrNull(ms: number | null): string | null {
  return ms === null || ms === 0 ? null : iso(ms);
}

export const isoTime = z.string().meta({ format: 'date-time', examples: ['2026-01-15T09:30:00.000Z'] });

const kindNames: Readonly<Record<string, string>> = {
  'u:': 'a user id',
  'a:': 'an anonymous id',
  'c:': 'a group id',
};

/** Whether a key says of what kind somebody is, and not who: where an id was left out. */
export function isKindAlone(text: string): boolean {
  return Object.hasOwn(kindNames, text);
}

/** `u:…` and `a:…` are buyers' keys as they are; anything else is a user's id. @throws 400 for a kind without an id */
export function buyerKeyOfText(text: string): string {
  if (isKindAlone(text)) {
    const detail = `The key ${JSON.stringify(text)} names nobody: ${kindNames[text]} must stand behind ${text}`;
    throw problemError({ status: 400, code: 'invalid', detail: `${detail} and here there is none.` });
  }
  const wellFormed = text.toWellFormed();
  return /^[ua]:./s.test(wellFormed) ? wellFormed : `u:${wellFormed}`;
}

/** A buyer's key in requests: with the kind, or a user's id. */
export const buyerKeyText = z
  .string()
  .min(1)
  .max(KEY_CHARACTERS_MAX)
  .meta({
    description: 'A buyer: `u:<userId>`, `a:<anonymousId>`, or a user id alone.',
    examples: ['u:buyer-123'],
  });

/** The problem for a record that Kafka did not take; anything else comes back as it is. */
export function logProblem(error: unknown): unknown {
  if (!(error instanceof PlatformError)) return error;
  switch (error.code) {
    case 'KAFKA_QUEUE_FULL':
      return retryProblem(503, 'log_busy', 'Too much waits for the log already; nothing was written.', 1);
    case 'KAFKA_NOT_DELIVERED':
    case 'KAFKA_UNREACHABLE':
    case 'KAFKA_FATAL':
    case 'KAFKA_CLOSED':
      return retryProblem(
        503,
        'log_unavailable',
        'The log did not acknowledge in time; the same request may be sent again.',
        5,
      );
    default:
      return error;
  }
}

/** A name that no definition in force has. */
export function unknownDefinition(type: string, id: string): ProblemError {
  return problemError({
    status: 404,
    code: 'unknown_definition',
    detail: `There is no ${type} ${JSON.stringify(id)}; GET /v1/definitions/${type} lists what there is.`,
  });
}

/** The revisions of a definition, withdrawn ones too. @throws 404 for a name that none ever had */
export function definedHistory(
  definitionLog: Pick<DefinitionView, 'historyOf'>,
  type: DefinitionType,
  id: string,
): readonly DefinitionRecord[] {
  const history = definitionLog.historyOf(type, id);
  if (history.length === 0) throw unknownDefinition(type, id);
  return history;
}

export function unknownRevision(detail: string): ProblemError {
  return problemError({ status: 404, code: 'unknown_revision', detail });
}
