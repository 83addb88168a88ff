// Changing definitions: who changes one says which revision they saw (If-Match), so that nobody overwrites what they have not read.
// The answer comes when every partition has the change; `publisher` decides who was first.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { DefinitionType } from '../../domain/definition.ts';
import type { DefinitionRecord } from '../../domain/record.ts';
import { canonicalHash } from '../../platform/canonical.ts';
import { checkDocument } from '../../platform/definition-document.ts';
import type { Publication, Published } from '../../platform/definition-publish.ts';
import { PlatformError } from '../../platform/platform-error.ts';
import { unknownDefinition } from '../answer.ts';
import type { Dependencies } from '../dependencies.ts';
import { type ProblemError, problemError, retryProblem } from '../problem-details.ts';
import { querySchema, requestSchema, responses } from '../schema.ts';
import { definition, oneParams, reasonOf, shown, tagOf, tags, typeOf, writing } from './shapes.ts';
import { tooLarge } from './too-large.ts';

type EditingPorts = Pick<Dependencies, 'definitionLog' | 'publisher'>;

const preconditions = z.object({
  'if-match': z.string().optional().meta({
    description: 'The ETag of the revision that is to be replaced or withdrawn; `*`: whatever there is.',
  }),
  'if-none-match': z
    .string()
    .optional()
    .meta({ description: '`*`, instead of If-Match: only if there is none of this id yet.' }),
});

function tagsIn(header: string): string[] {
  return header.split(',').map((tag) => tag.trim());
}

/** If-Match compares strongly (RFC 9110, section 13.1.1). A withdrawn definition is none. @throws 428 without a condition */
function preconditionOf(request: FastifyRequest): NonNullable<Publication['precondition']> {
  const { 'if-match': ifMatch, 'if-none-match': ifNoneMatch } = request.headers;
  if (ifMatch === undefined && ifNoneMatch === undefined) {
    throw problemError({
      status: 428,
      code: 'precondition_required',
      detail:
        'Say which revision you have seen: If-Match with the ETag of GET to change it, If-None-Match: * to make a new one.',
    });
  }
  const isOneOf = (header: string, current: DefinitionRecord | undefined): boolean => {
    if (current === undefined || current.document === null) return false;
    return tagsIn(header).some((tag) => tag === '*' || tag === tagOf(current));
  };
  return (current) =>
    (ifMatch === undefined || isOneOf(ifMatch, current)) &&
    (ifNoneMatch === undefined || !isOneOf(ifNoneMatch.replaceAll('W/', ''), current));
}

/** @param current as it stands now; undefined or without a document: there is none */
function conflict(type: string, id: string, current: DefinitionRecord | undefined): ProblemError {
  const name = `${type} ${JSON.stringify(id)}`;
  if (current === undefined || current.document === null) {
    const detail = `There is no ${name} to replace: leave If-Match out and send If-None-Match: * to make it.`;
    const members = { revision: current?.revision ?? 0 };
    return problemError({ status: 412, code: 'precondition_failed', detail, members });
  }
  const etag = tagOf(current);
  return problemError({
    status: 412,
    code: 'precondition_failed',
    detail:
      `The ${name} exists, at revision ${current.revision}, which is not what you have seen. ` +
      `If-Match takes the ETag that GET gave, which is now ${etag}; read it and decide again. If-None-Match: * makes new ones only.`,
    headers: { etag },
    members: { revision: current.revision, etag },
  });
}

/** What keeps a change from being made. */
function refusal(
  deps: EditingPorts,
  type: DefinitionType,
  id: string,
  published: Exclude<Published, { outcome: 'published' | 'unchanged' }>,
): ProblemError {
  switch (published.outcome) {
    case 'absent':
      return unknownDefinition(type, id);
    case 'conflict':
      return conflict(type, id, deps.definitionLog.historyOf(type, id).at(-1));
    case 'invalid':
      return problemError({
        status: 422,
        code: 'invalid_definition',
        detail: `Nothing was changed: ${published.reasons.join('; ')}.`,
        members: { reasons: published.reasons },
      });
    case 'needed':
      return problemError({
        status: 409,
        code: 'definition_needed',
        detail: `It was not withdrawn: ${published.reasons.join('; ')}.`,
        members: { reasons: published.reasons },
      });
    case 'referred':
      return problemError({
        status: 409,
        code: 'definition_in_use',
        detail: `Others refer to the ${type} ${JSON.stringify(id)}: ${published.by.map((by) => `${by.type}/${by.id}`).join(', ')}. Change them first.`,
        members: { referrers: published.by },
      });
  }
}

