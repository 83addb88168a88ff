// Bids over the real parts: a lease asked for by the log and read from Redis, prices set aside from it, and signed
// notices that settle in the ledger.
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { newBuyer, newHistory } from '../../domain/buyer.ts';
import { score as scoreSchema } from '../../domain/definition.ts';
import { scoreOf } from '../../domain/score.ts';
import { verifyNotice } from '../../serve/notice-address.ts';
import { type AccountOwner, ownAccount } from './account-owner.ts';
import { type Answering, answering, secret, writeOnly } from './answering.ts';

const DAY_MS = 86_400_000;
const W = Date.UTC(2026, 0, 15);
const score = {
  name: 'Opportunity',
  horizonMs: 7 * DAY_MS,
  halfLifeMs: DAY_MS,
  intercept: -1,
  engagement: { view: 1 },
  country: { DE: 0.5 },
};
const account = { name: 'Acme', currency: 'EUR', dailyBudgetMicros: 1_000_000_000 };
const campaign = {
  name: 'Search',
  accountId: 'acme',
  channel: 'search',
  valueMicros: 10_000_000,
  maxBidMicros: 5_000_000,
  countries: ['DE', 'FR'],
};

let here: Answering;
let owner: AccountOwner;
beforeAll(async () => {
  here = await answering('bids');
  here.clock.nowMs = Date.now();
  here.definitions.set('score', 'opportunity', score, 2);
  here.definitions.set('account', 'acme', account, 3);
  here.definitions.set('account', 'nobody', account);
  here.definitions.set('campaign', 'search', campaign, 4);
  here.definitions.set('campaign', 'unknown', { ...campaign, countries: ['US', 'ZZ'] });
  here.definitions.set('campaign', 'paused', { ...campaign, status: 'paused' });
  here.definitions.set('campaign', 'worthless', { ...campaign, valueMicros: 0 });
  here.definitions.set('campaign', 'unscored', { ...campaign, scoreId: 'nothing' });
  here.definitions.set('campaign', 'orphan', { ...campaign, accountId: 'nothing' });
  here.definitions.set('campaign', 'unowned', { ...campaign, accountId: 'nobody' });
  owner = await ownAccount(here, 'acme');
});
afterAll(async () => {
  // First: what is given back at the end would find Redis closed.
  await owner?.stop();
  await here?.close();
});

async function bid(payload: Record<string, unknown>, query = '') {
  const response = await here.app.inject({
    method: 'POST',
    url: `/v1/bids${query}`,
    headers: { ...secret, host: 'bids.example' },
    payload,
  });
  return { status: response.statusCode, body: response.json() };
}

/** Asks until every bid is placed: a lease goes through Kafka, which on a busy machine takes longer than a request may wait. */
async function placed(payload: Record<string, unknown>) {
  return vi.waitFor(
    async () => {
      const answer = await bid(payload, '?waitMs=2000');
      const bids: { reason: string }[] = answer.body.bids ?? [answer.body];
      expect(bids.map(({ reason }) => reason)).not.toContain('noLease');
      expect(bids.map(({ reason }) => reason)).not.toContain('leaseExhausted');
      return answer;
    },
    { timeout: 30_000 },
  );
}

