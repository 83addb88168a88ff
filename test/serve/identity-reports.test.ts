// What links do to reports, against rows in the stream's layout: late counts are summed, an opportunity that moved is one, people
// are counted by the links as they stand.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Answering, answering, GENERATION, secret } from './answering.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;
const NOW = Date.UTC(2026, 0, 15, 12, 30);
const funnel = { name: 'Purchase', steps: ['view', 'inquiry', 'order'], windowMs: DAY_MS };

let here: Answering;
beforeAll(async () => {
  here = await answering('identity-reports', { tables: true });
  here.clock.nowMs = NOW;
  here.definitions.set('funnel', 'purchase', funnel, 2);
  here.definitions.set('behaviours', 'default', {
    rules: [
      { kind: 'track', event: 'Seen', behaviour: 'view' },
      { kind: 'track', event: 'Asked', behaviour: 'inquiry' },
    ],
  });
});
afterAll(() => here?.close());

async function insert(table: string, rows: readonly Record<string, unknown>[]): Promise<void> {
  const clickhouse_settings = { date_time_input_format: 'best_effort' } as const;
  const values = rows.map((row) => ({ generation: GENERATION, ...row }));
  // Twice, as after a crash.
  for (let times = 0; times < 2; times += 1) {
    await here.clickhouse.insert({ table, values, format: 'JSONEachRow', clickhouse_settings });
  }
}

const ago = (ms: number): string => new Date(NOW - ms).toISOString();

describe('counts that came after their bucket was closed', () => {
  const german = { country: 'DE', industry: 'toys', channel: 'search' };
  const other = { country: 'FR', industry: '', channel: 'direct' };
  const start = ago(50 * HOUR_MS + 30 * 60_000);
  const late = (offset: number, column: number, more: object = {}) => ({
    ...german,
    ...{ series: 'funnel:purchase', revision: 2, start, partition: 3, offset, ordinal: 1, column, amount: 1 },
    ...more,
  });

  it('are steps of the funnel, of the current generation and the revision asked for', async () => {
    await insert('funnel_hours', [
      { funnel: 'purchase', revision: 2, hour: start, partition: 3, steps: [4, 2, 0], version: 9, ...german },
    ]);
    await insert('adjustments', [
      late(1, 0),
      late(2, 2),
      late(3, 1, { amount: 2 }),
      late(4, 0, other),
      late(5, 0, { generation: GENERATION + 1 }),
      late(6, 0, { revision: 1 }),
      late(7, 0, { series: 'funnel:other' }),
      late(8, 0, { start: ago(40 * DAY_MS) }),
    ]);
    const steps = (body: { rows: { segment: string; steps: { count: number }[] }[] }) =>
      body.rows.map((row) => [row.segment, ...row.steps.map(({ count }) => count)]);
    expect(steps(await here.get('/v1/reports/funnel?funnel=purchase'))).toEqual([['', 6, 4, 1]]);
    expect(steps(await here.get('/v1/reports/funnel?funnel=purchase&by=country'))).toEqual([
      ['DE', 5, 4, 1],
      ['FR', 1, 0, 0],
    ]);
  });

  it('are visitors, opportunities and quality opportunities of their day', async () => {
    const day = '2026-01-13';
    await insert('north_star_days', [
      { day, partition: 3, visitors: 10, opportunities: 4, quality_opportunities: 1, version: 9, ...german },
    ]);
    const series = { series: 'northstar', revision: 0 };
    await insert('adjustments', [
      late(10, 0, { ...series, start: `${day} 00:00:00` }),
      late(11, 1, { ...series, start: `${day} 00:00:00`, amount: 3 }),
      late(12, 2, { ...series, start: `${day} 00:00:00` }),
      late(13, 0, { ...series, start: '2026-01-12 00:00:00', ...other }),
      late(14, 0, { ...series, start: `${day} 00:00:00`, generation: GENERATION + 1 }),
    ]);
    const rows = (await here.get('/v1/reports/north-star')).rows.map((row: Record<string, unknown>) => [
      row.day,
      row.visitors,
      row.opportunities,
      row.qualityOpportunities,
      row.people,
    ]);
    expect(rows).toEqual([
      ['2026-01-12', 1, 0, 0, null],
      [day, 11, 7, 2, null],
    ]);
  });
});

