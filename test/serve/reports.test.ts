// Reports from ClickHouse, against rows written in the stream's layout.
import { ClickHouseError } from '@clickhouse/client';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { unstarted, writeBackfill } from '../../platform/backfill-progress.ts';
import { type ClickHouse, insertCompact } from '../../platform/clickhouse.ts';
import { topicPartitions } from '../../platform/namespace.ts';
import { type Answering, answering, GENERATION, secret, writeOnly } from './answering.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;
const NOW = Date.UTC(2026, 0, 15, 12, 30, 20);
const funnel = { name: 'Purchase', steps: ['view', 'inquiry', 'order'], windowMs: DAY_MS };

let here: Answering;
beforeAll(async () => {
  here = await answering('reports', { tables: true });
  here.clock.nowMs = NOW;
  here.definitions.set('settings', 'default', { latenessMs: 10 * MINUTE_MS });
  here.definitions.set('funnel', 'purchase', { ...funnel, steps: ['search', 'inquiry', 'order'] }, 1);
  here.definitions.set('funnel', 'purchase', funnel, 2);
  here.definitions.set('account', 'acme', { name: 'Acme', currency: 'EUR', dailyBudgetMicros: 1 });
  here.definitions.set('campaign', 'c1', { name: 'Search, Germany', accountId: 'acme', channel: 'search' });
});
afterAll(() => here?.close());

const seconds = (ms: number): number => Math.floor(ms / 1_000);

