// A whole set of definitions, as a team keeps it in files: first the plan, then exactly that plan or nothing.
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import type { DefinitionRecord } from '../../domain/record.ts';
import { type PlannedChange, planSet } from '../../platform/definition-set.ts';
import { PlatformError } from '../../platform/platform-error.ts';
import { logProblem } from '../answer.ts';
import type { Dependencies } from '../dependencies.ts';
import { isUnchanged } from '../entity-tag.ts';
import { type Problem, type ProblemError, problemError, retryProblem } from '../problem-details.ts';
import { querySchema, requestSchema, responses } from '../schema.ts';
import { differenceOf, operation } from './difference.ts';
import { reasonOf, setTag, tags, writing } from './shapes.ts';
import { tooLarge } from './too-large.ts';

type ImportPorts = Pick<Dependencies, 'definitionLog' | 'publisher'>;

const DEFINITIONS_MAX = 5_000;
const BODY_BYTES_MAX = 16 * 1_048_576;
const RETRY_SECONDS = 5;

const wanted = writing.pick({ author: true, reason: true }).extend({
  definitions: z
    .array(z.object({ type: z.string().max(32), id: z.string().max(128), document: z.unknown() }))
    .max(DEFINITIONS_MAX),
  withdrawOthers: z
    .boolean()
    .default(false)
    .meta({ description: 'Withdraw what is in force and not in the set.' }),
});
const change = z.object({
  action: z.enum(['create', 'change', 'withdraw']),
  type: z.string(),
  id: z.string(),
  revision: z.int().meta({ description: 'The revision that it would get, or got.' }),
  patch: z.array(operation).meta({ description: 'From what is in force: a JSON Patch (RFC 6902).' }),
});
const outcome = z.object({
  applied: z.boolean(),
  changes: z.array(change).meta({ description: 'In the order in which they are made.' }),
  unchanged: z.int(),
});

function shownChange({ action, type, id, document, before }: PlannedChange): z.infer<typeof change> {
  const patch = action === 'withdraw' ? [] : differenceOf(before?.document ?? null, document);
  return { action, type, id, revision: (before?.revision ?? 0) + 1, patch };
}

const isAsPlanned =
  (planned: DefinitionRecord | undefined) =>
  (current: DefinitionRecord | undefined): boolean =>
    current?.revision === planned?.revision;

/** Between two of its changes, or in one: what came before holds, so that the plan's ETag fits no more. */
function interrupted(
  problem: Omit<Problem, 'detail'>,
  why: string,
  { made, of }: { made: readonly string[]; of: number },
  cause?: unknown,
): ProblemError {
  const detail = `${why} What came before it holds (${made.length} of ${of}); plan again.`;
  return problemError({ ...problem, detail, members: { ...problem.members, made } }, cause);
}

/** What is no fault of the log goes through. */
function cutOffByLog(
  error: unknown,
  { name, isHeard }: { name: string; isHeard: boolean },
  progress: { made: readonly string[]; of: number },
): unknown {
  if (error instanceof PlatformError && error.code === 'KAFKA_TOO_LARGE')
    return interrupted(
      { status: 413, code: 'too_large' },
      tooLarge(error, { name, isHeard }),
      progress,
      error,
    );
  const said = logProblem(error);
  if (said === error) return error;
  const { problem } = said as ProblemError;
  // Also the record that says that every partition has a change may find no room: then the change is written all the same.
  if (problem.code === 'log_busy' && !isHeard)
    return interrupted(
      problem,
      `Too much waits for the log already; nothing of ${name} was written.`,
      progress,
      error,
    );
  const why = `The log did not acknowledge ${name} in time: it may hold, and then reaches every partition by itself.`;
  const unsure = retryProblem(503, 'log_unavailable', why, RETRY_SECONDS);
  return interrupted(unsure.problem, why, progress, error);
}