describe('opportunities that go with a link', () => {
  const row = (partition: number, offset: number, id: string, change: string, stage = 'contact') => ({
    ...{ key: partition === 1 ? 'a:v' : 'u:1', time: ago(DAY_MS - offset), partition, offset, ordinal: 0 },
    ...{ opportunity_id: id, change, stage, opened_at: ago(2 * DAY_MS), quality: 0.5, qualified: 0 },
  });

  it('are one: not open where they moved from, not opened again where they go on, and back where they return', async () => {
    await insert('opportunities', [
      // Moved, and ordered as the user's.
      row(1, 1, '1-1', 'opened'),
      row(1, 5, '1-1', 'moved'),
      row(2, 3, '2-3.0', 'merged'),
      row(2, 4, '2-3.0', 'advanced', 'order'),
      // Moved, taken back, and the visitor's again.
      row(1, 2, '1-2', 'opened'),
      row(1, 6, '1-2', 'moved'),
      row(2, 7, '2-7.0', 'merged'),
      row(2, 8, '2-7.0', 'revoked'),
      row(1, 9, '1-2', 'returned'),
      // On its way: gone from here, not there yet.
      row(1, 10, '1-10', 'opened'),
      row(1, 11, '1-10', 'moved'),
      row(2, 20, '2-20', 'opened'),
    ]);
    const body = await here.get('/v1/reports/opportunities');
    expect(body.rows).toMatchObject([{ opened: 3, open: 3, orders: 1, lost: 0, evicted: 0 }]);
    expect(body.top.map(({ id }: { id: string }) => id).sort()).toEqual(['1-2', '2-20', '2-3.0']);
  });
});