/** Whether it is what was said last, by this request or, before every partition had it, by one before. */
function isHeard({ definitionLog }: EditingPorts, { type, id, document }: Publication): boolean {
  const last = definitionLog.historyOf(type, id).at(-1);
  if (last === undefined || document === null) return last?.document === null;
  const checked = checkDocument(type, id, document, last.document);
  return checked.ok && canonicalHash(checked.document) === last.hash;
}

/** @throws the problem that keeps the change from being made; 413 for what is too large for the log, 503 if Kafka did not say whether it was */
async function publish(
  deps: EditingPorts,
  publication: Publication,
): Promise<Extract<Published, { outcome: 'published' | 'unchanged' }>> {
  const { type, id } = publication;
  try {
    const published = await deps.publisher.publish(publication);
    if ('hash' in published && published.outcome !== 'conflict') return published;
    throw refusal(deps, type, id, published);
  } catch (error) {
    if (!(error instanceof PlatformError)) throw error;
    if (error.code === 'KAFKA_TOO_LARGE') {
      const detail = tooLarge(error, { name: `${type}/${id}`, isHeard: isHeard(deps, publication) });
      throw problemError({ status: 413, code: 'too_large', detail }, error);
    }
    const detail =
      'The log did not acknowledge in time: the change may hold, and then reaches every partition by itself. Read the definition before you try again.';
    throw Object.assign(retryProblem(503, 'log_unavailable', detail, 5), { cause: error });
  }
}

function revisionAt(deps: EditingPorts, type: DefinitionType, id: string, revision: number) {
  return deps.definitionLog.historyOf(type, id).find((record) => record.revision === revision);
}

/** Register under a secret key. */
export function registerDefinitionEditing(app: FastifyInstance, deps: EditingPorts): void {
  const put = {
    tags,
    summary: 'Make or change a definition',
    description:
      'Checked as a whole, with what it refers to: 422 names every reason at once and nothing is changed. ' +
      '428 where neither If-Match nor If-None-Match says what you have seen; 412 if it is not as you saw it, or another change came first. ' +
      'Answered when every partition has it; it is in force from its record on. 200 for the same document changes nothing.',
    params: requestSchema(oneParams),
    headers: requestSchema(preconditions),
    body: requestSchema(writing),
    response: responses(
      { 200: definition, 201: definition },
      {
        413: '`too_large`: the body, or the record that is made of it is larger than the log takes; `detail` says whether it holds.',
      },
    ),
  };
  app.put('/v1/definitions/:type/:id', { schema: put }, async (request, reply): Promise<FastifyReply> => {
    const { type: text, id } = request.params as z.infer<typeof oneParams>;
    const { document, author, reason } = request.body as z.infer<typeof writing>;
    const type = typeOf(text);
    const precondition = preconditionOf(request);
    const by = author ?? request.caller!.name;
    const why = reasonOf(reason);
    const { outcome, revision } = await publish(deps, { type, id, document, by, why, precondition });
    const record = revisionAt(deps, type, id, revision)!;
    const before = revisionAt(deps, type, id, revision - 1);
    const isNew = outcome === 'published' && (before === undefined || before.document === null);
    return reply
      .code(isNew ? 201 : 200)
      .header('etag', tagOf(record))
      .send(shown(record));
  });

  const removal = writing.pick({ author: true, reason: true });
  const remove = {
    tags,
    summary: 'Withdraw a definition',
    description:
      'Its history stays, and it may come back. 428 without If-Match, 422 without a reason. 409 says why not: others refer to it (all are named), a running experiment or ' +
      'an active campaign is to be stopped or paused first, the `default` of settings, behaviours, lifecycle and opportunity stays.',
    params: requestSchema(oneParams),
    headers: requestSchema(preconditions.pick({ 'if-match': true })),
    querystring: querySchema(removal),
    response: { ...responses({}), 204: { type: 'null', description: 'It is no longer in force.' } },
  };
  app.delete(
    '/v1/definitions/:type/:id',
    { schema: remove },
    async (request, reply): Promise<FastifyReply> => {
      const { type: text, id } = request.params as z.infer<typeof oneParams>;
      const { author, reason } = request.query as z.infer<typeof removal>;
      const type = typeOf(text);
      const precondition = preconditionOf(request);
      if (deps.definitionLog.find(type, id) === undefined) throw unknownDefinition(type, id);
      const by = author ?? request.caller!.name;
      await publish(deps, { type, id, document: null, by, why: reasonOf(reason), precondition });
      return reply.code(204).send();
    },
  );
}
