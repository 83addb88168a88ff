// Collect: the Segment spec over HTTP, as servers and browsers send it. Answers only after Kafka has everything.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { SegmentKind } from '../../domain/buyer-record.ts';
import { jsonText } from '../../platform/json-text.ts';
import type { Outgoing } from '../../platform/kafka.ts';
import { buyerPartition } from '../../platform/keys.ts';
import type { ApiKeys, Caller } from '../authentication.ts';
import { registerCrossOrigin } from '../cross-origin.ts';
import type { Dependencies } from '../dependencies.ts';
import type { Gate } from '../gate.ts';
import { type Intake, isUntaken, type Rejection } from '../intake.ts';
import { intakeAnswer, listed, REPLAY_HEADER, refusal, SOURCE_HEADER } from '../intake-answer.ts';
import { describeKey } from '../openapi.ts';
import { neverPacked } from '../packing.ts';
import { problemError } from '../problem-details.ts';
import type { RejectReason } from '../reject-reasons.ts';
import { bodyOf, type RequestBody, registerRequestBody } from '../request-body.ts';
import { requestSchema, responses } from '../schema.ts';
import { TIME_CHARACTERS_MAX } from '../time.ts';
import { type Envelope, segmentMessage, takeMessage } from './message.ts';

/** Messages of one batch. */
export const BATCH_MESSAGES_MAX = 10_000;

type Dependency = Pick<Dependencies, 'namespace' | 'metrics' | 'clock' | 'keys'> & {
  readonly intake: Intake;
  readonly gate: Gate;
};

const singleRoutes: Readonly<Record<string, SegmentKind>> = {
  track: 'track',
  identify: 'identify',
  page: 'page',
  screen: 'screen',
  group: 'group',
  alias: 'alias',
  t: 'track',
  i: 'identify',
  p: 'page',
  s: 'screen',
  g: 'group',
  a: 'alias',
};
const someId = 'A userId or an anonymousId is needed';
/** What a message of each kind cannot do without. */
const needs: Readonly<Record<SegmentKind, string>> = {
  track: `${someId}, and an event's name.`,
  identify: `${someId}; with both, the visitor is this user.`,
  page: `${someId}.`,
  screen: `${someId}.`,
  group: `${someId}, and a groupId.`,
  alias: 'A userId is needed, and the previousId (or the anonymousId) that is the same person.',
};
const batchRoutes = ['batch', 'import', 'b'];

/** What clients really send, JSON whatever they call it: browsers avoid a preflight, RudderStack says form. */
const contentTypes = ['application/json', 'text/plain', 'application/x-www-form-urlencoded'];

const writeKey = z.string().optional().meta({
  description: 'The key, where no header can be sent, as by a browser’s beacon; one in a header goes first.',
});
const batchSchema = z.looseObject({
  batch: z.array(segmentMessage),
  writeKey,
  sentAt: z.union([z.string(), z.number()]).optional(),
  receivedAt: z.union([z.string(), z.number()]).optional(),
});
interface Fields {
  readonly [name: string]: unknown;
}

function fieldsOf(value: unknown): Fields | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
}

type Messages =
  | { readonly list: readonly unknown[] }
  | { readonly reason: RejectReason; readonly detail: string };

/** The messages of a request, or why there are none. */
function messagesOf(body: RequestBody, fields: Fields | undefined, kind: SegmentKind | undefined): Messages {
  if (body.fault !== null) return { reason: 'malformed', detail: `The body cannot be read: ${body.fault}.` };
  if (fields === undefined) return { reason: 'invalid', detail: 'The body must be a JSON object.' };
  if (kind !== undefined) return { list: [fields] };
  const { batch } = fields;
  if (!Array.isArray(batch))
    return { reason: 'invalid', detail: 'The body must have a member "batch", an array of messages.' };
  if (batch.length === 0)
    return { reason: 'empty_batch', detail: 'The batch is empty: send at least one message.' };
  return { list: batch };
}

/** What can be a time: anything else would be kept with each message of its batch, and says nothing. */
function isTime(value: unknown): boolean {
  return typeof value === 'number' || (typeof value === 'string' && value.length <= TIME_CHARACTERS_MAX);
}

/**
 * The message as it came, with what its envelope said of its times, so that it can be submitted again alone. As where it is
 * taken, the envelope's `sentAt` goes before its own, and its own `receivedAt` before the envelope's.
 */
function rawOf(message: unknown, fields: Fields | undefined, body: RequestBody): Buffer {
  const own = fieldsOf(message);
  if (own === undefined || own === fields) return own === fields ? body.raw : Buffer.from(jsonText(message));
  const { sentAt, receivedAt } = fields ?? {};
  return Buffer.from(
    jsonText({
      ...own,
      ...(isTime(sentAt) ? { sentAt } : {}),
      ...(isTime(receivedAt) && (own.receivedAt ?? null) === null ? { receivedAt } : {}),
    }),
  );
}

interface Sorted {
  readonly records: Outgoing[];
  readonly kinds: SegmentKind[];
  readonly rejections: Rejection[];
  /** Of those taken, each has an id of its own. */
  readonly areNamed: boolean;
}

