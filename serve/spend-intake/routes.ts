// What platforms spent: reports, notices, and the signed addresses that exchanges and browsers call.
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { NoticeRecord, ReportRecord } from '../../domain/spend-record.ts';
import { jsonText } from '../../platform/json-text.ts';
import type { Outgoing } from '../../platform/kafka.ts';
import { accountPartition } from '../../platform/keys.ts';
import type { Namespace } from '../../platform/namespace.ts';
import type { Dependencies } from '../dependencies.ts';
import type { Gate } from '../gate.ts';
import type { Intake, Rejection } from '../intake.ts';
import { intakeAnswer, listed, REPLAY_HEADER, refusal } from '../intake-answer.ts';
import { type NoticeAddress, verifyNotice } from '../notice-address.ts';
import { describeKey } from '../openapi.ts';
import { problemError, retryProblem } from '../problem-details.ts';
import type { RejectReason } from '../reject-reasons.ts';
import { bodyOf, type RequestBody, registerRequestBody } from '../request-body.ts';
import { requestSchema, responses } from '../schema.ts';
import { isFault, type SpendFault } from './fault.ts';
import {
  type GivenPrice,
  noticeMessage,
  noticeOfAddress,
  PRICE_CHARACTERS_MAX,
  takeNotice,
  unpricedWin,
} from './notice.ts';
import { reportRow, takeReport } from './report.ts';
import { type GivenRow, rowsOfCsv, rowsOfJson } from './rows.ts';

/** Rows of one request. */
const ROWS_MAX = 20_000;
const CATCH_UP_RETRY_SECONDS = 2;

type Dependency = Pick<Dependencies, 'namespace' | 'metrics' | 'clock' | 'definitionLog' | 'noticeSecret'> & {
  readonly intake: Intake;
  readonly gate: Gate;
};

type Take = (
  given: unknown,
  context: { readonly definitions: Dependencies['definitionLog']; readonly nowMs: number },
) => { readonly taken: true; readonly record: ReportRecord | NoticeRecord } | SpendFault;

interface Kind {
  readonly route: string;
  /** `report` or `notice`, for the metrics. */
  readonly kind: string;
  /** The member of a JSON body that holds many. */
  readonly container: string;
  readonly take: Take;
}

const reports: Kind = { route: '/v1/spend', kind: 'report', container: 'rows', take: takeReport };
const notices: Kind = { route: '/v1/notices', kind: 'notice', container: 'notices', take: takeNotice };

function outgoing(namespace: Namespace, record: ReportRecord | NoticeRecord): Outgoing {
  const { account } = record;
  return {
    topic: namespace.topics.spend,
    partition: accountPartition(account),
    key: account,
    value: JSON.stringify(record),
  };
}

/** Without the definitions no campaign would be known, and what is right would be rejected. */
function checkDefinitionsAreThere({ definitionLog }: Dependency): void {
  if (definitionLog.isCaughtUp()) return;
  throw retryProblem(
    503,
    'definitions_pending',
    'The definitions are still being read.',
    CATCH_UP_RETRY_SECONDS,
  );
}

type Rows =
  | { readonly rows: readonly GivenRow[] }
  | { readonly reason: RejectReason; readonly detail: string };

function rowsOf(body: RequestBody, kind: Kind): Rows {
  if (body.fault !== null) return { reason: 'malformed', detail: `The body cannot be read: ${body.fault}.` };
  const given = body.value as Given;
  try {
    const rows = given.format === 'csv' ? given.rows : rowsOfJson(given.value, kind.container);
    return rows.length === 0
      ? { reason: 'empty_batch', detail: `The body has no ${kind.kind}: send at least one.` }
      : { rows };
  } catch (error) {
    return { reason: 'invalid', detail: `The body cannot be taken: ${(error as Error).message}.` };
  }
}

/** What a body says, by its content type: whatever JSON says, it is not taken for the rows of a CSV. */
type Given =
  | { readonly format: 'csv'; readonly rows: readonly GivenRow[] }
  | { readonly format: 'json'; readonly value: unknown };

function givenIn(text: string, contentType: string): Given {
  // Media types have no case (RFC 9110, section 8.3.1).
  return contentType.toLowerCase().startsWith('text/csv')
    ? { format: 'csv', rows: rowsOfCsv(text) }
    : { format: 'json', value: JSON.parse(text) };
}

function judge(rows: readonly GivenRow[], kind: Kind, dependency: Dependency, nowMs: number) {
  const records: Outgoing[] = [];
  const rejections: Rejection[] = [];
  const context = { definitions: dependency.definitionLog, nowMs };
  for (const [index, row] of rows.entries()) {
    const outcome =
      row.fault === undefined ? kind.take(row.value, context) : { reason: 'invalid', detail: row.fault };
    if ('taken' in outcome && outcome.taken) {
      records.push(outgoing(dependency.namespace, outcome.record));
    } else {
      const { reason, detail } = outcome as SpendFault;
      rejections.push({ index, reason, detail, raw: Buffer.from(jsonText(row.value)) });
    }
  }
  return { records, rejections };
}

