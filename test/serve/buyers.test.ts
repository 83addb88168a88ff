// One buyer's answer against state written in the stream's own layout.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newBuyer, newHistory } from '../../domain/buyer.ts';
import { score as scoreSchema } from '../../domain/definition.ts';
import { advance, emptyProgress } from '../../domain/funnel.ts';
import { scoreOf } from '../../domain/score.ts';
import { buyerPartition } from '../../platform/keys.ts';
import { type Answering, answering, secret, writeOnly } from './answering.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const W = Date.UTC(2026, 0, 15, 12);
const funnel = {
  name: 'Purchase',
  steps: ['view', 'inquiry', 'order'],
  windowMs: DAY_MS,
  mode: 'default' as const,
};
const score = {
  name: 'Opportunity',
  horizonMs: 7 * DAY_MS,
  halfLifeMs: DAY_MS,
  intercept: -2,
  engagement: { view: 0.5, inquiry: 1 },
  country: { DE: 0.3 },
};

let here: Answering;
beforeAll(async () => {
  here = await answering('buyers');
  here.definitions.set('funnel', 'purchase', funnel, 4);
  here.definitions.set('funnel', 'unseen', { ...funnel, name: 'Unseen' });
  here.definitions.set('score', 'opportunity', score, 2);
});
afterAll(() => here?.close());

const behaviours = [
  { timeMs: W - 60 * MINUTE_MS, behaviour: 'view', epoch: 0, part: 0 },
  { timeMs: W - 5 * MINUTE_MS, behaviour: 'inquiry', epoch: 0, part: 0 },
  { timeMs: W - 1 * MINUTE_MS, behaviour: 'order', epoch: 0, part: 0 },
];
const state = {
  firstMs: W - 60 * MINUTE_MS,
  lastMs: W - MINUTE_MS,
  country: { value: 'DE', timeMs: W - 60 * MINUTE_MS, messageId: 'm1' },
  behaviours,
  settledCount: 1,
  funnels: [
    {
      id: 'purchase',
      revision: 4,
      counted: 3,
      settled: advance(funnel, emptyProgress(funnel), behaviours, 0, 1),
      reached: [],
      early: [],
      backfilled: false,
    },
  ],
  engagement: [
    {
      halfLifeMs: DAY_MS,
      referenceMs: W - DAY_MS,
      sums: [
        { behaviour: 'inquiry', sum: 2 },
        { behaviour: 'view', sum: 4 },
      ],
    },
  ],
  totals: [
    { behaviour: 'inquiry', count: 1 },
    { behaviour: 'order', count: 1 },
    { behaviour: 'view', count: 1 },
  ],
  stage: 'mature' as const,
  stageSinceMs: W - 5 * MINUTE_MS,
  maturedMs: W - 5 * MINUTE_MS,
  opportunities: [
    {
      id: '3-17',
      subject: 'supplier-1',
      stage: 'order' as const,
      openedMs: W - 5 * MINUTE_MS,
      updatedMs: W - MINUTE_MS,
      quality: 0.75,
      qualified: true,
      shares: [],
    },
  ],
  exposures: [{ experiment: 'form', variant: 'short', timeMs: W - 3 * MINUTE_MS, messageId: 'e1' }],
};

const get = (key: string, headers: Record<string, string> = secret) =>
  here.app.inject({ url: `/v1/buyers/${encodeURIComponent(key)}`, headers });