describe('GET /v1/reports/funnel', () => {
  beforeAll(async () => {
    const columns = [
      'funnel',
      'revision',
      'hour',
      'country',
      'industry',
      'channel',
      'generation',
      'partition',
      'steps',
      'version',
    ] as const;
    const hour = Math.floor(NOW / HOUR_MS) * HOUR_MS;
    const row = (ms: number, cell: string[], steps: number[], more: Record<string, unknown> = {}) => {
      const values = { revision: 2, generation: GENERATION, partition: 0, version: 1, ...more };
      const { revision, generation, partition, version } = values;
      return ['purchase', revision, seconds(ms), ...cell, generation, partition, steps, version];
    };
    const german = ['DE', 'toys', 'search'];
    await insertCompact(
      here.clickhouse,
      'funnel_hours',
      [...columns],
      [
        row(hour, german, [9, 9, 9], { version: 1 }),
        row(hour, german, [10, 4, 1], { version: 2 }),
        row(hour, german, [10, 4, 1], { partition: 3 }),
        row(hour - HOUR_MS, ['FR', 'toys', 'direct'], [5, 0, 0]),
        row(hour - 40 * DAY_MS, german, [100, 100, 100]),
        row(hour, german, [1_000, 1_000, 1_000], { generation: GENERATION + 1 }),
        row(hour, german, [7, 7, 7], { revision: 1 }),
      ],
    );
  });

  it('sums the current generation’s latest values, with rates between steps', async () => {
    const body = await here.get('/v1/reports/funnel?funnel=purchase');
    expect(body).toEqual({
      period: { from: '2025-12-16T13:00:00.000Z', to: '2026-01-15T13:00:00.000Z' },
      by: null,
      generation: GENERATION,
      asOf: null,
      incomplete: true,
      funnel: 'purchase',
      revision: 2,
      backfill: { status: 'waiting', buyersDone: 0, buyersTotal: 0 },
      truncated: false,
      rows: [
        {
          segment: '',
          steps: [
            { step: 'view', count: 25, rateFromPrevious: null, rateFromFirst: null },
            { step: 'inquiry', count: 8, rateFromPrevious: 0.32, rateFromFirst: 0.32 },
            { step: 'order', count: 2, rateFromPrevious: 0.25, rateFromFirst: 0.08 },
          ],
        },
      ],
    });
  });

  it('groups by country and keeps to the hours asked for', async () => {
    const by = await here.get('/v1/reports/funnel?funnel=purchase&by=country');
    expect(
      by.rows.map((row: { segment: string; steps: { count: number }[] }) => [
        row.segment,
        row.steps.map((step) => step.count),
      ]),
    ).toEqual([
      ['DE', [20, 8, 2]],
      ['FR', [5, 0, 0]],
    ]);
    const cut = await here.get('/v1/reports/funnel?funnel=purchase&by=country&limit=1');
    expect([cut.truncated, cut.rows.map((row: { segment: string }) => row.segment)]).toEqual([true, ['DE']]);
    const hour = await here.get(
      '/v1/reports/funnel?funnel=purchase&from=2026-01-15T11:10:00Z&to=2026-01-15T12:30:00Z',
    );
    expect(hour.period).toEqual({ from: '2026-01-15T12:00:00.000Z', to: '2026-01-15T13:00:00.000Z' });
    expect(hour.rows[0].steps[0].count).toBe(20);
    const revision = await here.get('/v1/reports/funnel?funnel=purchase&revision=1');
    expect(revision.rows[0].steps.map((step: { step: string }) => step.step)).toEqual([
      'search',
      'inquiry',
      'order',
    ]);
  });

  it('calls what found no seat other, by whatever it groups', async () => {
    const at = '2025-12-01T00:00:00Z';
    const values = [
      { hour: at, country: 'other', industry: '', channel: '', steps: [4, 1, 0] },
      { hour: at, country: 'DE', industry: 'toys', channel: 'search', steps: [3, 0, 0] },
    ].map((row) => ({ funnel: 'purchase', revision: 2, generation: GENERATION, version: 1, ...row }));
    const clickhouse_settings = { date_time_input_format: 'best_effort' } as const;
    await here.clickhouse.insert({
      table: 'funnel_hours',
      values,
      format: 'JSONEachRow',
      clickhouse_settings,
    });
    const told = async (by: string) => {
      const { rows } = await here.get(
        `/v1/reports/funnel?funnel=purchase&from=2025-12-01T00:00:00Z&to=2025-12-02T00:00:00Z${by}`,
      );
      return rows.map((row: { segment: string; steps: { count: number }[] }) => [
        row.segment,
        row.steps[0]!.count,
      ]);
    };
    expect(await told('')).toEqual([['', 7]]);
    for (const [by, other] of [
      ['country', 'DE'],
      ['industry', 'toys'],
      ['channel', 'search'],
    ]) {
      expect(await told(`&by=${by}`)).toEqual([
        ['other', 4],
        [other, 3],
      ]);
    }
  });

  it('says how far the past of the revision is computed', async () => {
    const save = (revision: number, change: object) =>
      writeBackfill(here.redis, here.namespace, GENERATION, {
        ...unstarted('purchase', revision),
        ...change,
      });
    await save(2, { status: 'failed', keysDone: 40, keysTotal: 100 });
    const backfill = async (more = '') =>
      (await here.get(`/v1/reports/funnel?funnel=purchase${more}`)).backfill;
    expect(await backfill()).toEqual({ status: 'failed', buyersDone: 40, buyersTotal: 100 });
    // Nobody computes the past of a revision that is replaced.
    expect(await backfill('&revision=1')).toMatchObject({ status: 'stopped' });
    await save(1, { status: 'done', keysDone: 100, keysTotal: 100 });
    expect(await backfill('&revision=1')).toMatchObject({ status: 'done' });
  });

  it('of a funnel that is withdrawn tells what was counted, of its last revision that was one', async () => {
    const rows = [{ funnel: 'gone', revision: 1, steps: [3, 1] }].map((row) => ({
      ...row,
      hour: '2026-01-15T11:00:00Z',
      country: 'DE',
      industry: '',
      channel: '',
      generation: GENERATION,
      version: 1,
    }));
    const clickhouse_settings = { date_time_input_format: 'best_effort' } as const;
    await here.clickhouse.insert({
      table: 'funnel_hours',
      values: rows,
      format: 'JSONEachRow',
      clickhouse_settings,
    });
    here.definitions.set('funnel', 'gone', { ...funnel, steps: ['view', 'order'] });
    here.definitions.withdraw('funnel', 'gone');
    for (const asked of ['', '&revision=1']) {
      const { revision, rows: told, backfill } = await here.get(`/v1/reports/funnel?funnel=gone${asked}`);
      expect([revision, backfill.status]).toEqual([1, 'stopped']);
      expect(told[0].steps.map((step: { step: string; count: number }) => [step.step, step.count])).toEqual([
        ['view', 3],
        ['order', 1],
      ]);
    }
    expect((await here.get('/v1/reports/funnel?funnel=gone&revision=3', 404)).detail).toContain(
      'latest is 2',
    );
  });

  it('says what is wrong with a question', async () => {
    expect((await here.get('/v1/reports/funnel?funnel=nothing', 404)).code).toBe('unknown_definition');
    const later = await here.get('/v1/reports/funnel?funnel=purchase&revision=99', 404);
    expect(later.code).toBe('unknown_revision');
    expect(later.detail).toContain('has no revision 99; the latest is ');
    expect((await here.get('/v1/reports/funnel', 400)).code).toBe('invalid');
    expect((await here.get('/v1/reports/funnel?funnel=purchase&by=planet', 400)).code).toBe('invalid');
    expect((await here.get('/v1/reports/funnel?funnel=purchase&from=yesterday', 400)).detail).toContain(
      'ISO 8601',
    );
    expect((await here.get('/v1/reports/funnel?funnel=purchase&from=foo&to=bar', 400)).detail).toContain(
      'from and to must be a time',
    );
    const backwards = '/v1/reports/funnel?funnel=purchase&from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z';
    expect((await here.get(backwards, 400)).detail).toContain('before');
    const write = await here.app.inject({ url: '/v1/reports/funnel?funnel=purchase', headers: writeOnly });
    expect(write.statusCode).toBe(403);
  });
});

