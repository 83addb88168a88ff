// What became of a definition: its revisions with who and why, one of them, and what differs between two.
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import type { DefinitionRecord } from '../../domain/record.ts';
import { definedHistory, unknownRevision } from '../answer.ts';
import type { Dependencies } from '../dependencies.ts';
import { querySchema, requestSchema, responses } from '../schema.ts';
import { differenceOf, operation } from './difference.ts';
import { oneParams, revision, shownRevision, tags, typeOf } from './shapes.ts';

type HistoryPorts = Pick<Dependencies, 'definitionLog'>;

const PAGE_MAX = 200;

/** Revision 0 is before the first one. @throws 404 for one that there is not */
function documentAt(history: readonly DefinitionRecord[], number: number): DefinitionRecord['document'] {
  if (number === 0) return null;
  const found = history.find((record) => record.revision === number);
  if (found !== undefined) return found.document;
  throw unknownRevision(`There is no revision ${number}; the last one is ${history.at(-1)!.revision}.`);
}

/** Register under a secret key. */
export function registerDefinitionHistory(app: FastifyInstance, deps: HistoryPorts): void {
  const page = z.object({
    limit: z.int().min(1).max(PAGE_MAX).default(50),
    before: z.int().min(1).optional().meta({ description: 'Only revisions below this one.' }),
  });
  const history = z.object({ type: z.string(), id: z.string(), revisions: z.array(revision) });
  const historySchema = {
    tags,
    summary: 'The revisions of a definition, the last one first',
    description: 'Also of one that was withdrawn.',
    params: requestSchema(oneParams),
    querystring: querySchema(page),
    response: responses({ 200: history }),
  };
  app.get('/v1/definitions/:type/:id/history', { schema: historySchema }, async (request) => {
    const { type: text, id } = request.params as z.infer<typeof oneParams>;
    const { limit, before } = request.query as z.infer<typeof page>;
    const type = typeOf(text);
    const revisions = definedHistory(deps.definitionLog, type, id)
      .filter((record) => before === undefined || record.revision < before)
      .slice(-limit)
      .reverse();
    return { type, id, revisions: revisions.map(shownRevision) };
  });

  const between = z.object({
    from: z.int().min(0).optional().meta({ description: 'A revision; the one before `to` if absent.' }),
    to: z.int().min(0).optional().meta({ description: 'A revision; the last one if absent.' }),
  });
  const difference = z.object({
    type: z.string(),
    id: z.string(),
    from: z.int(),
    to: z.int(),
    patch: z.array(operation).meta({ description: 'A JSON Patch (RFC 6902); empty if both say the same.' }),
  });
  const diffSchema = {
    tags,
    summary: 'What differs between two revisions',
    description: 'Revision 0 stands for what was before the first one.',
    params: requestSchema(oneParams),
    querystring: querySchema(between),
    response: responses({ 200: difference }),
  };
  app.get('/v1/definitions/:type/:id/diff', { schema: diffSchema }, async (request) => {
    const { type: text, id } = request.params as z.infer<typeof oneParams>;
    const asked = request.query as z.infer<typeof between>;
    const type = typeOf(text);
    const revisions = definedHistory(deps.definitionLog, type, id);
    const to = asked.to ?? revisions.at(-1)!.revision;
    const from = asked.from ?? Math.max(0, to - 1);
    const patch = differenceOf(documentAt(revisions, from), documentAt(revisions, to));
    return { type, id, from, to, patch };
  });
}
