// The live debugger: each record with what it came to, as server-sent events, while somebody looks.
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { type LiveInterest, liveInterest } from '../../domain/live.ts';
import { ID_CHARACTERS_MAX, KEY_CHARACTERS_MAX } from '../../domain/record-fields.ts';
import { buyerKeyOfText, buyerKeyText } from '../answer.ts';
import type { Dependencies } from '../dependencies.ts';
import { problemError } from '../problem-details.ts';
import { problemResponse, querySchema, responseSchema } from '../schema.ts';
import type { StateReader } from '../state.ts';
import { createLiveHub } from './hub.ts';

const EVENTS_MAX = 1_000_000;
/** Then the client comes back, with a key that is looked at again. */
const SECONDS_MAX = 3_600;
const LAST_EVENT_ID_CHARACTERS_MAX = 256;

const query = z.object({
  key: buyerKeyText.optional(),
  source: liveInterest.shape.source.meta({ description: 'The name of a write key.', examples: ['site'] }),
  verdict: liveInterest.shape.verdict,
  limit: z
    .int()
    .min(1)
    .max(EVENTS_MAX)
    .default(EVENTS_MAX)
    .meta({ description: 'Ends after so many events.' }),
  seconds: z.number().min(0.1).max(SECONDS_MAX).default(SECONDS_MAX).meta({
    description: 'Ends after so long; a client by the standard then comes back by itself.',
  }),
});

/** One of the stream. */
const serverSentEvent = z.object({
  event: z.enum(['open', 'ready', 'event', 'dropped']),
  data: z.string().meta({ description: 'JSON.' }),
  id: z
    .string()
    .optional()
    .meta({ description: 'Of an `event`: its position.', examples: ['events:1:3:120'] }),
  retry: z.int().optional(),
});

const schema = {
  tags: ['sources'],
  summary: 'Live: each event with its verdict, reason, buyer and what it changed',
  description:
    'Server-sent events. `open` comes first and says what is watched, what of it is not known here (`unknown`), and that it is live only, or, to a `Last-Event-ID` that is still ' +
    'held, that it goes on from there; `ready` says that every event from here on is shown; `event` is one record, its ' +
    '`id` its position; `dropped` says how many were left out, `null` where serve lost its connection to Redis: then `ready` comes again. What collect turned away shows as `rejected`.',
  querystring: querySchema(query),
  response: {
    200: {
      description: 'Events, until the client, `limit`, `seconds` or a shutdown ends it.',
      content: { 'text/event-stream': { schema: responseSchema(serverSentEvent) } },
    },
    '4xx': problemResponse,
    '5xx': problemResponse,
  },
};

/** @throws 400 for a key that no record can have: a user id alone gets its kind before it here */
function watchedKey(text: string): string {
  const key = buyerKeyOfText(text);
  if (key.length <= KEY_CHARACTERS_MAX) return key;
  const detail = `key: a user id has at most ${ID_CHARACTERS_MAX} characters.`;
  throw problemError({ status: 400, code: 'invalid', detail });
}

/** What is watched and not known here (yet): a mistyped name would be just silence. */
async function unknownOf(
  { key, source }: LiveInterest,
  keys: Dependencies['keys'],
  reader: StateReader,
): Promise<string[]> {
  const unknown: string[] = [];
  if (source !== undefined) {
    const names = [...new Set([...keys.all()].map(({ name }) => name))];
    if (!names.includes(source)) unknown.push(`no key is named ${source}; there are ${names.join(', ')}`);
  }
  if (key !== undefined && (await reader.buyer(key)).buyer === null)
    unknown.push(`nothing has come of ${key} yet`);
  return unknown;
}

/** Register under a secret key. */
export function registerLive(
  app: FastifyInstance,
  dependencies: Pick<Dependencies, 'redis' | 'namespace' | 'log' | 'clock' | 'keys'>,
  reader: StateReader,
): void {
  const hub = createLiveHub(dependencies);
  app.addHook('preClose', async () => hub.close());
  // A packed stream would wait for more to pack; a HEAD would wait for ever.
  const options = { schema, exposeHeadRoute: false, compress: false } as const;
  app.get('/v1/events/live', options, async (request, reply) => {
    const { key, source, verdict, limit, seconds } = request.query as z.infer<typeof query>;
    const header = request.headers['last-event-id'];
    const interest = { key: key === undefined ? undefined : watchedKey(key), source, verdict };
    const viewer = await hub.open({
      interest,
      unknown: await unknownOf(interest, dependencies.keys, reader),
      limit,
      seconds,
      lastEventId: typeof header === 'string' ? header.slice(0, LAST_EVENT_ID_CHARACTERS_MAX) : undefined,
    });
    return reply
      .header('content-type', 'text/event-stream; charset=utf-8')
      .header('cache-control', 'no-store')
      .header('x-accel-buffering', 'no')
      .send(viewer.body);
  });
}