describe('GET /v1/reports/opportunities', () => {
  beforeAll(async () => {
    const columns = [
      'key',
      'time',
      'generation',
      'partition',
      'offset',
      'ordinal',
      'opportunity_id',
      'change',
      'subject',
      'stage',
      'opened_at',
      'quality',
      'qualified',
      'country',
      'industry',
      'channel',
      'level',
      'revision',
    ] as const;
    const opened = NOW - DAY_MS;
    const change = (
      offset: number,
      ordinal: number,
      id: string,
      what: string,
      stage: string,
      quality: number,
      more: { country?: string; generation?: number; opened?: number } = {},
    ) => [
      `u:${id}`,
      opened + offset,
      more.generation ?? GENERATION,
      1,
      offset,
      ordinal,
      id,
      what,
      'supplier-1',
      stage,
      more.opened ?? opened,
      quality,
      quality >= 0.5 ? 1 : 0,
      more.country ?? 'DE',
      'toys',
      'search',
      'L1',
      1,
    ];
    await insertCompact(
      here.clickhouse,
      'opportunities',
      [...columns],
      [
        change(1, 0, '1-1', 'opened', 'contact', 0.2),
        change(2, 0, '1-1', 'advanced', 'inquiry', 0.6),
        change(2, 1, '1-1', 'qualified', 'inquiry', 0.6),
        change(2, 1, '1-1', 'qualified', 'inquiry', 0.6),
        change(3, 0, '1-3', 'opened', 'order', 0.9, { country: 'FR' }),
        change(3, 1, '1-3', 'qualified', 'order', 0.9, { country: 'FR' }),
        change(4, 0, '1-3', 'fulfilled', 'order', 0.9, { country: 'FR' }),
        change(5, 0, '1-5', 'opened', 'contact', 0.1),
        change(6, 0, '1-5', 'lost', 'contact', 0.1),
        change(7, 0, '1-7', 'opened', 'contact', 0.1, { opened: NOW - 60 * DAY_MS }),
        change(8, 0, '1-8', 'opened', 'contact', 0.1, { generation: GENERATION + 1 }),
      ],
    );
  });

  it('counts each opportunity once, as it stands now', async () => {
    const body = await here.get('/v1/reports/opportunities');
    expect(body.rows).toEqual([
      {
        segment: '',
        opened: 3,
        qualified: 2,
        inquiries: 2,
        orders: 1,
        open: 1,
        fulfilled: 1,
        completed: 0,
        lost: 1,
        evicted: 0,
        meanQuality: expect.closeTo((0.6 + 0.9 + 0.1) / 3, 9),
        qualifiedRate: 2 / 3,
        orderRate: 1 / 3,
      },
    ]);
    expect(body.top).toEqual([
      {
        id: '1-1',
        key: 'u:1-1',
        subject: 'supplier-1',
        stage: 'inquiry',
        quality: 0.6,
        qualified: true,
        opened: new Date(NOW - DAY_MS).toISOString(),
        changed: new Date(NOW - DAY_MS + 2).toISOString(),
        country: 'DE',
        industry: 'toys',
        channel: 'search',
        level: 'L1',
      },
    ]);
    const by = await here.get('/v1/reports/opportunities?by=country&top=0');
    expect(by.rows.map((row: { segment: string; opened: number }) => [row.segment, row.opened])).toEqual([
      ['DE', 2],
      ['FR', 1],
    ]);
    expect(by.top).toEqual([]);
    expect([body.truncated, by.truncated]).toEqual([false, false]);
    const cut = await here.get('/v1/reports/opportunities?by=country&top=0&limit=1');
    expect([cut.truncated, cut.rows.length]).toEqual([true, 1]);
  });
});

