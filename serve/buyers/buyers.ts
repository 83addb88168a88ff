// One buyer, as the stream knows them now: one trip to Redis.
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import type { FunnelDefinition, ScoreDefinition } from '../../domain/definition.ts';
import { buyerKeyOf, buyerKeyText } from '../answer.ts';
import type { Dependencies } from '../dependencies.ts';
import { problemError } from '../problem-details.ts';
import { requestSchema, responses } from '../schema.ts';
import type { StateReader } from '../state.ts';
import { answerOf, buyerAnswer } from './buyer-answer.ts';

/** Register under a secret key. */
export function registerBuyers(
  app: FastifyInstance,
  { definitionLog }: Pick<Dependencies, 'definitionLog'>,
  reader: StateReader,
): void {
  const schema = {
    tags: ['buyers'],
    summary: 'A buyer: funnel levels, scores with their factors, stage, opportunities',
    description: 'As of the watermark of the buyer’s partition, by the definitions in force.',
    params: requestSchema(z.object({ key: buyerKeyText })),
    response: responses({ 200: buyerAnswer }),
  };
  app.get('/v1/buyers/:key', { schema }, async (request) => {
    const key = buyerKeyOf((request.params as { key: string }).key);
    const { buyer, partition, watermarkMs } = await reader.buyer(key);
    if (buyer === null) {
      throw problemError({
        status: 404,
        code: 'unknown_buyer',
        detail: `Nothing is known of ${JSON.stringify(key)}. Keys begin with u: (user id) or a: (anonymous id).`,
      });
    }
    const funnels = definitionLog.list<FunnelDefinition>('funnel');
    const scores = definitionLog.list<ScoreDefinition>('score');
    return answerOf(buyer, partition, watermarkMs, funnels, scores);
  });
}