describe('GET /v1/buyers/{key}', () => {
  it('answers levels, scores with factors, stage and opportunities as of the watermark', async () => {
    await here.setBuyer('u:buyer 1/ä', state, W);
    const response = await get('u:buyer 1/ä');
    expect(response.statusCode).toBe(200);
    const body = response.json();
    const expected = scoreOf(scoreSchema.parse(score), { ...newBuyer('u:buyer 1/ä'), ...state }, W);
    expect(body.scores).toEqual([
      {
        id: 'opportunity',
        revision: 2,
        name: 'Opportunity',
        horizonMs: 7 * DAY_MS,
        probability: expected.probability,
        logit: expected.logit,
        factors: expected.factors,
      },
    ]);
    expect(expected.factors.find((factor) => factor.name === 'engagement.view')?.value).toBe(2);
    expect(body).toMatchObject({
      key: 'u:buyer 1/ä',
      partition: buyerPartition('u:buyer 1/ä'),
      asOf: '2026-01-15T12:00:00.000Z',
      firstSeen: '2026-01-15T11:00:00.000Z',
      lastSeen: '2026-01-15T11:59:00.000Z',
      attributes: { country: { value: 'DE', messageId: 'm1' }, industry: null, channel: null, level: null },
      lifecycle: { stage: 'mature', since: '2026-01-15T11:55:00.000Z', matured: '2026-01-15T11:55:00.000Z' },
      opportunities: [{ id: '3-17', stage: 'order', quality: 0.75, qualified: true }],
      engagement: [
        {
          halfLifeMs: DAY_MS,
          behaviours: [
            { behaviour: 'inquiry', value: 1 },
            { behaviour: 'view', value: 2 },
          ],
        },
      ],
      totals: state.totals,
      recent: [
        { behaviour: 'order', time: '2026-01-15T11:59:00.000Z' },
        { behaviour: 'inquiry', time: '2026-01-15T11:55:00.000Z' },
        { behaviour: 'view', time: '2026-01-15T11:00:00.000Z' },
      ],
      exposures: [{ experiment: 'form', variant: 'short', time: '2026-01-15T11:57:00.000Z' }],
      overflow: false,
    });
    expect(body.funnels).toEqual([
      {
        id: 'purchase',
        revision: 4,
        name: 'Purchase',
        mode: 'default',
        steps: funnel.steps,
        level: 3,
        settledLevel: 1,
        counted: 3,
      },
      {
        id: 'unseen',
        revision: 1,
        name: 'Unseen',
        mode: 'default',
        steps: funnel.steps,
        level: 0,
        settledLevel: 0,
        counted: 0,
      },
    ]);
  });

  it('shows a user’s links and company, and levels that stand without what was taken back', async () => {
    const own = { number: 0, link: '', visitor: '', mergedMs: 0, ended: false, ...newHistory() };
    const part = {
      ...own,
      number: 2,
      link: '7-1-v',
      visitor: 'a:v',
      mergedMs: W - DAY_MS,
      ended: true,
      firstMs: W - 2 * DAY_MS,
      totals: [{ behaviour: 'view', count: 3 }],
    };
    const reached = [
      { level: 1, parts: [] },
      { level: 2, parts: [2] },
    ];
    const company = { value: 'acme', timeMs: W - DAY_MS, messageId: 'g1' };
    const funnels = [{ ...state.funnels[0]!, counted: 3, reached }];
    await here.setBuyer('u:joined', { ...state, company, funnels, nextPart: 3, parts: [own, part] }, W);
    const body = (await get('u:joined')).json();
    expect(body).toMatchObject({
      person: null,
      company: { key: 'c:acme', since: new Date(W - DAY_MS).toISOString(), messageId: 'g1' },
    });
    expect(body.links).toEqual([
      {
        id: '7-1-v',
        visitor: 'a:v',
        merged: new Date(W - DAY_MS).toISOString(),
        ended: true,
        firstSeen: new Date(W - 2 * DAY_MS).toISOString(),
        lastSeen: null,
        totals: [{ behaviour: 'view', count: 3 }],
      },
    ]);
    // All three steps are held and were counted; but only two levels stand.
    const levels = body.funnels.map(({ id, level, counted }: Record<string, unknown>) => [
      id,
      level,
      counted,
    ]);
    expect(levels).toEqual([
      ['purchase', 2, 3],
      ['unseen', 0, 0],
    ]);
  });

  it('names the person of a visitor who is linked', async () => {
    const said = { saidFromMs: W - DAY_MS, saidToMs: W };
    const current = { id: '7-1-v', user: 'u:joined', sinceMs: W - DAY_MS, stage: null, ...said };
    const links = { current, history: '7-1-v', past: [], bornOffset: 0, standing: 0 };
    await here.setBuyer('a:v', { ...state, links }, W);
    expect((await get('a:v')).json()).toMatchObject({
      key: 'a:v',
      person: { key: 'u:joined', link: '7-1-v', since: new Date(W - DAY_MS).toISOString() },
      links: [],
    });
    await here.setBuyer('a:v', { ...state, links: { ...links, current: null } }, W);
    expect((await get('a:v')).json().person).toBeNull();
  });

  it('answers for a company: levels and scores, no stage', async () => {
    const { stage: _stage, opportunities: _opportunities, ...done } = state;
    await here.setBuyer('c:acme', done, W);
    const body = (await get('c:acme')).json();
    expect(body).toMatchObject({
      key: 'c:acme',
      lifecycle: { stage: null },
      opportunities: [],
      person: null,
    });
    expect([body.funnels[0].level, body.scores[0].id]).toEqual([3, 'opportunity']);
    expect((await get('c:nobody')).statusCode).toBe(404);
  });

  it('takes a user id alone', async () => {
    await here.setBuyer('u:plain', {}, W);
    const response = await get('plain');
    expect([response.statusCode, response.json().key, response.json().lifecycle.stage]).toEqual([
      200,
      'u:plain',
      null,
    ]);
  });

  it('answers 404 with a problem for a buyer that nothing is known of, and takes secret keys only', async () => {
    const response = await get('u:nobody');
    expect([response.statusCode, response.json().code]).toEqual([404, 'unknown_buyer']);
    expect(response.headers['content-type']).toContain('application/problem+json');
    expect((await get('u:nobody', {})).statusCode).toBe(401);
    expect((await get('u:nobody', writeOnly)).statusCode).toBe(403);
  });
});