describe('GET /v1/reports/campaigns', () => {
  it('sums absolute values and names what they belong to', async () => {
    const columns = [
      'campaign',
      'account',
      'hour',
      'country',
      'channel',
      'generation',
      'partition',
      'impressions',
      'clicks',
      'cost_micros',
      'version',
    ] as const;
    const at = seconds(NOW - HOUR_MS);
    await insertCompact(
      here.clickhouse,
      'campaign_hours',
      [...columns],
      [
        ['c1', 'acme', at, 'DE', 'search', GENERATION, 2, 999, 99, 9_999, 1],
        ['c1', 'acme', at, 'DE', 'search', GENERATION, 2, 1_000, 10, 5_000_000, 2],
        ['c1', 'acme', at, 'FR', 'search', GENERATION, 2, 1_000, 0, 1_000_000, 2],
        ['c2', 'other', at, '', 'social', GENERATION, 1, 10, 0, 0, 1],
      ],
    );
    const body = await here.get('/v1/reports/campaigns');
    expect(body.rows).toEqual([
      {
        campaign: 'c1',
        name: 'Search, Germany',
        account: 'acme',
        currency: 'EUR',
        segment: '',
        impressions: 2_000,
        clicks: 10,
        costMicros: 6_000_000,
        clickRate: 0.005,
        costPerClickMicros: 600_000,
        costPerThousandMicros: 3_000_000,
      },
      {
        campaign: 'c2',
        name: null,
        account: 'other',
        currency: null,
        segment: '',
        impressions: 10,
        clicks: 0,
        costMicros: 0,
        clickRate: 0,
        costPerClickMicros: null,
        costPerThousandMicros: 0,
      },
    ]);
    here.definitions.set('account', 'other', { name: 'Other', currency: 'CHF', dailyBudgetMicros: 1 });
    here.definitions.set('campaign', 'c2', { name: 'Social', accountId: 'other', channel: 'social' });
    here.definitions.withdraw('account', 'other');
    here.definitions.withdraw('campaign', 'c2');
    const { rows } = await here.get('/v1/reports/campaigns');
    expect(rows[1]).toMatchObject({ campaign: 'c2', name: 'Social', currency: 'CHF' });
    const by = await here.get('/v1/reports/campaigns?campaign=c1&by=country');
    expect(by.rows.map((row: { segment: string; clicks: number }) => [row.segment, row.clicks])).toEqual([
      ['DE', 10],
      ['FR', 0],
    ]);
    expect([body.truncated, by.truncated]).toEqual([false, false]);
    const cut = await here.get('/v1/reports/campaigns?limit=1');
    expect([cut.truncated, cut.rows.length]).toEqual([true, 1]);
    expect((await here.get('/v1/reports/campaigns?by=industry', 400)).code).toBe('invalid');
    expect((await here.get('/v1/reports/campaigns?campaign=nothing', 404)).code).toBe('unknown_definition');
  });

  // Its bounds were raised to full hours of UTC: of the account's 15th it told what the 16th had cost.
  it('has the day of an account whose hours begin within those of UTC', async () => {
    const day = (time: string, cost: number) => ({
      campaign: 'india',
      account: 'mumbai',
      hour: time,
      generation: GENERATION,
      cost_micros: cost,
      version: 1,
    });
    await here.clickhouse.insert({
      table: 'campaign_hours',
      format: 'JSONEachRow',
      clickhouse_settings: { date_time_input_format: 'best_effort' },
      values: [
        day('2026-02-14T18:30:00Z', 100),
        day('2026-02-15T17:30:00Z', 10),
        day('2026-02-15T18:30:00Z', 900),
      ],
    });
    const cost = async (period: string) => {
      const { rows } = await here.get(`/v1/reports/campaigns?${period}`);
      return rows.map((row: { costMicros: number }) => row.costMicros);
    };
    expect(await cost('from=2026-02-14T18:30:00Z&to=2026-02-15T18:30:00Z')).toEqual([110]);
    const own = await here.get(
      `/v1/reports/campaigns?from=2026-02-15T00:00:00%2B05:30&to=2026-02-16T00:00:00%2B05:30`,
    );
    expect([own.period, own.rows[0].costMicros]).toEqual([
      { from: '2026-02-14T18:30:00.000Z', to: '2026-02-15T18:30:00.000Z' },
      110,
    ]);
    // Nothing that begins after its begin is before it, however little.
    expect(await cost('from=2026-02-14T18:30:00.001Z&to=2026-02-15T18:30:00.001Z')).toEqual([910]);
    const within = 'from=2026-02-15T18:10:00Z&to=2026-02-15T18:50:00Z';
    expect((await here.get(`/v1/reports/campaigns?${within}`, 400)).detail).toContain('No hour');
    here.definitions.set('account', 'mumbai', {
      name: 'Mumbai',
      currency: 'INR',
      dailyBudgetMicros: 1,
      utcOffsetMinutes: 330,
    });
    expect(await cost(within)).toEqual([900]);
    const campaign = { name: 'of an account', channel: 'search' };
    here.definitions.set('account', 'london', {
      name: 'London',
      currency: 'GBP',
      dailyBudgetMicros: 1,
      utcOffsetMinutes: 0,
    });
    here.definitions.set('campaign', 'india', { ...campaign, accountId: 'mumbai' });
    here.definitions.set('campaign', 'england', { ...campaign, accountId: 'london' });
    expect(await cost(`${within}&campaign=india`)).toEqual([900]);
    const ofUtc = 'from=2026-02-15T17:50:00Z&to=2026-02-15T18:10:00Z';
    expect(await cost(`${ofUtc}&campaign=england`)).toEqual([]);
    for (const [asked, campaignId] of [
      [within, 'england'],
      [ofUtc, 'india'],
    ] as const)
      expect((await here.get(`/v1/reports/campaigns?${asked}&campaign=${campaignId}`, 400)).detail).toContain(
        'No hour',
      );
  });
});

