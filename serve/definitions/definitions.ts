// The definitions in force, as documents with their revision and hash.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { type DefinitionType, definitionTypes, type InForce } from '../../domain/definition.ts';
import { unknownDefinition } from '../answer.ts';
import type { Dependencies } from '../dependencies.ts';
import { entityTagOf, isUnchanged } from '../entity-tag.ts';
import { problemError } from '../problem-details.ts';
import { requestSchema, responses } from '../schema.ts';

const definition = z.object({
  type: z.string().meta({ examples: ['funnel'] }),
  id: z.string().meta({ examples: ['sourcing'] }),
  revision: z.int(),
  hash: z.string().meta({ description: 'SHA-256 of the canonical document.' }),
  document: z.record(z.string(), z.unknown()),
});
const list = z.object({ definitions: z.array(definition) });
const tags = ['definitions'];

function shown(type: DefinitionType, { id, revision, hash, document }: InForce): z.infer<typeof definition> {
  return { type, id, revision, hash, document: document as Record<string, unknown> };
}

function typeOf(text: string): DefinitionType {
  const type = definitionTypes.find((known) => known === text);
  if (type !== undefined) return type;
  throw problemError({
    status: 404,
    code: 'unknown_definition_type',
    detail: `There is no definition type ${JSON.stringify(text)}; there are ${definitionTypes.join(', ')}.`,
  });
}

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
  { definitionLog }: Pick<Dependencies, 'definitionLog'>,
): void {
  const ofType = (type: DefinitionType) => definitionLog.list(type).map((each) => shown(type, each));
  app.get(
    '/v1/definitions',
    { schema: { tags, summary: 'All definitions in force', response: responses({ 200: list }) } },
    async (request, reply) => listAnswer(request, reply, definitionTypes.flatMap(ofType)),
  );
  const typeParams = z.object({
    type: z
      .string()
      .max(32)
      .meta({ examples: ['funnel'] }),
  });
  app.get(
    '/v1/definitions/:type',
    {
      schema: {
        tags,
        summary: 'The definitions of one type',
        params: requestSchema(typeParams),
        response: responses({ 200: list }),
      },
    },
    async (request, reply) => {
      const { type } = request.params as z.infer<typeof typeParams>;
      return listAnswer(request, reply, ofType(typeOf(type)));
    },
  );
  const oneParams = typeParams.extend({
    id: z
      .string()
      .max(128)
      .meta({ examples: ['sourcing'] }),
  });
  app.get(
    '/v1/definitions/:type/:id',
    {
      schema: {
        tags,
        summary: 'One definition; its ETag is its hash',
        params: requestSchema(oneParams),
        response: responses({ 200: definition }),
      },
    },
    async (request, reply) => {
      const { type: text, id } = request.params as z.infer<typeof oneParams>;
      const type = typeOf(text);
      const found = definitionLog.find(type, id);
      if (found === undefined) throw unknownDefinition(type, id);
      return answer(request, reply, `"${found.hash}"`, shown(type, found));
    },
  );
}
