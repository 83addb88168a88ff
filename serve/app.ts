// Everything that answers over HTTP, put together: one plugin a capability, registered one by one. It does not listen.
import { randomBytes } from 'node:crypto';
import Fastify, { type FastifyInstance } from 'fastify';
import { registerAssignments } from './assignments/assignments.ts';
import { registerExposureIntake } from './assignments/exposure-intake.ts';
import { registerBids } from './bids/bids.ts';
import { registerBudgets } from './budgets/budgets.ts';
import { registerBuyers } from './buyers/buyers.ts';
import { registerClock } from './clock.ts';
import { registerCollect } from './collect/routes.ts';
import { registerCrossOrigin } from './cross-origin.ts';
import { registerDefinitions } from './definitions/definitions.ts';
import { requireDefinitions } from './definitions/pending.ts';
import { registerDeliveries } from './deliveries/deliveries.ts';
import type { Dependencies } from './dependencies.ts';
import { createGate } from './gate.ts';
import { registerHealth } from './health.ts';
import { createIntake } from './intake.ts';
import { registerLinks } from './links/links.ts';
import { registerLive } from './live/live.ts';
import { registerMetrics } from './metrics.ts';
import { NOTICE_ADDRESS_CHARACTERS_MAX } from './notice-address.ts';
import { describeKey, registerOpenApi } from './openapi.ts';
import { registerPacking } from './packing.ts';
import { problemOf, rawProblemResponse, registerProblemDetails, sendProblem } from './problem-details.ts';
import { registerReports } from './reports/reports.ts';
import { registerRolling } from './reports/rolling.ts';
import { refusePackedBodies } from './request-body.ts';
import { validatorCompiler } from './schema.ts';
import { registerSnippet } from './snippet.ts';
import { registerSources } from './sources/sources.ts';
import { registerSpendIntake } from './spend-intake/routes.ts';
import { createStateReader } from './state.ts';
import { registerTriggers } from './triggers/triggers.ts';

/** Bodies of routes that set no limit of their own. */
const BODY_BYTES_MAX = 1_048_576;
const REQUEST_TIMEOUT_MS = 60_000;
/** Time for whoever sent no HTTP, or not in time, to read that and go. */
const UNREADABLE_LINGER_MS = 1_000;

/** Ids that stay unique over restarts and processes: they name what a request left in the log. */
function requestIds(): () => string {
  const prefix = randomBytes(8).toString('hex');
  let count = 0;
  return () => {
    count += 1;
    return `${prefix}-${count.toString(36)}`;
  };
}

function bareApp({ config }: Dependencies): FastifyInstance {
  const proxies = [...config.serveTrustedProxies];
  return Fastify({
    logger: false,
    trustProxy: proxies.length === 0 ? false : proxies,
    bodyLimit: BODY_BYTES_MAX,
    requestTimeout: REQUEST_TIMEOUT_MS,
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    genReqId: requestIds(),
    routerOptions: { maxParamLength: NOTICE_ADDRESS_CHARACTERS_MAX },
    clientErrorHandler: (error, socket) => {
      if (!socket.writable) return;
      const status = { HPE_HEADER_OVERFLOW: 431, ERR_HTTP_REQUEST_TIMEOUT: 408 }[error.code as string] ?? 400;
      socket.end(rawProblemResponse(status as 400 | 408 | 431));
      // Its client may never end its own half, and no timeout of Node's watches over such a connection any more.
      const cut = setTimeout(() => socket.destroy(), UNREADABLE_LINGER_MS);
      socket.once('close', () => clearTimeout(cut));
    },
    frameworkErrors: (error, _request, reply) => {
      sendProblem(reply, problemOf(error) ?? { status: 400, code: 'malformed', detail: error.message });
    },
  });
}

/** The whole API over the given parts; the caller listens, injects and closes. */
export async function buildApp(dependencies: Dependencies): Promise<FastifyInstance> {
  const app = bareApp(dependencies);
  app.setValidatorCompiler(validatorCompiler());
  app.decorateRequest('caller', null);
  registerProblemDetails(app, dependencies.log);
  await registerPacking(app);
  refusePackedBodies(app);
  await registerOpenApi(app);
  registerMetrics(app, dependencies.metrics);
  registerHealth(app, dependencies);
  await app.register(async (scope) => registerSnippet(scope, dependencies));
  // What takes data in.
  const intake = createIntake(dependencies);
  const gate = createGate(dependencies);
  await app.register(async (scope) => registerCollect(scope, { ...dependencies, intake, gate }));
  await app.register(async (scope) => registerSpendIntake(scope, { ...dependencies, intake, gate }));
  const reader = createStateReader(dependencies);
  // Variants are asked for by servers and by browsers, which have a write key only.
  await app.register(async (scope) => {
    registerCrossOrigin(scope, ['/ofrep/v1/evaluate/flags', '/ofrep/v1/evaluate/flags/:key']);
    const ready = requireDefinitions(dependencies.definitionLog);
    await scope.register(async (keyed) => {
      describeKey(keyed, 'write');
      keyed.addHook('onRequest', gate.require('write'));
      keyed.addHook('onRequest', ready);
      registerAssignments(keyed, dependencies, reader);
    });
  });
  // What answers questions: all of it takes a secret key.
  await app.register(async (answers) => {
    describeKey(answers, 'secret');
    answers.addHook('onRequest', gate.require('secret'));
    answers.addHook('onRequest', requireDefinitions(dependencies.definitionLog));
    await registerClock(answers, { ...dependencies, intake });
    registerExposureIntake(answers, { ...dependencies, intake });
    registerBids(answers, dependencies, reader);
    registerBudgets(answers, dependencies, reader);
    registerTriggers(answers, dependencies, reader);
    registerDeliveries(answers, dependencies);
    registerBuyers(answers, dependencies, reader);
    registerLinks(answers, { ...dependencies, intake }, reader);
    registerRolling(answers, dependencies, reader);
    registerReports(answers, dependencies, reader);
    registerDefinitions(answers, dependencies);
    registerLive(answers, dependencies, reader);
    registerSources(answers, dependencies);
  });
  return app;
}