function sort(
  list: readonly unknown[],
  fields: Fields,
  body: RequestBody,
  envelope: Envelope,
  topic: string,
): Sorted {
  const records: Outgoing[] = [];
  const kinds: SegmentKind[] = [];
  const rejections: Rejection[] = [];
  let areNamed = true;
  for (const [index, message] of list.entries()) {
    const outcome = takeMessage(message, envelope);
    if (outcome.taken) {
      records.push({ topic, partition: buyerPartition(outcome.key), key: outcome.key, value: outcome.value });
      kinds.push(outcome.kind);
      areNamed &&= outcome.isNamed;
      continue;
    }
    const messageId = fieldsOf(message)?.messageId;
    rejections.push({
      index,
      reason: outcome.reason,
      detail: outcome.detail,
      raw: rawOf(message, fields, body),
      messageId: typeof messageId === 'string' ? messageId : undefined,
    });
  }
  return { records, kinds, rejections, areNamed };
}

/** Of what is submitted again the key by which it came at first; the caller where no key has that name any more. */
function sourceOf({ headers }: FastifyRequest, caller: Caller, keys: ApiKeys): string {
  const given = headers[SOURCE_HEADER];
  if (given === undefined) return caller.name;
  for (const { name } of keys.all()) if (encodeURIComponent(name.toWellFormed()) === given) return name;
  return caller.name;
}

type Kept = Omit<Sorted, 'kinds'>;

const NONE_REJECTED: readonly never[] = [];

function collectHandler(route: string, kind: SegmentKind | undefined, dependency: Dependency) {
  const { intake, gate, metrics, clock, namespace, keys } = dependency;
  return async (request: FastifyRequest, reply: FastifyReply) => {
    const body = bodyOf(request);
    const fields = fieldsOf(body.value);
    const caller = gate.callerOf(request, reply, fields?.writeKey, body.fault);
    const nowMs = clock.nowMs();
    const trusted = caller.scope === 'secret';
    const source = { requestId: request.id, route, caller: caller.name, trusted, atMs: nowMs };
    const again = trusted && request.headers[REPLAY_HEADER] !== undefined;
    const keep = async ({ records, rejections, areNamed }: Kept, putBack: () => void): Promise<void> => {
      const kept = again ? [] : rejections;
      const all = records.concat(kept.map((one) => intake.rejected(one, source)));
      if (all.length === 0) return;
      try {
        await intake.write(all, body.raw.length, kept, areNamed);
      } catch (error) {
        if (isUntaken(error)) putBack();
        throw error;
      }
    };

    const messages = messagesOf(body, fields, kind);
    if (!('list' in messages)) {
      // What cannot be read is kept as one, and counts as one.
      const putBack = gate.takeEvents(caller, reply, 1);
      const rejections = [{ index: 0, ...messages, raw: body.raw }];
      await keep({ records: [], rejections, areNamed: true }, putBack);
      throw problemError({
        status: 400,
        code: messages.reason,
        detail: messages.detail,
        members: { accepted: 0 },
      });
    }
    if (messages.list.length > BATCH_MESSAGES_MAX) {
      throw problemError({
        status: 413,
        code: 'too_many',
        detail: `A batch may have ${BATCH_MESSAGES_MAX} messages; nothing was taken.`,
      });
    }
    const putBack = gate.takeEvents(caller, reply, messages.list.length);
    const { sentAt, receivedAt } = fields!;
    const name = again ? sourceOf(request, caller, keys) : caller.name;
    const envelope = { kind, nowMs, sentAt, receivedAt, trusted, source: name };
    const sorted = sort(messages.list, fields!, body, envelope, namespace.topics.events);
    const { records, kinds, rejections } = sorted;
    await keep(sorted, putBack);
    for (const taken of kinds) metrics.collected.inc({ kind: taken });
    if (records.length === 0) throw problemError(refusal(rejections));
    const rejected = rejections.length === 0 ? NONE_REJECTED : listed(rejections);
    return reply.send({ success: true, accepted: records.length, rejected });
  };
}

/** Registers the routes inside a plugin scope of their own: body parsers and CORS headers are theirs alone. */
export async function registerCollect(app: FastifyInstance, dependency: Dependency): Promise<void> {
  registerRequestBody(app, contentTypes, (text) => JSON.parse(text));
  // Messages are judged one by one in the handler; the schemas here describe them.
  app.setValidatorCompiler(() => () => true);
  registerCrossOrigin(
    app,
    [...Object.keys(singleRoutes), ...batchRoutes].map((name) => `/v1/${name}`),
  );
  describeKey(app, 'write');
  const onRequest = dependency.gate.offer;
  const common = { tags: ['collect'], response: responses({ 200: intakeAnswer }) };
  const single = requestSchema(segmentMessage.extend({ writeKey }));
  const batch = requestSchema(batchSchema);
  for (const [name, kind] of Object.entries(singleRoutes)) {
    const route = `/v1/${name}`;
    const schema = { ...common, summary: `Collect one ${kind}`, description: needs[kind], body: single };
    app.post(route, { schema, onRequest, ...neverPacked }, collectHandler(route, kind, dependency));
  }
  for (const name of batchRoutes) {
    const route = `/v1/${name}`;
    const schema = {
      ...common,
      summary: 'Collect a batch: the valid part is taken, the rest comes back',
      body: batch,
    };
    app.post(route, { schema, onRequest, ...neverPacked }, collectHandler(route, undefined, dependency));
  }
}
