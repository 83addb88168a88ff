// Triggers by pull: what waits to be delivered, and the receiver's word that it has it.
import type { FastifyInstance } from 'fastify';
import { Counter } from 'prom-client';
import { z } from 'zod';
import type { WaitingTrigger } from '../../domain/delivery.ts';
import { KEY_CHARACTERS_MAX } from '../../domain/record-fields.ts';
import { buyerPartition } from '../../platform/keys.ts';
import { buyerKeyOfText, definedHistory, iso, isoTime, logProblem } from '../answer.ts';
import type { Dependencies } from '../dependencies.ts';
import { problemError } from '../problem-details.ts';
import { querySchema, requestSchema, responses } from '../schema.ts';
import type { StateReader } from '../state.ts';
import { createTurns } from '../turns.ts';
import { allPartitions, offerTriggers } from './pending-triggers.ts';
import { type AcknowledgementStatus, createReceipts, type Receipts } from './receipts.ts';

const LIMIT_MAX = 1_000;
/** Filtered offers that look beyond the first page, in one process: each may go through all that wait. */
const SCANS_MAX = 2;
/** A scan is over in some hundred milliseconds as a rule, and several pullers come at the same time. */
const SCAN_LINE = { most: 30, seconds: 2 };
const SCAN_RETRY_SECONDS = 2;
const tags = ['triggers'];

const triggerId = z
  .string()
  .min(1)
  .max(64)
  .meta({ examples: ['3-120482-0'] });
const recordKey = z
  .string()
  .regex(/^[ua]:[\s\S]+$/)
  .max(KEY_CHARACTERS_MAX)
  .meta({ description: 'The buyer key that the trigger came with.', examples: ['u:buyer-123'] });

const query = z.object({
  limit: z.int().min(1).max(LIMIT_MAX).default(100),
  definition: z.string().max(128).optional().meta({ description: 'Only triggers of this definition.' }),
  key: z.string().max(KEY_CHARACTERS_MAX).optional().meta({ description: 'Only triggers of this buyer.' }),
});

const offered = z.object({
  triggers: z.array(
    z.object({
      id: triggerId,
      definition: z.string().meta({ examples: ['qualified-opportunity'] }),
      revision: z.int(),
      on: z.enum(['transition', 'opportunity']),
      key: z.string(),
      from: z.string(),
      to: z.string(),
      time: isoTime,
      expires: isoTime,
      data: z
        .record(z.string(), z.unknown())
        .meta({ description: 'What explains it: inputs and revisions.' }),
    }),
  ),
  withheld: z.array(z.object({ partition: z.int(), reason: z.string() })).meta({
    description: 'Partitions whose triggers are not offered now, because their state may be an old copy.',
  }),
});

const acknowledgement = z.object({ id: triggerId, key: recordKey.optional() });
const status = z.enum(['acknowledged', 'unknown', 'misplaced']);

function shown(trigger: WaitingTrigger): z.infer<typeof offered>['triggers'][number] {
  const { id, definition, revision, on, key, from, to, timeMs, expiresMs, data } = trigger;
  return { id, definition, revision, on, key, from, to, time: iso(timeMs), expires: iso(expiresMs), data };
}

const refusals: Record<Exclude<AcknowledgementStatus, 'acknowledged'>, string> = {
  unknown:
    'This trigger is not pending: it was acknowledged before, has expired, or never was. ' +
    'With its buyer key in the body the receipt is recorded anyway.',
  misplaced:
    'This key is not the one that the trigger came with; without a key that of the trigger is taken.',
};

