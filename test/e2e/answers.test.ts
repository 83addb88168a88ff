// The answers of a real `serve` beside a real `stream`: what is collected comes back as levels, triggers, rolling
// counts, reports, sticky variants, and as money that bids spent.
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { replayRejected } from '../../cli/replay-rejected.ts';
import { ensureApiKeys } from '../../platform/api-keys.ts';
import { type Child, endChildren, startChild } from './support/child.ts';
import { openStage, type Stage } from './support/stage.ts';

const BUYER = 'buyer-answers';
const MINUTE_MS = 60_000;

let stage: Stage;
let stream: Child;
let serve: Child;
let url: string;
let keys: { write: string; secret: string };

beforeAll(async () => {
  stage = await openStage('answers', { environment: { STREAM_CLOCK: 'on' } });
  const plainFile = path.join(stage.dir, 'keys.json');
  keys = await ensureApiKeys({ plainFile, hashedFile: stage.config.serveKeysFile });
  stream = startChild('stream', stage.environment);
  serve = startChild('serve', stage.environment);
  url = String((await serve.ready).url);
  await stream.ready;
  await collect(aBuyersDay());
});
afterAll(async () => {
  await serve?.stop();
  await stream?.stop();
  await endChildren();
  await stage?.close();
});

function aBuyersDay(): unknown[] {
  const nowMs = Date.now();
  const event = (minutesAgo: number, name: string, properties: Record<string, unknown> = {}) => ({
    type: 'track',
    event: name,
    userId: BUYER,
    messageId: `answers-${name}`,
    timestamp: new Date(nowMs - minutesAgo * MINUTE_MS).toISOString(),
    properties,
  });
  return [
    {
      type: 'identify',
      userId: BUYER,
      messageId: 'answers-identify',
      timestamp: new Date(nowMs - 4 * MINUTE_MS).toISOString(),
      traits: { country: 'US', industry: 'machinery', level: 'L3' },
    },
    event(4, 'Product Viewed'),
    event(2, 'Inquiry Sent', { supplierId: 's-1', messageLength: 400, quantity: 1_000, specification: true }),
  ];
}

async function collect(batch: unknown[]): Promise<void> {
  const authorization = `Basic ${Buffer.from(`${keys.write}:`).toString('base64')}`;
  const sent = await fetch(`${url}/v1/batch`, {
    method: 'POST',
    headers: { authorization, 'content-type': 'application/json' },
    body: JSON.stringify({ batch, sentAt: new Date().toISOString() }),
  });
  expect(sent.status).toBe(200);
}

// biome-ignore lint/suspicious/noExplicitAny: answers are looked into field by field
async function ask(route: string, body?: unknown): Promise<any> {
  const headers = { authorization: `Bearer ${keys.secret}`, 'content-type': 'application/json' };
  const response = await fetch(
    `${url}${route}`,
    body === undefined ? { headers } : { method: 'POST', headers, body: JSON.stringify(body) },
  );
  const answer = await response.json();
  expect([response.status, answer]).toEqual([200, expect.anything()]);
  return answer;
}

const soon = { timeout: 15_000, interval: 100 };

