// What should be bid: score × value × multiplier, from a lease, with its reason. One trip to Redis reads the buyers
// (a second one the persons of linked visitors); leases and the multiplier are at hand.
import { randomUUID } from 'node:crypto';
import type { FastifyInstance, FastifySchemaCompiler, RouteShorthandOptions } from 'fastify';
import { Counter, Gauge } from 'prom-client';
import { z } from 'zod';
import type { AccountDefinition, CampaignDefinition, ScoreDefinition } from '../../domain/definition.ts';
import { accountPartition } from '../../platform/keys.ts';
import { buyerKeyOfText, isKindAlone, unknownDefinition } from '../answer.ts';
import type { Dependencies } from '../dependencies.ts';
import { type NoticedBid, signNotices } from '../notice-address.ts';
import { neverPacked } from '../packing.ts';
import { querySchema, requestSchema, responses, validatorCompiler } from '../schema.ts';
import type { BuyerReading, StateReader } from '../state.ts';
import type { AccountLeases } from './account-leases.ts';
import {
  type AnswerReason,
  answerBid,
  answerReasons,
  type BidAnswer,
  type BidDefinitions,
  type BidRequest,
  bidAnswer,
  bidRequest,
  leastOf,
  wantedMicros,
} from './bid-answer.ts';
import type { BidNeed } from './lease.ts';
import { LeaseKeeper } from './lease-keeper.ts';
import { createUndefinedBids } from './undefined-bids.ts';

const BATCH_MAX = 100;
/** How long the first bid of an account waits for its first lease, if the request does not say. */
const LEASE_WAIT_MS = 300;
const LEASE_WAIT_MS_MAX = 2_000;

const query = z.object({
  waitMs: z.int().min(0).max(LEASE_WAIT_MS_MAX).default(LEASE_WAIT_MS).meta({
    description: 'How long to wait for a lease that is on its way, where those held do not serve all bids.',
  }),
});
const batch = z.object({ bids: z.array(bidRequest).min(1).max(BATCH_MAX) });

type BidPorts = Pick<
  Dependencies,
  'namespace' | 'producer' | 'definitionLog' | 'noticeSecret' | 'metrics' | 'log' | 'clock'
>;

function openKeeper(deps: BidPorts, reader: StateReader): LeaseKeeper {
  return new LeaseKeeper({
    process: `serve-${randomUUID()}`,
    clock: deps.clock,
    read: (account) => reader.account(account),
    async send(record) {
      const { account } = record;
      const topic = deps.namespace.topics.spend;
      await deps.producer.send(topic, accountPartition(account), account, JSON.stringify(record));
    },
    definition: (account) => deps.definitionLog.findKnown<AccountDefinition>('account', account)?.document,
    newId: randomUUID,
    warn: (message, fields) => deps.log.warn(message, fields),
  });
}

function bidMetrics({ metrics }: BidPorts, keeper: LeaseKeeper) {
  const registers = [metrics.registry];
  new Gauge({
    name: 'flywheel_leases_held_micros',
    help: 'What this process may still bid with, by account, in the account’s currency.',
    labelNames: ['account'],
    registers,
    collect() {
      for (const [account, micros] of keeper.heldMicros) this.set({ account }, micros);
    },
  });
  const answered = new Counter({
    name: 'flywheel_bids_total',
    help: 'Bids answered, by account and reason: `bid`, or why nothing was bid.',
    labelNames: ['account', 'reason'],
    registers,
  });
  for (const reason of answerReasons) answered.inc({ account: '', reason }, 0);
  return {
    answered,
    reserved: new Counter({
      name: 'flywheel_bids_reserved_micros_total',
      help: 'What bids set aside of leases, by account.',
      labelNames: ['account'],
      registers,
    }),
  };
}

/**
 * Whose bid it is counted as. What is not defined is nobody's: it is counted where a series stands from the start, so that
 * an alert sees the first one too.
 */
function accountAsked({ accountId, inputs }: BidAnswer): string {
  return inputs === null ? '' : (accountId ?? '');
}

/** What the ledger does not know yet is not spent for: it would reject the win, and grant the money a second time. */
function definitionsOf({ definitionLog }: BidPorts, request: BidRequest): BidDefinitions {
  const campaign = definitionLog.findKnown<CampaignDefinition>('campaign', request.campaignId);
  if (campaign === undefined) return { campaign, account: undefined, score: undefined };
  const account = definitionLog.findKnown<AccountDefinition>('account', campaign.document.accountId);
  const score = definitionLog.find<ScoreDefinition>('score', campaign.document.scoreId);
  return { campaign, account, score };
}

/** Of a kind alone nobody is known: an exchange that writes the kind before an id it may lack gets its whole batch priced. */
function keyOf({ buyerKey }: BidRequest): string | undefined {
  return buyerKey === undefined || isKindAlone(buyerKey) ? undefined : buyerKeyOfText(buyerKey);
}

