// Assignments by OFREP 0.3, so that any OpenFeature client works: flags are experiments. One trip to Redis reads what
// the buyer was exposed to; the exposure goes into the log behind the answer.
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Counter } from 'prom-client';
import { z } from 'zod';
import type { SegmentLookup } from '../../domain/experiment-assignment.ts';
import type { ExperimentDefinition, SegmentDefinition } from '../../domain/experiment-definition.ts';
import { buyerPartition } from '../../platform/keys.ts';
import type { Dependencies } from '../dependencies.ts';
import { entityTagOf, isUnchanged } from '../entity-tag.ts';
import { neverPacked } from '../packing.ts';
import { type ProblemError, sendProblem } from '../problem-details.ts';
import { problemResponse, requestSchema, responseSchema } from '../schema.ts';
import type { StateReader } from '../state.ts';
import { attributesFor, type EvaluationContext, readContext } from './context.ts';
import { type Evaluation, evaluate } from './evaluate.ts';
import { ExposureLog } from './exposure-log.ts';
import { type ExperimentInForce, type ExperimentLookup, experimentsHeld } from './past-exposures.ts';
import * as schemas from './schemas.ts';

/** A full queue loses thousands of exposures a second: one line in the log stands for those of so long. */
const LOSS_LOG_MS = 10_000;

type AssignmentPorts = Pick<
  Dependencies,
  'definitionLog' | 'producer' | 'namespace' | 'metrics' | 'log' | 'clock'
>;

interface AssignmentMetrics {
  readonly assigned: Counter<'experiment' | 'variant' | 'reason'>;
  readonly crossovers: Counter<'experiment'>;
  readonly lost: Counter<'reason'>;
}

function assignmentMetrics(deps: AssignmentPorts): AssignmentMetrics {
  const registers = [deps.metrics.registry];
  const lost = new Counter({
    name: 'flywheel_exposures_lost_total',
    help: 'Exposures that did not get into the log; the next evaluation of the same tries again.',
    labelNames: ['reason'],
    registers,
  });
  for (const reason of ['full', 'failed']) lost.inc({ reason }, 0);
  return {
    assigned: new Counter({
      name: 'flywheel_assignments_total',
      help: 'Evaluations answered, by experiment, variant and reason.',
      labelNames: ['experiment', 'variant', 'reason'],
      registers,
    }),
    crossovers: new Counter({
      name: 'flywheel_assignment_crossovers_total',
      help: 'Evaluations whose keys had been exposed to different variants before.',
      labelNames: ['experiment'],
      registers,
    }),
    lost,
  };
}

function openExposureLog(deps: AssignmentPorts, metrics: AssignmentMetrics): ExposureLog {
  let lostCount = 0;
  let loggedAtMs = Number.NEGATIVE_INFINITY;
  return new ExposureLog({
    nowMs: deps.clock.nowMs,
    async append(record) {
      const { key } = record;
      const value = Buffer.from(JSON.stringify(record));
      await deps.producer.send(deps.namespace.topics.events, buyerPartition(key), key, value);
    },
    lost(record, reason, cause) {
      metrics.lost.inc({ reason });
      lostCount += 1;
      if (deps.clock.nowMs() - loggedAtMs < LOSS_LOG_MS) return;
      const { experiment, key } = record;
      deps.log.error('exposures did not get into the log', {
        count: lostCount,
        reason,
        experiment,
        key,
        error: cause === undefined ? undefined : String(cause),
      });
      lostCount = 0;
      loggedAtMs = deps.clock.nowMs();
    },
  });
}

/** Evaluates experiments for one context, with one read of all its keys. */
function evaluator(
  reader: StateReader,
  segmentOf: SegmentLookup,
  experimentOf: ExperimentLookup,
  exposures: ExposureLog,
  metrics: AssignmentMetrics,
) {
  return async (
    context: EvaluationContext,
    experiments: readonly ExperimentInForce[],
  ): Promise<Evaluation['answer'][]> => {
    const known = await Promise.all(context.keys.map((key) => reader.buyerState(key)));
    const { key, hashKey } = context;
    const held = experimentsHeld(known, experimentOf);
    const subject = { key, hashKey, known, held, attributes: attributesFor(context, known), segmentOf };
    return experiments.map((experiment) => {
      const { answer, exposure, crossover } = evaluate(experiment, subject);
      if (exposure !== null) exposures.take(exposure);
      if (crossover) metrics.crossovers.inc({ experiment: experiment.id });
      if ('variant' in answer) {
        const { variant, reason } = answer;
        metrics.assigned.inc({ experiment: experiment.id, variant, reason });
      }
      return answer;
    });
  };
}