describe('GET /v1/reports/north-star', () => {
  it('answers a row a day and segment', async () => {
    const columns = [
      'day',
      'country',
      'industry',
      'channel',
      'generation',
      'partition',
      'visitors',
      'opportunities',
      'quality_opportunities',
      'version',
    ] as const;
    await insertCompact(
      here.clickhouse,
      'north_star_days',
      [...columns],
      [
        ['2026-01-15', 'DE', 'toys', 'search', GENERATION, 0, 1, 1, 1, 1],
        ['2026-01-15', 'DE', 'toys', 'search', GENERATION, 0, 10, 4, 2, 2],
        ['2026-01-15', 'FR', 'toys', 'search', GENERATION, 1, 10, 0, 0, 1],
        ['2026-01-14', 'DE', 'toys', 'search', GENERATION, 0, 3, 0, 0, 1],
      ],
    );
    const body = await here.get('/v1/reports/north-star?from=2026-01-13T05:00:00Z');
    expect(body.rows).toEqual([
      {
        day: '2026-01-14',
        segment: '',
        visitors: 3,
        people: null,
        opportunities: 0,
        qualityOpportunities: 0,
        opportunitiesPerVisitor: 0,
        qualityPerVisitor: 0,
      },
      {
        day: '2026-01-15',
        segment: '',
        visitors: 20,
        people: null,
        opportunities: 4,
        qualityOpportunities: 2,
        opportunitiesPerVisitor: 0.2,
        qualityPerVisitor: 0.1,
      },
    ]);
    const by = await here.get('/v1/reports/north-star?by=country&from=2026-01-15T00:00:00Z');
    expect(by.rows.map((row: { segment: string }) => row.segment)).toEqual(['DE', 'FR']);
  });

  it('calls what found no seat other, by whatever it groups', async () => {
    const values = [
      { country: 'other', industry: '', channel: '', visitors: 4 },
      { country: 'DE', industry: 'toys', channel: 'search', visitors: 3 },
    ].map((row) => ({ day: '2025-12-01', generation: GENERATION, version: 1, ...row }));
    await here.clickhouse.insert({ table: 'north_star_days', values, format: 'JSONEachRow' });
    const by = async (name: string) => {
      const asked = `by=${name}&from=2025-12-01T00:00:00Z&to=2025-12-02T00:00:00Z`;
      const { rows } = await here.get(`/v1/reports/north-star?${asked}`);
      return rows.map((row: { segment: string; visitors: number }) => [row.segment, row.visitors]);
    };
    for (const [name, other] of [
      ['country', 'DE'],
      ['industry', 'toys'],
      ['channel', 'search'],
    ] as const) {
      expect(await by(name)).toEqual([
        ['other', 4],
        [other, 3],
      ]);
    }
  });

  it('says that a limit cut it, and keeps the newest days', async () => {
    const told = async (limit: number) => {
      const { truncated, rows } = await here.get(`/v1/reports/north-star?by=country&limit=${limit}`);
      return [truncated, rows.map((row: { day: string; segment: string }) => `${row.day} ${row.segment}`)];
    };
    expect(await told(1)).toEqual([true, ['2026-01-15 DE']]);
    expect(await told(2)).toEqual([true, ['2026-01-15 DE', '2026-01-15 FR']]);
    expect(await told(3)).toEqual([false, ['2026-01-14 DE', '2026-01-15 DE', '2026-01-15 FR']]);
  });
});