/** Register under a secret key. */
export function registerBids(app: FastifyInstance, deps: BidPorts, reader: StateReader): void {
  const keeper = openKeeper(deps, reader);
  const metrics = bidMetrics(deps, keeper);
  const lookForUndefined = createUndefinedBids(deps);
  app.addHook('onClose', () => keeper.close());

  function count(
    reason: AnswerReason,
    campaignId: string,
    definitions: BidDefinitions,
    account: string,
  ): void {
    metrics.answered.inc({ account, reason });
    lookForUndefined(reason, campaignId, definitions);
  }

  function leasesOf({ account }: BidDefinitions) {
    return account === undefined ? null : keeper.of(account.id);
  }

  /** What all bids of an account may come to at the most. */
  function ceilingsOf(definitions: readonly BidDefinitions[]): Map<AccountLeases | null, number> {
    const most = new Map<AccountLeases | null, number>();
    for (const each of definitions) {
      const leases = leasesOf(each);
      const maxBidMicros = each.campaign?.document.maxBidMicros || Number.POSITIVE_INFINITY;
      most.set(leases, (most.get(leases) ?? 0) + maxBidMicros);
    }
    return most;
  }

  /** Where no lease holds what they need, the bids say what they want together, and wait for it a moment. */
  async function awaitLeases(
    requests: readonly BidRequest[],
    definitions: readonly BidDefinitions[],
    readings: readonly (BuyerReading | null)[],
    waitMs: number,
  ): Promise<void> {
    const needs = new Map<AccountLeases, BidNeed[]>();
    const mostMicros = ceilingsOf(definitions);
    for (const [index, request] of requests.entries()) {
      const leases = leasesOf(definitions[index]!);
      const leastMicros = leastOf(request.floorMicros);
      // A single bid takes what there is, down to its floor. What bids would set aside need not be known where there is enough for all.
      const enoughMicros = requests.length === 1 ? leastMicros : mostMicros.get(leases);
      if (leases === null || leases.holds(enoughMicros ?? Number.POSITIVE_INFINITY)) continue;
      const micros = wantedMicros(request, definitions[index]!, leases, readings[index]!);
      if (micros === 0) continue;
      const need = { wantedMicros: micros, leastMicros };
      const others = needs.get(leases);
      if (others === undefined) needs.set(leases, [need]);
      else others.push(need);
    }
    await Promise.all([...needs].map(([leases, own]) => leases.waitForLeases(own, waitMs)));
  }

  async function answer(
    requests: readonly BidRequest[],
    definitions: readonly BidDefinitions[],
    waitMs: number,
    origin: string,
  ): Promise<BidAnswer[]> {
    // All keys before the first is read: what a fault in between would leave behind, nobody awaits.
    const keys = requests.map(keyOf);
    const readings = await Promise.all(keys.map((key) => (key === undefined ? null : reader.person(key))));
    await awaitLeases(requests, definitions, readings, waitMs);
    const sign = (noticed: NoticedBid) => signNotices(deps.noticeSecret, noticed, origin);
    return requests.map((request, index) => {
      const own = definitions[index]!;
      const reading = readings[index]!;
      const bid = answerBid(request, own, { leases: leasesOf(own), reading, sign });
      count(bid.reason, request.campaignId, own, accountAsked(bid));
      if (bid.accountId !== null) metrics.reserved.inc({ account: bid.accountId }, bid.bidMicros);
      return bid;
    });
  }

  app.post('/v1/bids', { schema, ...eitherBody, ...neverPacked }, async (request) => {
    const body = request.body as BidRequest | z.infer<typeof batch>;
    const { waitMs } = request.query as z.infer<typeof query>;
    const origin = `${request.protocol}://${request.host}`;
    if ('bids' in body) {
      const all = body.bids.map((one) => definitionsOf(deps, one));
      return { bids: await answer(body.bids, all, waitMs, origin) };
    }
    const definitions = definitionsOf(deps, body);
    if (definitions.campaign === undefined) {
      count('unknownCampaign', body.campaignId, definitions, '');
      throw unknownDefinition('campaign', body.campaignId);
    }
    const [bid] = await answer([body], [definitions], waitMs, origin);
    return bid;
  });
}

const schema = {
  tags: ['bids'],
  summary: 'What to bid for an impression, or for many',
  description:
    'Probability of the campaign’s score × value × the account’s pacing multiplier, at most the campaign’s ceiling, ' +
    'set aside from a lease of the budget; 0 with the reason otherwise. For a visitor who is linked its person is scored. ' +
    'A body with `bids` is a batch.',
  querystring: querySchema(query),
  body: { anyOf: [requestSchema(bidRequest), requestSchema(batch)] },
  response: responses({ 200: z.union([bidAnswer, z.object({ bids: z.array(bidAnswer) })]) }),
};

/** One body or the other by whether it has `bids`, so that a fault is told of the one that was meant. */
const eitherBody: Pick<RouteShorthandOptions, 'validatorCompiler' | 'serializerCompiler'> = {
  validatorCompiler(route) {
    const compile = validatorCompiler() as FastifySchemaCompiler<unknown>;
    if (route.httpPart !== 'body') return compile(route);
    const one = compile({ ...route, schema: requestSchema(bidRequest) });
    const many = compile({ ...route, schema: requestSchema(batch) });
    const either: ReturnType<typeof compile> = (body: unknown) => {
      const validate = typeof body === 'object' && body !== null && 'bids' in body ? many : one;
      const isValid = validate(body);
      either.errors = validate.errors ?? null;
      return isValid;
    };
    return either;
  },
  serializerCompiler: () => JSON.stringify,
};