/** Failures in OFREP's words. What is about keys, limits and outages stays a problem document. */
function registerFailures(app: FastifyInstance, deps: AssignmentPorts): void {
  app.setErrorHandler((error: FastifyError | ProblemError, request, reply) => {
    if ('problem' in error) return sendProblem(reply, error.problem);
    const { key } = (request.params ?? {}) as { key?: string };
    const named = key === undefined ? {} : { key };
    const status = error.statusCode ?? 500;
    if (status < 500) {
      return reply.code(400).send({ ...named, errorCode: 'PARSE_ERROR', errorDetails: error.message });
    }
    deps.log.error('an evaluation failed', { instance: request.id, error: error.stack ?? String(error) });
    return reply
      .code(500)
      .send({ errorDetails: `Something went wrong on our side; the log has it under ${request.id}.` });
  });
}

/** OFREP names a code for each fault, so bodies are checked by `readContext`; schemas are for the description. */
const describedOnly = { validatorCompiler: () => () => true, serializerCompiler: () => JSON.stringify };
const tags = ['assignments'];

const single = {
  tags,
  summary: 'Evaluate one flag (OFREP 0.3)',
  description:
    'A flag is an experiment. Who was exposed before keeps the variant; everybody else is assigned by hash. ' +
    'Being shown a variant is recorded for those in the experiment.',
  params: requestSchema(z.object({ key: z.string().meta({ examples: ['inquiry-form'] }) })),
  body: requestSchema(schemas.evaluationRequest),
  response: {
    200: responseSchema(schemas.evaluationSuccess),
    400: responseSchema(schemas.evaluationFailure),
    404: responseSchema(schemas.flagNotFound),
    500: responseSchema(schemas.generalErrorResponse),
    '4xx': problemResponse,
    '5xx': problemResponse,
  },
};

const bulk = {
  tags,
  summary: 'Evaluate all flags (OFREP 0.3)',
  description: 'The ETag stands for what is shown: with If-None-Match an answer that shows the same is 304.',
  headers: requestSchema(z.object({ 'if-none-match': z.string().optional() })),
  body: requestSchema(schemas.evaluationRequest),
  response: {
    200: responseSchema(schemas.bulkEvaluationSuccess),
    304: { type: 'null', description: 'Unchanged.' },
    400: responseSchema(schemas.bulkEvaluationFailure),
    500: responseSchema(schemas.generalErrorResponse),
    '4xx': problemResponse,
    '5xx': problemResponse,
  },
};

/** Register under a secret key, in a scope of its own: it brings an error handler. */
export function registerAssignments(app: FastifyInstance, deps: AssignmentPorts, reader: StateReader): void {
  const metrics = assignmentMetrics(deps);
  const exposures = openExposureLog(deps, metrics);
  app.addHook('onClose', () => exposures.close());
  registerFailures(app, deps);
  const segmentOf: SegmentLookup = (id) =>
    deps.definitionLog.find<SegmentDefinition>('segment', id)?.document.conditions;
  const experimentOf: ExperimentLookup = (id) =>
    deps.definitionLog.find<ExperimentDefinition>('experiment', id);
  const evaluateFor = evaluator(reader, segmentOf, experimentOf, exposures, metrics);

  app.post(
    '/ofrep/v1/evaluate/flags/:key',
    { schema: single, ...describedOnly, ...neverPacked },
    async (request, reply) => {
      const { key } = request.params as { key: string };
      const experiment = experimentOf(key);
      if (experiment === undefined) {
        const errorDetails = `there is no experiment ${JSON.stringify(key)}`;
        return reply.code(404).send({ key, errorCode: 'FLAG_NOT_FOUND', errorDetails });
      }
      const read = readContext(request.body);
      if (!read.ok) return reply.code(400).send({ key, ...read.fault });
      const [answer] = await evaluateFor(read.context, [experiment]);
      return reply.code('errorCode' in answer! ? 400 : 200).send(answer);
    },
  );

  app.post('/ofrep/v1/evaluate/flags', { schema: bulk, ...describedOnly }, (request, reply) =>
    answerBulk(request, reply, deps.definitionLog.list<ExperimentDefinition>('experiment'), evaluateFor),
  );
}

/**
 * Stands for what is shown: a change of the flags, their variants or values changes it. How a variant came about (by hash
 * at first, then because it was shown before) may change under it, so it is a weak one.
 */
function tagOf(flags: readonly Evaluation['answer'][]): string {
  const shown = flags.map((flag) => {
    if ('errorCode' in flag) return flag;
    const { detail: _detail, bucket: _bucket, ...metadata } = flag.metadata;
    return { ...flag, metadata };
  });
  return `W/${entityTagOf(shown)}`;
}

async function answerBulk(
  request: FastifyRequest,
  reply: FastifyReply,
  experiments: readonly ExperimentInForce[],
  evaluateFor: ReturnType<typeof evaluator>,
): Promise<FastifyReply> {
  const read = readContext(request.body);
  if (!read.ok) return reply.code(400).send(read.fault);
  const flags = await evaluateFor(read.context, experiments);
  const tag = tagOf(flags);
  reply.header('etag', tag);
  if (isUnchanged(request.headers['if-none-match'], tag)) return reply.code(304).send();
  return reply.send({ flags, metadata: { experiments: experiments.length } });
}