describe('what every report says of how far it is counted', () => {
  const reports = ['funnel?funnel=purchase', 'opportunities', 'north-star', 'identity', 'campaigns'];
  const topicOf = (report: string) => (report === 'campaigns' ? 'spend' : 'events');
  const fresh = { ready: 1, stamp: NOW, watermark: NOW - 1_000, paused: '', oldest: '', owedSince: '' };

  async function told() {
    const answers = await Promise.all(reports.map((report) => here.get(`/v1/reports/${report}`)));
    return answers.map(({ asOf, incomplete }, index) => [reports[index], asOf, incomplete]);
  }

  beforeEach(async () => {
    for (const topic of ['events', 'spend'] as const)
      for (let partition = 0; partition < topicPartitions[topic]; partition += 1)
        await here.setHead(topic, partition, fresh);
  });

  it('is the lowest watermark while all partitions are owned and up to date', async () => {
    await here.setHead('events', 3, { watermark: NOW - 5 * MINUTE_MS });
    await here.setHead('spend', 1, { watermark: NOW - 4 * MINUTE_MS, owedSince: NOW - 20_000 });
    expect(await told()).toEqual(
      reports.map((report) => [
        report,
        topicOf(report) === 'spend' ? '2026-01-15T12:26:20.000Z' : '2026-01-15T12:25:20.000Z',
        false,
      ]),
    );
  });

  it.each([
    ['paused', { paused: 1 }],
    ['rebuilt from the log', { ready: 0 }],
    ['without an owner', { stamp: NOW - 6_000 }],
    ['owing rows to ClickHouse', { owedSince: NOW - 31_000 }],
    ['behind its log', { oldest: NOW - 31_000 }],
  ])('is incomplete while one partition is %s, in the reports of its topic', async (_why, head) => {
    for (const topic of ['events', 'spend'] as const) {
      await here.setHead(topic, 2, head);
      const flags = (await told()).map(([report, , incomplete]) => [report, incomplete]);
      expect(flags).toEqual(reports.map((report) => [report, topicOf(report) === topic]));
      await here.setHead(topic, 2, fresh);
    }
  });

  // A partition into which history alone was replayed stays where that ends: its reports were said to be incomplete for days.
  it('is not incomplete because a partition has old records alone', async () => {
    await here.setHead('events', 3, { watermark: NOW - 90 * DAY_MS });
    await here.setHead('spend', 1, { watermark: NOW - 90 * DAY_MS });
    const asOf = new Date(NOW - 90 * DAY_MS).toISOString();
    expect(await told()).toEqual(reports.map((report) => [report, asOf, false]));
  });

  it('costs one trip to Redis, and is not known without it', async () => {
    const { stream } = here.redis as unknown as { stream: { write: (...all: unknown[]) => boolean } };
    const writing = vi.spyOn(stream, 'write');
    await here.get('/v1/reports/funnel?funnel=purchase');
    expect(writing).toHaveBeenCalledTimes(1);
    writing.mockRestore();
    const away = await answering('reports-redis-away', { tables: true });
    try {
      away.definitions.set('funnel', 'purchase', funnel);
      away.redis.disconnect();
      const body = await away.get('/v1/reports/funnel?funnel=purchase');
      expect(body).toMatchObject({ asOf: null, incomplete: true, backfill: null, rows: [] });
    } finally {
      await away.close();
    }
  });
});

