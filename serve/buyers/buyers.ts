// One buyer or company, as the stream knows them now: one trip to Redis.
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import type { FunnelDefinition, ScoreDefinition } from '../../domain/definition.ts';
import { buyerKeyOfText, buyerKeyText, isoOrNull } from '../answer.ts';
import type { Dependencies } from '../dependencies.ts';
import { problemError } from '../problem-details.ts';
import { requestSchema, responses } from '../schema.ts';
import type { StateReader } from '../state.ts';
import { answerOf, buyerAnswer } from './buyer-answer.ts';

const keyText = buyerKeyText.meta({
  description: 'A buyer or company: `u:<userId>`, `a:<anonymousId>`, `c:<groupId>`, or a user id alone.',
  examples: ['u:buyer-123'],
});

/** Companies have records too; elsewhere a key is a buyer's. */
function keyOf(text: string): string {
  const wellFormed = text.toWellFormed();
  return /^c:./s.test(wellFormed) ? wellFormed : buyerKeyOfText(wellFormed);
}

/** Register under a secret key. */
export function registerBuyers(
  app: FastifyInstance,
  { definitionLog }: Pick<Dependencies, 'definitionLog'>,
  reader: StateReader,
): void {
  const schema = {
    tags: ['buyers'],
    summary: 'A buyer or company: funnel levels, scores with their factors, stage, opportunities, links',
    description:
      'As of the watermark of its partition, by the definitions in force. A visitor who is linked names its person: what it does ' +
      'counts there, and its own record goes on in silence. A company has levels and scores, no stage and no opportunities.',
    params: requestSchema(z.object({ key: keyText })),
    response: responses({ 200: buyerAnswer }),
  };
  app.get('/v1/buyers/:key', { schema }, async (request) => {
    const key = keyOf((request.params as { key: string }).key);
    const { buyer, partition, watermarkMs } = await reader.buyer(key);
    if (buyer === null) {
      throw problemError({
        status: 404,
        code: 'unknown_buyer',
        detail: `Nothing is known of ${JSON.stringify(key)}. Keys begin with u: (user id), a: (anonymous id) or c: (group id). What was sent just now may still be on its way: the stream stands at ${isoOrNull(watermarkMs) ?? 'nothing yet'} in its partition.`,
      });
    }
    const funnels = definitionLog.list<FunnelDefinition>('funnel');
    const scores = definitionLog.list<ScoreDefinition>('score');
    return answerOf(buyer, partition, watermarkMs, funnels, scores);
  });
}