describe('what was collected', () => {
  it('is a buyer with levels, a score and an opportunity within a second or so', async () => {
    const buyer = await vi.waitFor(async () => {
      const answer = await ask(`/v1/buyers/u:${BUYER}`);
      expect(answer.lifecycle.stage).toBe('mature');
      return answer;
    }, soon);
    expect(buyer.attributes.country.value).toBe('US');
    const purchase = buyer.funnels.find((funnel: { id: string }) => funnel.id === 'purchase');
    expect([purchase.level, purchase.counted]).toEqual([2, 2]);
    const [score] = buyer.scores;
    expect(score.probability).toBeGreaterThan(0);
    expect(score.probability).toBeLessThan(1);
    expect(
      score.factors.find((each: { name: string }) => each.name === 'engagement.inquiry').value,
    ).toBeGreaterThan(0.9);
    expect(buyer.opportunities).toMatchObject([{ subject: 's-1', stage: 'inquiry', qualified: true }]);
  });

  it('moves the rolling counts, in total and by country', async () => {
    await vi.waitFor(async () => {
      const rolling = await ask('/v1/rolling/funnels/purchase?window=1h&by=country');
      expect(rolling.steps.map((step: { count: number }) => step.count)).toEqual([1, 1, 0]);
      expect(rolling.segments.map((each: { segment: string }) => each.segment)).toEqual(['US']);
      expect(Date.now() - Date.parse(rolling.asOf)).toBeLessThan(10 * MINUTE_MS);
    }, soon);
  });

  it('comes as triggers until they are acknowledged, once each', async () => {
    const pending = await vi.waitFor(async () => {
      const { triggers } = await ask(`/v1/triggers?key=${BUYER}`);
      expect(triggers.map((each: { definition: string }) => each.definition).sort()).toEqual([
        'matured-buyer',
        'qualified-opportunity',
      ]);
      return triggers as { id: string }[];
    }, soon);
    const [one, other] = pending;
    await ask(`/v1/triggers/${one!.id}/ack`, {});
    expect((await ask(`/v1/triggers?key=${BUYER}`)).triggers.map((each: { id: string }) => each.id)).toEqual([
      other!.id,
    ]);
    await ask('/v1/triggers/ack', { triggers: [{ id: other!.id, key: `u:${BUYER}` }, { id: one!.id }] });
    await stage.untilDrained();
    const rows = await stage.rows<{ trigger_id: string; count: number }>(
      `SELECT trigger_id, toUInt32(count()) AS count FROM triggers FINAL WHERE status = 'acknowledged' GROUP BY trigger_id`,
    );
    expect(rows.map((row) => [row.trigger_id, row.count]).sort()).toEqual(
      [
        [one!.id, 1],
        [other!.id, 1],
      ].sort(),
    );
  });
});

describe('assignments', () => {
  it('stick to the exposure that the log has', async () => {
    const context = { targetingKey: BUYER };
    const first = await ask('/ofrep/v1/evaluate/flags/inquiry-form', { context });
    expect(first.metadata.detail).toBe('split');
    await vi.waitFor(async () => {
      const again = await ask('/ofrep/v1/evaluate/flags/inquiry-form', { context });
      expect([again.variant, again.metadata.detail]).toEqual([first.variant, 'sticky']);
    }, soon);
    await stage.untilDrained();
    const rows = await stage.rows<{ key: string; variant: string }>(
      'SELECT key, variant FROM exposures FINAL',
    );
    expect(rows).toEqual([{ key: `u:${BUYER}`, variant: first.variant }]);
  });

  it('that were made elsewhere count once, however often they are sent', async () => {
    const exposure = {
      messageId: 'elsewhere-1',
      anonymousId: 'answers-visitor',
      experiment: 'inquiry-form',
      variant: 'short',
      timestamp: Date.now() - MINUTE_MS,
    };
    for (let times = 0; times < 2; times += 1)
      expect(await ask('/v1/exposures', { exposures: [exposure] })).toMatchObject({ accepted: 1 });
    await stage.untilDrained();
    const counted = (table: string) =>
      stage.rows<{ variant: string; people: number }>(
        `SELECT variant, toUInt32(count()) AS people FROM ${table} WHERE key = 'a:answers-visitor' GROUP BY variant`,
      );
    expect(await counted('exposures FINAL')).toEqual([{ variant: 'short', people: 2 }]);
    expect(await counted('exposures_once')).toEqual([{ variant: 'short', people: 1 }]);
  });
});