function registerOffer(
  app: FastifyInstance,
  deps: Dependencies,
  reader: StateReader,
  receipts: Receipts,
): void {
  const detail = `${SCANS_MAX} requests look through all that waits for what they filter, which is the most that one process does at a time.`;
  const turns = createTurns({
    max: SCANS_MAX,
    line: SCAN_LINE,
    busy: { code: 'too_many_scans', detail, retrySeconds: SCAN_RETRY_SECONDS },
  });
  const schema = {
    tags,
    summary: 'Triggers that wait to be delivered',
    description:
      'Of each partition it looks until `limit` are found or all were seen, and tells the oldest of these first: where more wait than ' +
      '`limit`, others that were not looked at may be older. Fewer than `limit` are all that there are outside of `withheld`. A trigger is offered until it is acknowledged or expires, so a puller acknowledges what it has taken. ' +
      'A partition is withheld until its owner has passed the log’s end and while the owner is not seen.',
    querystring: querySchema(query),
    response: responses(
      { 200: offered },
      {
        503: `\`too_many_scans\`: many wait, and ${SCANS_MAX} requests with \`definition\` or \`key\` look through them already. \`state_unavailable\`: Redis did not answer.`,
      },
    ),
  };
  app.get('/v1/triggers', { schema }, async (request, reply) => {
    const { limit, definition, key } = request.query as z.infer<typeof query>;
    const buyer = key === undefined ? null : buyerKeyOfText(key);
    const offer = await offerTriggers(reader, {
      partitions: buyer === null ? allPartitions : [buyerPartition(buyer)],
      limit,
      nowMs: deps.clock.nowMs,
      // Without a filter nearly all that it looks at fits, and the limit ends it.
      further: (scan) => (definition === undefined && buyer === null ? scan() : turns.take(reply, scan)),
      accepts: (trigger) =>
        (definition === undefined || trigger.definition === definition) &&
        (buyer === null || trigger.key === buyer) &&
        !receipts.isAcknowledged(trigger.id),
    });
    if (offer.triggers.length === 0 && definition !== undefined)
      definedHistory(deps.definitionLog, 'trigger', definition);
    return { triggers: offer.triggers.map(shown), withheld: offer.withheld };
  });
}

function registerAcknowledge(app: FastifyInstance, receipts: Receipts, counter: Counter<'status'>): void {
  async function acknowledge(
    list: readonly z.infer<typeof acknowledgement>[],
  ): Promise<AcknowledgementStatus[]> {
    try {
      const statuses = await receipts.acknowledge(list);
      for (const each of statuses) counter.inc({ status: each });
      return statuses;
    } catch (error) {
      throw logProblem(error);
    }
  }
  const one = {
    tags,
    summary: 'Acknowledge one trigger',
    description:
      'Answered once the receipt is in the log. Repeating it changes nothing. 404 if it is not pending, 422 for a key that is not its own.',
    params: requestSchema(z.object({ id: triggerId })),
    body: { ...requestSchema(z.object({ key: recordKey.optional() })), nullable: true },
    response: responses({ 200: z.object({ id: triggerId, status: status.extract(['acknowledged']) }) }),
  };
  app.post('/v1/triggers/:id/ack', { schema: one }, async (request) => {
    const { id } = request.params as { id: string };
    const key = (request.body as { key?: string } | null | undefined)?.key;
    const [result] = await acknowledge([{ id, key }]);
    if (result === 'acknowledged') return { id, status: result };
    throw problemError({
      status: result === 'unknown' ? 404 : 422,
      code: result === 'unknown' ? 'unknown_trigger' : 'misplaced_trigger',
      detail: refusals[result!],
    });
  });
  const many = {
    tags,
    summary: 'Acknowledge many triggers at once',
    body: requestSchema(z.object({ triggers: z.array(acknowledgement).min(1).max(LIMIT_MAX) })),
    response: responses({ 200: z.object({ results: z.array(z.object({ id: triggerId, status })) }) }),
  };
  app.post('/v1/triggers/ack', { schema: many }, async (request) => {
    const { triggers } = request.body as { triggers: z.infer<typeof acknowledgement>[] };
    const statuses = await acknowledge(triggers);
    return { results: triggers.map(({ id }, index) => ({ id, status: statuses[index]! })) };
  });
}

/** Register under a secret key. */
export function registerTriggers(app: FastifyInstance, deps: Dependencies, reader: StateReader): void {
  const receipts = createReceipts({
    reader,
    producer: deps.producer,
    topic: deps.namespace.topics.events,
    nowMs: deps.clock.nowMs,
  });
  const counter = new Counter({
    name: 'flywheel_trigger_acknowledgements_total',
    help: 'Acknowledgements of triggers, by what they came to.',
    labelNames: ['status'],
    registers: [deps.metrics.registry],
  });
  registerOffer(app, deps, reader, receipts);
  registerAcknowledge(app, receipts, counter);
}
