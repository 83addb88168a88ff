// Answers stand on definitions: until the topic has been read to its end, they would be wrong.
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { DefinitionView } from '../dependencies.ts';
import { retryProblem } from '../problem-details.ts';

const RETRY_SECONDS = 2;

/** An `onRequest` hook: 503 while definitions are still being read. */
export function requireDefinitions(definitionLog: DefinitionView) {
  return async (_request: FastifyRequest, _reply: FastifyReply): Promise<void> => {
    if (definitionLog.isCaughtUp()) return;
    throw retryProblem(503, 'definitions_pending', 'The definitions are still being read.', RETRY_SECONDS);
  };
}