describe('people', () => {
  const link = (visitor: string, user: string, offset: number, change = 'linked', more: object = {}) => ({
    ...{ key: visitor, time: ago(3 * DAY_MS), partition: 1, offset, ordinal: 0, from_offset: 0 },
    ...{ link: `1-${offset}-${visitor.slice(2)}`, visitor, user, change },
    ...more,
  });
  const ended = (visitor: string, user: string, of: number, offset: number, change: string) =>
    link(visitor, user, offset, change, { link: `1-${of}-${visitor.slice(2)}` });
  const event = (key: string, offset: number, more: object = {}) => ({
    ...{
      key,
      time: '2026-01-14T09:00:00Z',
      partition: 1,
      offset,
      kind: 'track',
      event: 'Seen',
      behaviour: 'view',
    },
    ...{ verdict: 'applied', message_id: `m${offset}`, record: '{}' },
    ...more,
  });

  beforeAll(async () => {
    await insert('identities', [
      // Two devices of one.
      link('a:phone', 'u:1', 10),
      link('a:desk', 'u:1', 12),
      // A shared device: the second gets what comes from there on.
      link('a:kiosk', 'u:2', 20),
      ended('a:kiosk', 'u:2', 20, 30, 'superseded'),
      link('a:kiosk', 'u:3', 30, 'linked', { ordinal: 1, from_offset: 30 }),
      // Taken back.
      link('a:wrong', 'u:2', 40),
      ended('a:wrong', 'u:2', 40, 41, 'revoked'),
      // Silent for too long.
      link('a:old', 'u:4', 50),
      ended('a:old', 'u:4', 50, 60, 'expired'),
      { ...link('a:phone', 'u:1', 11, 'merged'), key: 'u:1' },
      link('a:elsewhere', 'u:9', 10, 'linked', { generation: GENERATION + 1 }),
      link('a:long-ago', 'u:9', 10, 'linked', { time: ago(90 * DAY_MS) }),
    ]);
    await insert('events', [
      event('a:phone', 5),
      event('a:desk', 6),
      event('u:1', 7, { event: 'Asked', behaviour: 'inquiry', time: '2026-01-14T10:00:00Z' }),
      event('a:kiosk', 8),
      event('a:kiosk', 31),
      event('a:wrong', 35),
      event('u:2', 36),
      event('a:phone', 37, { verdict: 'late' }),
      event('u:legacy', 38, { time: ago(80 * DAY_MS) }),
    ]);
  });

  it('are counted by day, each once, whatever keys they came under', async () => {
    const rows = (await here.get('/v1/reports/north-star?people=true')).rows;
    const days = rows.map(({ day, people }: Record<string, unknown>) => [day, people]);
    // u:1 (three keys), u:2 (own and kiosk), u:3 (kiosk), a:wrong.
    await insert('north_star_days', [{ day: '2026-01-14', partition: 1, visitors: 6, version: 1 }]);
    expect(days).toContainEqual(['2026-01-13', 0]);
    const again = (await here.get('/v1/reports/north-star?people=true')).rows;
    expect(again.find(({ day }: { day: string }) => day === '2026-01-14')).toMatchObject({
      visitors: 6,
      people: 4,
    });
    expect((await here.get('/v1/reports/north-star?people=true&by=country')).rows[0].people).toBeNull();
  });

  it('are what a preview judges', async () => {
    const response = await here.app.inject({
      method: 'POST',
      url: '/v1/definitions/funnel/asked/preview?days=7',
      headers: secret,
      payload: { document: { name: 'Asked', steps: ['view', 'inquiry'], windowMs: DAY_MS } },
    });
    expect(response.json()).toMatchObject({
      note: expect.stringContaining('Buyers are persons'),
      measures: [
        { name: '1 view', changed: 4 },
        { name: '2 inquiry', changed: 1 },
      ],
    });
  });

  it('are reported with their links, shared devices, companies, aliases and crossovers', async () => {
    const said = (key: string, offset: number, more: object) => ({
      ...{
        key,
        time: ago(DAY_MS),
        partition: 2,
        offset,
        message_id: `l${offset}`,
        user_id: key.slice(2),
        traits: '{}',
      },
      ...more,
    });
    await insert('links', [
      said('u:1', 1, { kind: 'group', group_id: 'acme' }),
      said('u:2', 2, { kind: 'group', group_id: 'acme' }),
      said('u:2', 3, { kind: 'group', group_id: 'other' }),
      // Before they signed in; on the shared device, u:2 and then u:3; by somebody who is not known.
      said('a:phone', 5, { kind: 'group', group_id: 'acme', partition: 1 }),
      said('a:kiosk', 25, { kind: 'group', group_id: 'acme', partition: 1 }),
      said('a:kiosk', 32, { kind: 'group', group_id: 'acme', partition: 1 }),
      said('a:wrong', 33, { kind: 'group', group_id: 'other', partition: 1 }),
      said('u:1', 4, { kind: 'alias', previous_id: 'phone' }),
      said('u:1', 5, { kind: 'alias', previous_id: 'legacy' }),
      said('u:1', 6, { kind: 'alias', previous_id: 'legacy' }),
      said('u:1', 8, { kind: 'alias', previous_id: '1' }),
    ]);
    const shown = (key: string, offset: number, variant: string, experiment = 'form') => ({
      ...{
        key,
        time: ago(DAY_MS),
        partition: 1,
        offset,
        ordinal: 0,
        message_id: `x${offset}`,
        experiment,
        variant,
      },
    });
    await insert('exposures', [
      shown('a:phone', 70, 'short'),
      shown('a:desk', 71, 'long'),
      shown('u:2', 72, 'short'),
      shown('u:2', 73, 'short'),
      // u:2's before, u:3's after.
      shown('a:kiosk', 25, 'long'),
      shown('a:kiosk', 74, 'long'),
      shown('a:wrong', 75, 'long'),
      shown('u:1', 76, 'a', 'other'),
    ]);
    const body = await here.get('/v1/reports/identity');
    expect(body).toEqual({
      period: { from: ago(30 * DAY_MS), to: ago(0) },
      generation: GENERATION,
      asOf: null,
      incomplete: true,
      truncated: false,
      links: { made: 6, superseded: 1, revoked: 1, expired: 1, merged: 1, inseparable: 0 },
      joined: { visitors: 4, users: 4, usersWithSeveralVisitors: 1, visitorsOfSeveralUsers: 1 },
      // u:1, u:2, u:3, a:wrong.
      companies: { companies: 2, members: 4 },
      aliasesOfUsers: {
        count: 1,
        rows: [{ userId: '1', previousId: 'legacy', time: ago(DAY_MS), messageId: 'l5' }],
      },
      crossovers: [
        { experiment: 'form', people: 4, crossovers: 2 },
        { experiment: 'other', people: 1, crossovers: 0 },
      ],
    });
    const empty = await here.get('/v1/reports/identity?from=2025-01-01T00:00:00Z&to=2025-02-01T00:00:00Z');
    expect([empty.links.made, empty.joined.visitors, empty.crossovers]).toEqual([0, 0, []]);
    await insert('links', [said('u:2', 7, { kind: 'alias', previous_id: 'legacy', time: ago(HOUR_MS) })]);
    const cut = await here.get('/v1/reports/identity?limit=1');
    expect([cut.truncated, cut.aliasesOfUsers]).toMatchObject([
      true,
      { count: 2, rows: [{ userId: '2', messageId: 'l7' }] },
    ]);
    const { aliasesOfUsers } = await here.get('/v1/reports/identity?limit=2');
    expect(aliasesOfUsers.rows.map((row: { messageId: string }) => row.messageId)).toEqual(['l5', 'l7']);
  });
});
