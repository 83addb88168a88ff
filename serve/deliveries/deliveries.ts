// Triggers on their way to receivers, dead ones among them, and the wish to have one sent again.
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { type Delivery, deliveryStatuses } from '../../domain/delivery.ts';
import { deliveryMessage } from '../../platform/delivery-log.ts';
import { iso, isoTime, logProblem } from '../answer.ts';
import type { Dependencies } from '../dependencies.ts';
import { problemError, retryProblem } from '../problem-details.ts';
import { querySchema, requestSchema, responses } from '../schema.ts';

const LIMIT_MAX = 1_000;
const tags = ['triggers'];

const deliveryId = z
  .string()
  .min(1)
  .max(64)
  .meta({ description: 'The `webhook-id`.', examples: ['msg_0f3a…'] });

const query = z.object({
  limit: z.int().min(1).max(LIMIT_MAX).default(100),
  status: z.enum(deliveryStatuses).optional(),
  receiver: z.string().max(128).optional(),
});

const truncated = z.boolean().meta({
  description: 'There are more, with an older change: ask for one `status`, or with a higher `limit`.',
});

const shownDelivery = z.object({
  id: deliveryId,
  receiver: z.string(),
  status: z.enum(deliveryStatuses).meta({
    description:
      '`queued` to be sent, `sending` now, `delivered` answered 2xx, `dead` given up until it is replayed, ' +
      '`settled` acknowledged elsewhere or expired before it was sent.',
  }),
  attempts: z.int(),
  due: isoTime,
  changed: isoTime,
  answer: z.int().meta({ description: 'HTTP status of the last attempt; 0: there was no answer.' }),
  detail: z.string(),
  trigger: z.object({
    id: z.string(),
    definition: z.string(),
    key: z.string(),
    time: isoTime,
    expires: isoTime,
  }),
});

function shown({ id, receiver, status, attempt, dueMs, atMs, answer, detail, trigger }: Delivery) {
  const { id: triggerId, definition, key, timeMs, expiresMs } = trigger;
  return {
    id,
    receiver,
    status,
    attempts: attempt,
    due: iso(dueMs),
    changed: iso(atMs),
    answer,
    detail,
    trigger: { id: triggerId, definition, key, time: iso(timeMs), expires: iso(expiresMs) },
  };
}

/** Register under a secret key. */
export function registerDeliveries(app: FastifyInstance, deps: Dependencies): void {
  const { deliveries, namespace, producer, clock } = deps;

  function requireCaughtUp(): void {
    if (!deliveries.isCaughtUp())
      throw retryProblem(503, 'deliveries_pending', 'The deliveries have not been read to their end yet.', 1);
  }

  const list = {
    tags,
    summary: 'Deliveries of triggers to receivers, the latest change first',
    description:
      'At most 100,000 are known here; delivered and settled ones make room first. `flywheel deliveries list` reads all.',
    querystring: querySchema(query),
    response: responses({ 200: z.object({ deliveries: z.array(shownDelivery), truncated }) }),
  };
  app.get('/v1/deliveries', { schema: list }, async (request) => {
    requireCaughtUp();
    const { limit, status, receiver } = request.query as z.infer<typeof query>;
    const found: Delivery[] = [];
    for (const each of deliveries.latest()) {
      if (found.length > limit) break;
      if (status !== undefined && each.status !== status) continue;
      if (receiver === undefined || each.receiver === receiver) found.push(each);
    }
    return { deliveries: found.slice(0, limit).map(shown), truncated: found.length > limit };
  });

  const replay = {
    tags,
    summary: 'Send a dead delivery again',
    description:
      'Under the same `webhook-id` and with the receiver’s whole schedule before it; not if the trigger was ' +
      'acknowledged or has expired meanwhile. Answered once the wish is in the log.',
    params: requestSchema(z.object({ id: deliveryId })),
    response: responses({ 202: z.object({ id: deliveryId, status: z.literal('queued') }) }),
  };
  app.post('/v1/deliveries/:id/replay', { schema: replay }, async (request, reply) => {
    requireCaughtUp();
    const { id } = request.params as { id: string };
    const delivery = deliveries.find(id);
    if (delivery === undefined)
      throw problemError({
        status: 404,
        code: 'unknown_delivery',
        detail: `There is no delivery ${JSON.stringify(id)}.`,
      });
    if (delivery.status !== 'dead')
      throw problemError({
        status: 409,
        code: 'not_dead',
        detail: `The delivery is ${delivery.status}; only a dead one can be replayed.`,
      });
    const by = request.caller?.name ?? '';
    const { topic, partition, key, value } = deliveryMessage(namespace, {
      kind: 'replay',
      id,
      by,
      atMs: clock.nowMs(),
      delivery,
    });
    await producer.send(topic, partition, key, value).catch((error: unknown) => {
      throw logProblem(error);
    });
    return reply.code(202).send({ id, status: 'queued' });
  });
}