describe('periods that meet within an hour or a day', () => {
  const total = (rows: Record<string, number>[], name: string) =>
    rows.reduce((sum, row) => sum + (row[name] ?? 0), 0);

  it.each(['2026-01-15T10:40:00Z', '2026-01-15T11:00:00Z', '2026-01-15T11:30:00Z', '2026-01-15T12:10:00Z'])(
    'count each hour once: %s',
    async (meet) => {
      const steps = async (period: string) => {
        const { rows } = await here.get(`/v1/reports/funnel?funnel=purchase&${period}`);
        return rows[0]?.steps[0].count ?? 0;
      };
      const clicks = async (period: string) =>
        total((await here.get(`/v1/reports/campaigns?${period}`)).rows, 'impressions');
      for (const count of [steps, clicks]) {
        const whole = await count('from=2026-01-15T09:00:00Z&to=2026-01-15T14:00:00Z');
        const parts = [`from=2026-01-15T09:00:00Z&to=${meet}`, `from=${meet}&to=2026-01-15T14:00:00Z`];
        const [before, after] = await Promise.all(parts.map(count));
        expect(whole).toBeGreaterThan(0);
        expect(before! + after!).toBe(whole);
      }
    },
  );

  it('count each day once', async () => {
    const visitors = async (period: string) =>
      total((await here.get(`/v1/reports/north-star?${period}`)).rows, 'visitors');
    const [before, after] = await Promise.all([
      visitors('from=2026-01-13T00:00:00Z&to=2026-01-14T18:00:00Z'),
      visitors('from=2026-01-14T18:00:00Z&to=2026-01-15T12:30:00Z'),
    ]);
    expect([before, after]).toEqual([3, 20]);
  });

  it('and a period in which no hour or day begins is refused', async () => {
    const within = 'from=2026-01-15T10:05:00Z&to=2026-01-15T10:55:00Z';
    const hour = await here.get(`/v1/reports/funnel?funnel=purchase&${within}`, 400);
    expect(hour.detail).toContain('ask from 2026-01-15T10:00:00.000Z');
    expect((await here.get(`/v1/reports/north-star?${within}`, 400)).detail).toContain(
      'ask from 2026-01-15T00:00:00.000Z',
    );
  });
});