/** @throws 409 when somebody changes one of them meanwhile, 413 for one that is too large for the log, 503 if Kafka did not say whether it has one, or had no room for it */
async function apply(
  deps: ImportPorts,
  changes: readonly PlannedChange[],
  said: { by: string; why: string },
): Promise<void> {
  const made: string[] = [];
  for (const { type, id, document, before } of changes) {
    const publication = { type, id, document, ...said, precondition: isAsPlanned(before) };
    const name = `${type}/${id}`;
    const progress = { made, of: changes.length };
    const published = await deps.publisher.publishChecked(publication).catch((error: unknown) => {
      const heard = deps.definitionLog.historyOf(type, id).at(-1)?.revision ?? 0;
      throw cutOffByLog(error, { name, isHeard: heard > (before?.revision ?? 0) }, progress);
    });
    if (published.outcome !== 'published' && published.outcome !== 'unchanged') {
      const why = `Somebody else changed ${name} meanwhile.`;
      throw interrupted({ status: 409, code: 'import_interrupted' }, why, progress);
    }
    made.push(name);
  }
}

/** Register under a secret key. */
export function registerDefinitionImport(app: FastifyInstance, deps: ImportPorts): void {
  const query = z.object({
    plan: z.boolean().default(false).meta({ description: 'Only say what would change.' }),
  });
  const headers = z.object({
    'if-match': z
      .string()
      .optional()
      .meta({ description: 'The ETag of the plan; needed to apply it. 412 if anything has changed since.' }),
  });
  const schema = {
    tags,
    summary: 'Put a whole set of definitions in force',
    description:
      'With `plan=true` nothing is changed: the answer says what would be, and its ETag names what it was compared with. ' +
      'Without, exactly that is applied. Refused as a whole (422, every reason) when any of it is wrong.',
    querystring: querySchema(query),
    headers: requestSchema(headers),
    body: requestSchema(wanted),
    response: responses(
      { 200: outcome },
      {
        409: '`import_interrupted`: somebody else changed one of them meanwhile. `made` names what holds already; plan again.',
        413: '`too_large`: the body, or the record of one of them is larger than the log takes; then `made` names what holds already.',
        503: '`log_unavailable`: the log did not acknowledge one of them in time. `log_busy`: it had no room for one, of which nothing was written. `made` names what holds already; plan again after `Retry-After`.',
      },
    ),
  };
  const options = { schema, bodyLimit: BODY_BYTES_MAX };
  app.post('/v1/definitions/import', options, async (request, reply): Promise<z.infer<typeof outcome>> => {
    const { plan: onlyPlan } = request.query as z.infer<typeof query>;
    const { definitions, withdrawOthers, author, reason } = request.body as z.infer<typeof wanted>;
    const tag = setTag(deps.definitionLog);
    const ifMatch = request.headers['if-match'];
    if (!onlyPlan && ifMatch === undefined) {
      const detail = 'Plan first (plan=true) and send the ETag of the plan as If-Match.';
      throw problemError({ status: 428, code: 'precondition_required', detail });
    }
    if (ifMatch !== undefined && !isUnchanged(ifMatch, tag)) {
      const detail = 'Definitions have changed since the plan was made; plan again.';
      throw problemError({ status: 412, code: 'precondition_failed', detail });
    }
    const plan = planSet(deps.definitionLog, definitions, { withdrawOthers });
    if (!plan.ok) {
      const detail = `Nothing was changed: ${plan.reasons.join('; ')}.`;
      const members = { reasons: plan.reasons };
      throw problemError({ status: 422, code: 'invalid_definition', detail, members });
    }
    const changes = plan.changes.map(shownChange);
    if (!onlyPlan)
      await apply(deps, plan.changes, { by: author ?? request.caller!.name, why: reasonOf(reason) });
    reply.header('etag', onlyPlan ? tag : setTag(deps.definitionLog));
    return { applied: !onlyPlan, changes, unchanged: plan.unchanged };
  });
}
