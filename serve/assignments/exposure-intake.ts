// Exposures that happened elsewhere: another tool's assignments, or history. They stand in the log as our own do, with the
// time and the variant that the caller says.
import type { FastifyInstance, FastifySchemaCompiler } from 'fastify';
import { z } from 'zod';
import { buyerKeyOf, type ExposureRecord } from '../../domain/buyer-record.ts';
import type { ExperimentDefinition } from '../../domain/experiment-definition.ts';
import { id } from '../../domain/record-fields.ts';
import { jsonText } from '../../platform/json-text.ts';
import type { Outgoing } from '../../platform/kafka.ts';
import { buyerPartition } from '../../platform/keys.ts';
import { compileValidator, faultsOfOne } from '../../platform/validate.ts';
import type { Dependencies } from '../dependencies.ts';
import type { Intake, Rejection } from '../intake.ts';
import { intakeAnswer, listed, REPLAY_HEADER, refusal } from '../intake-answer.ts';
import { problemError } from '../problem-details.ts';
import type { RejectReason } from '../reject-reasons.ts';
import { requestSchema, responses, validatorCompiler } from '../schema.ts';
import { FUTURE_MS_MAX, parseTime, timeFault } from '../time.ts';
import { halfFault } from '../whole-text.ts';

const ROUTE = '/v1/exposures';
const EXPOSURES_MAX = 2_000;
/** Where our own say how a variant came about. */
const REASON = 'IMPORTED';

const exposure = z.object({
  messageId: id.describe('repeats of it count once, in a buyer’s state and in the view `exposures_once`'),
  userId: id.optional(),
  anonymousId: id.optional(),
  experiment: z.string().min(1).max(128),
  variant: z.string().min(1).max(128),
  timestamp: z.union([z.string(), z.number()]).describe('ISO 8601 or epoch milliseconds'),
});
const exposures = z.object({ exposures: z.array(exposure).min(1).max(EXPOSURES_MAX) });
/** Each is judged by itself, so that one does not refuse the others. */
const envelope = z.object({ exposures: z.array(z.unknown()).min(1).max(EXPOSURES_MAX) });
const validate = compileValidator(exposure);

type Ports = Pick<Dependencies, 'definitionLog' | 'namespace' | 'clock'> & { readonly intake: Intake };
interface Fault {
  readonly reason: RejectReason;
  readonly detail: string;
}

function recordOf(
  given: unknown,
  definitions: Ports['definitionLog'],
  nowMs: number,
): ExposureRecord | Fault {
  const fault = (reason: RejectReason, detail: string): Fault => ({ reason, detail });
  const validated = validate(given);
  if (!validated.ok) return fault('invalid', faultsOfOne(validated.errors, 'an exposure'));
  const { messageId, userId, anonymousId, experiment, variant } = validated.value;
  for (const [name, text = ''] of Object.entries({ messageId, userId, anonymousId })) {
    const half = halfFault(name, text);
    if (half !== undefined) return fault('invalid', half);
  }
  if (userId === undefined && anonymousId === undefined) {
    return fault('missing_id', 'there is neither a userId nor an anonymousId');
  }
  const known = definitions.find<ExperimentDefinition>('experiment', experiment);
  if (known === undefined) {
    return fault('unknown_experiment', `no experiment ${JSON.stringify(experiment)} is defined`);
  }
  if (!known.document.variations.some(({ key }) => key === variant)) {
    return fault('unknown_variant', `${experiment} has no variation ${JSON.stringify(variant)}`);
  }
  const timestamp = parseTime(validated.value.timestamp);
  const wrong = timeFault('timestamp', validated.value.timestamp, timestamp, nowMs + FUTURE_MS_MAX);
  if (wrong !== undefined) return wrong;
  return {
    kind: 'exposure',
    messageId,
    key: buyerKeyOf({ userId, anonymousId }),
    experiment,
    revision: known.revision,
    variant,
    reason: REASON,
    timestamp,
  };
}

/** Where it can be told. */
function messageIdOf(given: unknown): string | undefined {
  const { messageId } = (given ?? {}) as { messageId?: unknown };
  return typeof messageId === 'string' ? messageId : undefined;
}

/** Register where a secret key is required and the definitions are there. */
export function registerExposureIntake(app: FastifyInstance, ports: Ports): void {
  const { definitionLog, namespace, clock, intake } = ports;
  const schema = {
    tags: ['assignments'],
    summary: 'Take exposures that happened elsewhere: the valid part is taken, the rest comes back',
    description: "They count like our own: a buyer's first (event time, then message id) stays.",
    body: requestSchema(exposures),
    response: responses({ 200: intakeAnswer }),
  };
  const compile = validatorCompiler() as FastifySchemaCompiler<unknown>;
  const ofEnvelope: FastifySchemaCompiler<unknown> = (route) =>
    compile({ ...route, schema: requestSchema(envelope) });
  app.post(ROUTE, { schema, validatorCompiler: ofEnvelope }, async (request) => {
    const given = (request.body as z.infer<typeof envelope>).exposures;
    const nowMs = clock.nowMs();
    const records: Outgoing[] = [];
    const rejections: Rejection[] = [];
    for (const [index, one] of given.entries()) {
      const record = recordOf(one, definitionLog, nowMs);
      if ('detail' in record) {
        const raw = Buffer.from(jsonText({ exposures: [one] }));
        rejections.push({ index, ...record, raw, messageId: messageIdOf(one) });
        continue;
      }
      const { key } = record;
      const value = JSON.stringify(record);
      records.push({ topic: namespace.topics.events, partition: buyerPartition(key), key, value });
    }
    const source = { requestId: request.id, route: ROUTE, caller: request.caller?.name ?? '', atMs: nowMs };
    const again = request.headers[REPLAY_HEADER] !== undefined;
    const kept = again ? [] : rejections;
    const all = records.concat(kept.map((one) => intake.rejected(one, source)));
    const bytes = all.reduce((sum, { value }) => sum + (value?.length ?? 0), 0);
    if (all.length > 0) await intake.write(all, bytes, kept);
    if (records.length === 0) throw problemError(refusal(rejections));
    return { success: true, accepted: records.length, rejected: listed(rejections) };
  });
}