describe('a ClickHouse that does not answer', () => {
  /** An app whose ClickHouse does this with what is asked. */
  async function withQuery(name: string, query: (real: ClickHouse) => Promise<unknown>) {
    return answering(name, {
      tables: true,
      wrap: (dependencies) => ({
        ...dependencies,
        clickhouse: Object.assign(Object.create(dependencies.clickhouse), {
          query: () => query(dependencies.clickhouse),
        }),
      }),
    });
  }
  const failing = (error: Error) => async () => {
    throw error;
  };
  const code = (number: string, type: string) => new ClickHouseError({ message: 'no', code: number, type });

  it.each([
    ['is away', Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })],
    ['has too many questions', code('202', 'TOO_MANY_SIMULTANEOUS_QUERIES')],
  ])('because it %s is a 503 with a time to come back', async (_why, error) => {
    const away = await withQuery('reports-away', failing(error));
    try {
      const response = await away.app.inject({ url: '/v1/reports/north-star', headers: secret });
      expect([response.statusCode, response.json().code]).toEqual([503, 'reports_unavailable']);
      expect(response.headers['retry-after']).toBe('5');
      expect(away.logged).toEqual([]);
    } finally {
      await away.close();
    }
  });

  it.each([
    ['takes too long', failing(code('159', 'TIMEOUT_EXCEEDED'))],
    ['would take too long', failing(code('160', 'TOO_SLOW'))],
    [
      'takes too much memory',
      (real: ClickHouse) =>
        real.query({
          query: 'SELECT groupArray(number) FROM numbers(10000000)',
          clickhouse_settings: { max_memory_usage: '1000000' },
        }),
    ],
  ])('because a question %s asks for a narrower one', async (_why, query) => {
    const narrow = await withQuery('reports-narrow', query);
    try {
      const body = await narrow.get('/v1/reports/north-star?people=true', 422);
      expect(body).toMatchObject({ code: 'too_wide', detail: expect.stringContaining('shorter period') });
      const preview = await narrow.app.inject({
        method: 'POST',
        url: '/v1/definitions/account/acme/preview',
        headers: secret,
        payload: { document: { name: 'Acme', currency: 'EUR', dailyBudgetMicros: 1 } },
      });
      expect([preview.statusCode, preview.json().code]).toEqual([422, 'too_wide']);
      expect(narrow.logged).toEqual([]);
    } finally {
      await narrow.close();
    }
  });

  it('because the question is wrong is a fault of ours', async () => {
    const wrong = await withQuery('reports-wrong', failing(code('62', 'SYNTAX_ERROR')));
    try {
      await wrong.get('/v1/reports/north-star', 500);
    } finally {
      await wrong.close();
    }
  });
});
