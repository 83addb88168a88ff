// Definitions over HTTP: what is in force, as documents with their revision, and the plugins that change and explain it.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { type DefinitionType, definitionTypes } from '../../domain/definition.ts';
import { unknownDefinition } from '../answer.ts';
import type { Dependencies } from '../dependencies.ts';
import { entityTagOf, isUnchanged } from '../entity-tag.ts';
import { requestSchema, responses } from '../schema.ts';
import { registerDefinitionBackfill } from './backfill.ts';
import { registerDefinitionEditing } from './editing.ts';
import { registerDefinitionHistory } from './history.ts';
import { registerDefinitionImport } from './import.ts';
import { registerDefinitionPreview } from './preview/preview.ts';
import { definition, oneParams, shown, tagOf, tags, typeOf, typeParams } from './shapes.ts';

const list = z.object({ definitions: z.array(definition) });

const readable = (shape: z.ZodType) => ({
  ...responses({ 200: shape }),
  304: { type: 'null', description: 'Unchanged since the ETag in If-None-Match.' },
});

/** 304 if the caller has it already. */
function answer(request: FastifyRequest, reply: FastifyReply, tag: string, body: unknown): FastifyReply {
  reply.header('etag', tag);
  if (isUnchanged(request.headers['if-none-match'], tag)) return reply.code(304).send();
  return reply.send(body);
}

function listAnswer(
  request: FastifyRequest,
  reply: FastifyReply,
  definitions: z.infer<typeof definition>[],
): FastifyReply {
  const tag = entityTagOf(definitions.map(({ type, id, revision, hash }) => [type, id, revision, hash]));
  return answer(request, reply, tag, { definitions });
}

/** Register under a secret key. */
export function registerDefinitions(
  app: FastifyInstance,
  deps: Pick<
    Dependencies,
    'definitionLog' | 'publisher' | 'clickhouse' | 'generations' | 'clock' | 'redis' | 'namespace'
  >,
): void {
  const { definitionLog } = deps;
  const ofType = (type: DefinitionType) =>
    definitionLog.list(type).map(({ id }) => shown(definitionLog.historyOf(type, id).at(-1)!));
  app.get(
    '/v1/definitions',
    { schema: { tags, summary: 'All definitions in force', response: readable(list) } },
    async (request, reply) => listAnswer(request, reply, definitionTypes.flatMap(ofType)),
  );
  app.get(
    '/v1/definitions/:type',
    {
      schema: {
        tags,
        summary: 'The definitions of one type',
        params: requestSchema(typeParams),
        response: readable(list),
      },
    },
    async (request, reply) => {
      const { type } = request.params as z.infer<typeof typeParams>;
      return listAnswer(request, reply, ofType(typeOf(type)));
    },
  );
  app.get(
    '/v1/definitions/:type/:id',
    {
      schema: {
        tags,
        summary: 'One definition; its ETag names its revision',
        params: requestSchema(oneParams),
        response: readable(definition),
      },
    },
    async (request, reply) => {
      const { type: text, id } = request.params as z.infer<typeof oneParams>;
      const type = typeOf(text);
      const record = definitionLog.historyOf(type, id).at(-1);
      if (record === undefined || record.document === null) throw unknownDefinition(type, id);
      return answer(request, reply, tagOf(record), shown(record));
    },
  );
  registerDefinitionEditing(app, deps);
  registerDefinitionHistory(app, deps);
  registerDefinitionBackfill(app, deps);
  registerDefinitionPreview(app, deps);
  registerDefinitionImport(app, deps);
}