function intakeHandler(kind: Kind, dependency: Dependency) {
  const { intake, metrics, clock } = dependency;
  return async (request: FastifyRequest) => {
    checkDefinitionsAreThere(dependency);
    const body = bodyOf(request);
    const nowMs = clock.nowMs();
    const source = {
      requestId: request.id,
      route: kind.route,
      caller: request.caller?.name ?? '',
      atMs: nowMs,
    };
    const again = request.headers[REPLAY_HEADER] !== undefined;
    const keep = async (records: Outgoing[], rejections: readonly Rejection[]): Promise<void> => {
      const kept = again ? [] : rejections;
      const all = records.concat(kept.map((one) => intake.rejected(one, source)));
      if (all.length > 0) await intake.write(all, body.raw.length, kept);
    };
    const given = rowsOf(body, kind);
    if (!('rows' in given)) {
      await keep([], [{ index: 0, ...given, raw: body.raw }]);
      throw problemError({ status: 400, code: given.reason, detail: given.detail, members: { accepted: 0 } });
    }
    if (given.rows.length > ROWS_MAX) {
      throw problemError({
        status: 413,
        code: 'too_many',
        detail: `A request may have ${ROWS_MAX} rows; nothing was taken.`,
      });
    }
    const { records, rejections } = judge(given.rows, kind, dependency, nowMs);
    await keep(records, rejections);
    metrics.collected.inc({ kind: kind.kind }, records.length);
    if (records.length === 0) throw problemError(refusal(rejections));
    return { success: true, accepted: records.length, rejected: listed(rejections) };
  };
}

function schemaOf(row: z.ZodType, container: string) {
  const many = z.looseObject({ [container]: z.array(row) });
  return requestSchema(z.union([row, many, z.array(row)]));
}

/**
 * A win whose price cannot be taken was won all the same, and who told of it does not come again after a 400: it is kept, and
 * `flywheel replay rejected` settles what was bid.
 * @throws 400 when it is kept; what `intake.write` throws when it is not, so that it comes again
 */
async function refuseWin(
  { intake }: Dependency,
  address: NoticeAddress,
  { reason, detail }: SpendFault,
  source: { readonly requestId: string; readonly atMs: number },
): Promise<never> {
  const raw = Buffer.from(JSON.stringify(unpricedWin(address, source.atMs)));
  const rejection = { index: 0, reason, detail, raw };
  const kept = intake.rejected(rejection, { ...source, route: notices.route, caller: '' });
  await intake.write([kept], kept.value.length, [rejection]);
  throw problemError({ status: 400, code: reason, detail: `Not taken: ${detail}.` });
}

/** The addresses in bids: no key, the signature is the right to call them. */
function registerAddresses(app: FastifyInstance, dependency: Dependency): void {
  const { intake, metrics, clock, namespace, noticeSecret } = dependency;
  const schema = {
    tags: ['spend'],
    summary: 'A signed notice address, as bids carry it',
    security: [],
    params: requestSchema(z.object({ signed: z.string() })),
    querystring: requestSchema(z.object({ price: z.string().max(PRICE_CHARACTERS_MAX).optional() })),
    response: responses({}),
  };
  // The price is judged in the handler: a win is kept, whatever stands there. A HEAD must not tell of one.
  const options = { schema, exposeHeadRoute: false, validatorCompiler: () => () => true };
  app.get('/v1/n/:signed', options, async (request, reply) => {
    const { signed } = request.params as { signed: string };
    const address = verifyNotice(noticeSecret, signed);
    if (address === undefined) {
      throw problemError({
        status: 403,
        code: 'bad_signature',
        detail: 'This notice address was not signed here.',
      });
    }
    const { price } = request.query as { price?: GivenPrice };
    const nowMs = clock.nowMs();
    const outcome = noticeOfAddress(address, price, nowMs);
    if (isFault(outcome))
      return refuseWin(dependency, address, outcome, { requestId: request.id, atMs: nowMs });
    const record = outgoing(namespace, outcome.record);
    await intake.write([record], record.value.length);
    metrics.collected.inc({ kind: 'notice' });
    return reply.code(204).header('cache-control', 'no-store').send();
  });
}

/** Registers the routes inside a plugin scope of their own: body parsers are theirs alone. */
export async function registerSpendIntake(app: FastifyInstance, dependency: Dependency): Promise<void> {
  registerAddresses(app, dependency);
  await app.register(async (secret) => {
    describeKey(secret, 'secret');
    secret.addHook('onRequest', dependency.gate.require('secret'));
    // Rows are judged one by one in the handler; the schemas here describe them.
    secret.setValidatorCompiler(() => () => true);
    registerRequestBody(secret, ['application/json', 'text/csv'], (text, request) =>
      givenIn(text, request.headers['content-type'] ?? ''),
    );
    const common = { tags: ['spend'], response: responses({ 200: intakeAnswer }) };
    secret.post(
      reports.route,
      {
        schema: {
          ...common,
          summary: 'Figures of a platform; text/csv with the same names as header is taken too',
          body: schemaOf(reportRow, reports.container),
        },
      },
      intakeHandler(reports, dependency),
    );
    secret.post(
      notices.route,
      {
        schema: {
          ...common,
          summary: 'Impressions, clicks, wins and losses',
          body: schemaOf(noticeMessage, notices.container),
        },
      },
      intakeHandler(notices, dependency),
    );
  });
}