describe('money', () => {
  it('is bid from a lease, won by a signed notice, and settled in the campaign’s budget', async () => {
    const campaign = 'search-machinery';
    const before = await ask(`/v1/campaigns/${campaign}/budget`);
    const bid = await vi.waitFor(async () => {
      const answer = await ask('/v1/bids', { campaignId: campaign, buyerKey: BUYER });
      expect(answer.reason).toBe('bid');
      return answer;
    }, soon);
    expect(bid.inputs).toMatchObject({ buyerKnown: true, country: 'US' });
    const won = await fetch(bid.notices.win);
    expect(won.status).toBe(204);
    await vi.waitFor(async () => {
      const after = await ask(`/v1/campaigns/${campaign}/budget`);
      expect(after.campaignSettled.totalMicros).toBe(before.campaignSettled.totalMicros + bid.bidMicros);
      expect(after.outstanding.totalMicros).toBeGreaterThan(0);
      const { budget, settled, outstanding, freeMicros } = after;
      expect(settled.todayMicros + outstanding.todayMicros + freeMicros).toBe(budget.dailyMicros);
    }, soon);
  });
});

describe('wins whose price cannot be taken', () => {
  it('are settled for what was bid when they are submitted again, once, however often they are told of', async () => {
    const campaign = 'search-machinery';
    const settledMicros = async (): Promise<number> => {
      await stage.untilDrained();
      return (await ask(`/v1/campaigns/${campaign}/budget`)).campaignSettled.totalMicros;
    };
    const bid = () =>
      vi.waitFor(async () => {
        const answer = await ask('/v1/bids', { campaignId: campaign, buyerKey: BUYER });
        expect(answer.reason).toBe('bid');
        return answer;
      }, soon);
    const told = async (win: string, price: string): Promise<number> =>
      (await fetch(`${win}?price=${encodeURIComponent(price)}`)).status;
    const replay = () => {
      const { namespace, config } = stage;
      return replayRejected({ brokers: config.kafkaBrokers, namespace, url, secretKey: keys.secret });
    };
    const before = await settledMicros();
    const [once, mended, dear] = [await bid(), await bid(), await bid()];
    for (const price of ['{AUCTION_PRICE}', '12,34']) expect(await told(once.notices.win, price)).toBe(400);
    expect(await told(mended.notices.win, '{AUCTION_PRICE}')).toBe(400);
    expect(await told(dear.notices.win, '1000000')).toBe(400);
    // What it costs comes after all, before anybody submits what was kept.
    const priceMicros = Math.floor(mended.bidMicros / 2);
    expect(await told(mended.notices.win, String(priceMicros / 1e6))).toBe(204);
    expect(await settledMicros()).toBe(before + priceMicros);

    expect(await replay()).toMatchObject({ matched: 4, submitted: 2, accepted: 2, repeated: 2 });
    const settled = before + priceMicros + once.bidMicros + dear.bidMicros;
    expect(await settledMicros()).toBe(settled);
    const { accepted, repeated } = await replay();
    expect([accepted, repeated]).toEqual([0, 4]);
    expect(await told(once.notices.win, '0')).toBe(204);
    expect(await settledMicros()).toBe(settled);
  });
});

describe('reports', () => {
  it('have the same day', async () => {
    await stage.untilDrained();
    const to = new Date(Date.now() + 3_600_000).toISOString();
    const funnel = await ask(`/v1/reports/funnel?funnel=purchase&to=${to}&by=industry`);
    expect(funnel.rows).toMatchObject([
      { segment: 'machinery', steps: [{ count: 1 }, { count: 1 }, { count: 0 }] },
    ]);
    const opportunities = await ask(`/v1/reports/opportunities?to=${to}`);
    expect(opportunities.rows).toMatchObject([{ opened: 1, qualified: 1, open: 1 }]);
    expect(opportunities.top).toMatchObject([{ key: `u:${BUYER}`, subject: 's-1', stage: 'inquiry' }]);
    const northStar = await ask(`/v1/reports/north-star?to=${to}`);
    const sum = (name: string): number =>
      northStar.rows.reduce((total: number, row: Record<string, number>) => total + row[name]!, 0);
    expect([sum('visitors') >= 1, sum('opportunities'), sum('qualityOpportunities')]).toEqual([true, 1, 1]);
    const campaigns = await ask(`/v1/reports/campaigns?to=${to}`);
    expect(campaigns.rows).toMatchObject([{ campaign: 'search-machinery', currency: 'USD' }]);
    expect(campaigns.rows[0].costMicros).toBeGreaterThan(0);
  });
});