describe('POST /v1/bids', () => {
  it('bids score × value × multiplier from a lease that it asked for, and explains it', async () => {
    const engagement = [
      { halfLifeMs: DAY_MS, referenceMs: W - DAY_MS, sums: [{ behaviour: 'view', sum: 4 }] },
    ];
    await here.setBuyer('u:buyer-1', { engagement }, W);
    const { status, body } = await placed({
      ...{ campaignId: 'search', buyerKey: 'buyer-1', country: 'DE', bidId: 'bid-1' },
    });
    expect(status).toBe(200);
    const country = { value: 'DE', timeMs: 0, messageId: '' };
    const scored = scoreOf(scoreSchema.parse(score), { ...newBuyer('u:buyer-1'), engagement, country }, W);
    const worthMicros = Math.floor(scored.probability * 10_000_000);
    const bidMicros = Math.min(worthMicros, 5_000_000);
    const [lease] = owner.state.leases;
    expect(body).toMatchObject({
      bidId: 'bid-1',
      campaignId: 'search',
      accountId: 'acme',
      bidMicros,
      currency: 'EUR',
      reason: 'bid',
      worthMicros,
      validMs: 60_000,
      lease: lease!.id,
      inputs: {
        probability: scored.probability,
        logit: scored.logit,
        factors: scored.factors,
        scoreAsOf: new Date(W).toISOString(),
        buyerKey: 'u:buyer-1',
        buyerKnown: true,
        country: 'DE',
        valueMicros: 10_000_000,
        maxBidMicros: 5_000_000,
        multiplier: 1,
        floorMicros: 0,
        leaseLeftMicros: lease!.amountMicros,
      },
      versions: {
        campaign: { id: 'search', revision: 4 },
        account: { id: 'acme', revision: 3 },
        score: { id: 'opportunity', revision: 2 },
      },
    });
    expect(bidMicros).toBe(5_000_000);
    expect(owner.records[0]).toMatchObject({ kind: 'leaseRequest', account: 'acme', lease: lease!.id });

    const next = await bid({ campaignId: 'search', buyerKey: 'buyer-1', country: 'DE' });
    expect(next.body.inputs.leaseLeftMicros).toBe(lease!.amountMicros - bidMicros);
  });

  it('scores the person that a linked visitor is, and the visitor itself until its person has its history', async () => {
    const engagement = [
      { halfLifeMs: DAY_MS, referenceMs: W - DAY_MS, sums: [{ behaviour: 'view', sum: 4 }] },
    ];
    const said = { saidFromMs: W, saidToMs: W };
    const current = { id: '0-7-visitor', user: 'u:linked', sinceMs: W, stage: null, ...said };
    const links = { current, history: '', past: [], bornOffset: 0, standing: 0 };
    await here.setBuyer('a:visitor', { links, engagement }, W);
    const inputsOf = async (buyer: string) => {
      const { body } = await bid({ campaignId: 'search', buyerKey: buyer, country: 'DE' }, '?waitMs=0');
      const { buyerKey, probability } = body.inputs;
      return { buyerKey, probability };
    };
    const { probability: ofNobody } = await inputsOf('u:nobody');
    const visitor = await inputsOf('a:visitor');
    expect(visitor.buyerKey).toBe('a:visitor');
    expect(visitor.probability).toBeGreaterThan(ofNobody);
    // The identify is written under the user: it is known before what the visitor was has come.
    await here.setBuyer('u:linked', {}, W);
    expect(await inputsOf('a:visitor')).toEqual(visitor);
    const part = {
      ...newHistory(),
      number: 1,
      link: current.id,
      visitor: 'a:visitor',
      mergedMs: W,
      ended: false,
    };
    const parts = [{ ...newHistory(), number: 0, link: '', visitor: '', mergedMs: 0, ended: false }, part];
    await here.setBuyer('u:linked', { engagement, parts, nextPart: 2 }, W);
    const { probability: ofPerson } = await inputsOf('u:linked');
    expect(await inputsOf('a:visitor')).toEqual({ buyerKey: 'u:linked', probability: ofPerson });
    // Long after, it is the user's own and no link's any more.
    await here.setBuyer('a:visitor', { links, engagement }, W + 60_000);
    await here.setBuyer('u:linked', {}, W);
    expect(await inputsOf('a:visitor')).toEqual({ buyerKey: 'u:linked', probability: ofNobody });
  });

  it('gives no bid a longer life than its lease was granted for', async () => {
    here.definitions.set('account', 'brief', account);
    here.definitions.set('campaign', 'brief', { ...campaign, accountId: 'brief', maxBidMicros: 1_000 });
    const own = await ownAccount(here, 'brief');
    const lives = [];
    for (const bidLifeMs of [60_000, 43_200_000, 5_000]) {
      here.definitions.set('account', 'brief', { ...account, bidLifeMs });
      const { body } = await placed({ campaignId: 'brief', country: 'DE' });
      expect(body.lease).toBe(own.state.leases[0]!.id);
      lives.push(body.validMs);
    }
    await own.stop();
    expect(lives).toEqual([60_000, 60_000, 5_000]);
  });

  it('carries signed addresses whose call settles, or frees, in the ledger', async () => {
    // An account of its own, so that one lease holds both bids.
    here.definitions.set('account', 'noticed', account);
    here.definitions.set('campaign', 'noticed', { ...campaign, accountId: 'noticed' });
    const own = await ownAccount(here, 'noticed');
    const request = { campaignId: 'noticed', country: 'FR' };
    const { body } = await placed({ ...request, bidId: 'bid-2', priceUnits: 1_000 });
    const address = new URL(body.notices.win);
    expect(address.host).toBe('bids.example');
    const signed = address.pathname.split('/').at(-1)!;
    expect(verifyNotice(Buffer.from('0123456789abcdef'), signed)).toEqual({
      notice: 'win',
      account: 'noticed',
      campaign: 'noticed',
      channel: 'search',
      country: 'FR',
      bid: 'bid-2',
      lease: body.lease,
      currency: 'EUR',
      costMicros: body.bidMicros,
      priceUnits: 1_000,
    });
    const lost = await placed({ ...request, bidId: 'bid-3' });
    const lease = own.state.leases.find((each) => each.id === body.lease)!;
    expect(lost.body.lease).toBe(body.lease);
    for (const url of [`${address.pathname}?price=500`, new URL(lost.body.notices.loss).pathname]) {
      expect((await here.app.inject({ url })).statusCode).toBe(204);
    }
    const settled = () => {
      expect(lease.settledMicros).toBe(500_000);
      // The win gives back what it did not cost, the loss all that it had set aside.
      expect(lease.freedMicros).toBe(body.bidMicros - 500_000 + lost.body.bidMicros);
    };
    await vi.waitFor(settled, { timeout: 30_000 });
    await own.stop();
  });

  it.each([
    [undefined, 'ZZ'],
    ['ZZ', 'ZZ'],
    ['QQ', 'ZZ'],
    ['UK', 'GB'],
    ['DE', 'DE'],
  ])('signs for the country %s what a platform’s row must say: %s', async (country, code) => {
    here.definitions.set('campaign', 'anywhere', { ...campaign, countries: [] });
    const { body } = await placed({ campaignId: 'anywhere', country });
    const signed = new URL(body.notices.win).pathname.split('/').at(-1)!;
    expect(verifyNotice(Buffer.from('0123456789abcdef'), signed)).toMatchObject({ country: code });
  });

  it('bids for GB where the request, or a state of before, says UK', async () => {
    here.definitions.set('campaign', 'british', { ...campaign, countries: ['GB'] });
    await here.setBuyer('u:brit', { country: { value: 'UK', timeMs: 1, messageId: 'm' } }, W);
    for (const who of [{ country: 'UK' }, { buyerKey: 'u:brit' }]) {
      const { body } = await placed({ campaignId: 'british', ...who });
      expect(body).toMatchObject({ reason: 'bid', inputs: { country: 'GB' } });
      expect(body.inputs.factors).toContainEqual(expect.objectContaining({ name: 'country', value: 'GB' }));
    }
  });

  it.each([
    ['paused', { campaignId: 'paused' }, 'paused'],
    ['for other countries', { campaignId: 'search', country: 'US' }, 'countryExcluded'],
    ['for a country that is not known', { campaignId: 'search' }, 'countryUnknown'],
    ['worth nothing', { campaignId: 'worthless', country: 'DE' }, 'zeroValue'],
    ['below the floor', { campaignId: 'search', country: 'DE', floorMicros: 5_000_001 }, 'belowMinimum'],
    ['without a score', { campaignId: 'unscored', country: 'DE' }, 'unknownScore'],
    ['without an account', { campaignId: 'orphan', country: 'DE' }, 'unknownAccount'],
    ['without a lease', { campaignId: 'unowned', country: 'DE' }, 'noLease'],
  ])('bids nothing for a campaign that is %s', async (_case, request, reason) => {
    const { status, body } = await bid(request, '?waitMs=0');
    expect(status).toBe(200);
    expect([body.bidMicros, body.reason, body.lease, body.notices]).toEqual([0, reason, null, null]);
    expect(body.versions.campaign.id).toBe(request.campaignId);
  });

  it('bids nothing for what the ledger may not know yet: it would reject the win', async () => {
    here.definitions.set('account', 'young', account);
    here.definitions.set('campaign', 'young', { ...campaign, accountId: 'young' });
    const { unplaced } = here.definitions;
    unplaced.add('campaign/young').add('account/young');
    expect((await bid({ campaignId: 'young', country: 'DE' }, '?waitMs=0')).status).toBe(404);
    unplaced.delete('campaign/young');
    const { body } = await bid({ campaignId: 'young', country: 'DE' }, '?waitMs=0');
    expect([body.bidMicros, body.reason]).toEqual([0, 'unknownAccount']);
    unplaced.clear();
    const { body: known } = await bid({ campaignId: 'young', country: 'DE' }, '?waitMs=0');
    expect(known.reason).toBe('noLease');
  });

  it('bids for a buyer whose country is not known where the campaign names ZZ', async () => {
    const { body } = await placed({ campaignId: 'unknown' });
    expect(body).toMatchObject({ reason: 'bid', inputs: { country: '' } });
    expect(body.bidMicros).toBeGreaterThan(0);
  });

  it('answers a batch in its order, each with its own reason', async () => {
    const { body } = await placed({
      bids: [
        { campaignId: 'search', country: 'DE' },
        { campaignId: 'nothing' },
        { campaignId: 'paused' },
        { campaignId: 'search', country: 'FR' },
      ],
    });
    expect(body.bids.map((each: { reason: string }) => each.reason)).toEqual([
      'bid',
      'unknownCampaign',
      'paused',
      'bid',
    ]);
    expect(body.bids.map((each: { bidMicros: number }) => each.bidMicros > 0)).toEqual([
      true,
      false,
      false,
      true,
    ]);
  });

  it('waits for what the bids of a batch need together', async () => {
    here.definitions.set('account', 'many', account);
    here.definitions.set('campaign', 'many', { ...campaign, accountId: 'many' });
    const own = await ownAccount(here, 'many');
    const one = { campaignId: 'many', country: 'DE' };
    const { body: single } = await placed(one);
    // More than the lease held for one, and less than the ledger grants at once.
    const count = Math.floor(200_000_000 / single.bidMicros);
    expect(count * single.bidMicros).toBeGreaterThan(single.inputs.leaseLeftMicros);
    const { body } = await placed({ bids: Array.from({ length: count }, () => one) });
    const dearest = Math.max(...body.bids.map((each: { bidMicros: number }) => each.bidMicros));
    expect(dearest).toBe(single.bidMicros);
    await own.stop();
  });

  it('never sets aside more than the leases that the ledger granted, under a flood', async () => {
    const small = { ...account, dailyBudgetMicros: 40_000_000, leaseShare: 1 };
    here.definitions.set('account', 'small', small);
    here.definitions.set('campaign', 'flood', { ...campaign, accountId: 'small', countries: [] });
    const smallOwner = await ownAccount(here, 'small');
    try {
      await placed({ campaignId: 'flood' });
      const bids = { bids: Array.from({ length: 100 }, () => ({ campaignId: 'flood' })) };
      const answers: { bidMicros: number; reason: string }[] = [];
      const reservedMicros = () => answers.reduce((sum, each) => sum + each.bidMicros, 0);
      // Three rounds, and more where a lease takes its time.
      for (let round = 0; round < 3 || reservedMicros() <= 20_000_000; round += 1) {
        const flood = await Promise.all([bid(bids), bid(bids), bid(bids)]);
        answers.push(...flood.flatMap((each) => each.body.bids));
        here.clock.aheadMs += 1_000;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      const reserved = reservedMicros();
      const granted = smallOwner.state.leases.reduce((sum, lease) => sum + lease.amountMicros, 0);
      expect(reserved).toBeLessThanOrEqual(granted);
      expect(granted).toBeLessThanOrEqual(40_000_000);
      expect(['noLease', 'leaseExhausted']).toContain(answers.at(-1)!.reason);
    } finally {
      await smallOwner.stop();
    }
  });

  it('stops when its lease is over, by the monotonic clock', async () => {
    await placed({ campaignId: 'search', country: 'DE' });
    here.clock.aheadMs += 60_001;
    const { body } = await bid({ campaignId: 'search', country: 'DE' }, '?waitMs=0');
    expect([body.bidMicros, body.reason]).toEqual([0, 'noLease']);
    const again = await placed({ campaignId: 'search', country: 'DE' });
    expect(again.body.reason).toBe('bid');
  });

  it('counts what is asked of each account, and what is not defined for nobody', async () => {
    const counted = async () => {
      const text = (await here.app.inject({ url: '/metrics' })).body;
      return Object.fromEntries(
        [...text.matchAll(/^flywheel_bids_total\{account="(.*)",reason="(.*)"\} (\d+)$/gm)].map(
          ([, account, reason, count]) => [`${account} ${reason}`, Number(count)],
        ),
      );
    };
    const before = await counted();
    expect(before[' unknownCampaign']).toBeTypeOf('number');
    const ids = ['nothing', 'orphan', 'unscored', 'paused', 'paused', 'unowned'];
    await bid({ bids: ids.map((campaignId) => ({ campaignId, country: 'DE' })) }, '?waitMs=0');
    // Asked for alone it is a problem, and counted all the same.
    expect((await bid({ campaignId: 'nothing' })).status).toBe(404);
    const after = await counted();
    const added = Object.keys(after)
      .map((name) => [name, after[name]! - (before[name] ?? 0)])
      .filter(([, count]) => count !== 0);
    expect(Object.fromEntries(added)).toEqual({
      ...{ ' unknownCampaign': 2, ' unknownAccount': 1, ' unknownScore': 1 },
      ...{ 'acme paused': 2, 'nobody noLease': 1 },
    });
  });

  it('answers what is wrong with a problem', async () => {
    const unknown = await bid({ campaignId: 'nothing' });
    expect([unknown.status, unknown.body.code]).toEqual([404, 'unknown_definition']);
    const missing = await bid({});
    expect([missing.status, missing.body.code]).toEqual([400, 'invalid']);
    expect(missing.body.detail).toContain('campaignId');
    const empty = await bid({ bids: [] });
    expect([empty.status, empty.body.errors[0].pointer]).toEqual([400, '/bids']);
    const inBatch = await bid({ bids: [{ campaignId: 'search', country: 'germany' }] });
    expect([inBatch.status, inBatch.body.errors[0].pointer]).toEqual([400, '/bids/0/country']);
    const write = await here.app.inject({ method: 'POST', url: '/v1/bids', headers: writeOnly, payload: {} });
    expect(write.statusCode).toBe(403);
  });
});
