// Previews: what a changed definition would have said of rows written in the stream's layout, against the domain's own functions.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { definitionSchemas } from '../../domain/definition.ts';
import { engage } from '../../domain/engagement.ts';
import { qualityOf, subjectOf } from '../../domain/opportunity.ts';
import { scoreOf } from '../../domain/score.ts';
import type { ClickHouse } from '../../platform/clickhouse.ts';
import { queryText } from '../../platform/named-query.ts';
import { type Answering, answering, GENERATION, secret } from './answering.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;
const NOW = Date.UTC(2026, 0, 15, 12);
const track = (event: string, behaviour: string) => ({ kind: 'track', event, behaviour });
const rules = [
  { kind: 'page', behaviour: 'visit' },
  track('Seen', 'view'),
  track('Asked', 'inquiry'),
  track('Bought', 'order'),
];
const funnel = { name: 'f', steps: ['view', 'inquiry', 'order'], windowMs: DAY_MS };
const score = {
  name: 's',
  horizonMs: DAY_MS,
  halfLifeMs: DAY_MS,
  cap: 2,
  intercept: -1,
  engagement: { view: 0.5, inquiry: 1.5 },
  country: { DE: 0.25, ZZ: -2 },
};
const lifecycle = {
  matureBehaviours: ['inquiry'],
  matureCount: 1,
  retainedAfterMs: DAY_MS,
  churnedAfterMs: 3 * DAY_MS,
};

interface Happening {
  readonly key: string;
  readonly hoursAgo: number;
  readonly event?: string;
  readonly country?: string;
  readonly level?: string;
  readonly verdict?: string;
  readonly properties?: object;
}
const names: Readonly<Record<string, string>> = { Seen: 'view', Asked: 'inquiry', Bought: 'order' };
const past: Happening[] = [
  { key: 'u:1', hoursAgo: 50, event: 'Seen', country: 'DE' },
  { key: 'u:1', hoursAgo: 49, event: 'Asked', properties: { category: 'pumps', quantity: 1_000 } },
  { key: 'u:1', hoursAgo: 20, event: 'Bought', country: 'US', properties: { category: 'pumps' } },
  { key: 'u:2', hoursAgo: 30, event: 'Seen', country: 'DE' },
  { key: 'u:2', hoursAgo: 29, event: 'Demo Seen' },
  { key: 'u:2', hoursAgo: 28, event: 'Asked', properties: { category: 'drills' } },
  { key: 'a:3', hoursAgo: 100, event: 'Seen' },
  { key: 'a:3', hoursAgo: 99, event: 'Asked', verdict: 'late' },
  { key: 'u:old', hoursAgo: 24 * 20, event: 'Seen' },
  { key: 'u:2', hoursAgo: 24 * 20, level: 'gold' },
];

let here: Answering;
/** What is asked instead of how much there is to read, to play that there is much. */
let size: string | null = null;

/** Bytes of what the last question about contacts, inquiries and orders was answered. */
let deepBytes = 0;

function withSize(clickhouse: ClickHouse): ClickHouse {
  const query = async (asked: { query: string }) => {
    if (size !== null && asked.query === queryText('preview-size'))
      return clickhouse.query({ ...asked, query: size });
    const answer = await clickhouse.query(asked);
    if (asked.query !== queryText('preview-deep')) return answer;
    const json = async () => {
      const text = await answer.text();
      deepBytes = text.length;
      return text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line)]));
    };
    return Object.assign(Object.create(answer), { json });
  };
  return Object.assign(Object.create(clickhouse), { query });
}

async function insert(table: string, values: Record<string, unknown>[]): Promise<void> {
  const clickhouse_settings = { date_time_input_format: 'best_effort' } as const;
  await here.clickhouse.insert({ table, values, format: 'JSONEachRow', clickhouse_settings });
}

/** Rows of `events`, from an offset on. */
function rowsOf(happenings: readonly Happening[], firstOffset = 0): Record<string, unknown>[] {
  return happenings.map(
    ({ key, hoursAgo, event = '', country = '', level = '', verdict = 'applied', properties }, index) => {
      const offset = firstOffset + index;
      const timestamp = NOW - hoursAgo * HOUR_MS;
      const record = {
        kind: 'track',
        event,
        properties: { ...properties, ...(country && { country }), ...(level && { level }) },
      };
      return {
        key,
        time: new Date(timestamp).toISOString(),
        generation: GENERATION,
        partition: 0,
        offset,
        kind: 'track',
        event,
        behaviour: names[event] ?? '',
        verdict,
        message_id: `m${offset}`,
        country,
        level,
        record: JSON.stringify(record),
      };
    },
  );
}

async function insertEvents(): Promise<void> {
  const rows = rowsOf(past);
  // Delivered twice, as after a crash; and what another generation left.
  await insert('events', rows);
  await insert('events', rows);
  await insert(
    'events',
    rows.map((row) => ({ ...row, key: `u:other-${row.key}`, generation: GENERATION + 1 })),
  );
}

beforeAll(async () => {
  here = await answering('preview', {
    tables: true,
    wrap: (dependencies) => ({ ...dependencies, clickhouse: withSize(dependencies.clickhouse) }),
  });
  here.clock.nowMs = NOW;
  const { definitions } = here;
  definitions.set('behaviours', 'default', { rules });
  definitions.set('funnel', 'f', funnel, 3);
  definitions.set('score', 'opportunity', score);
  definitions.set('lifecycle', 'default', lifecycle);
  definitions.set('opportunity', 'default', { qualifiedAt: 0.4 });
  definitions.set('account', 'acme', {
    name: 'A',
    currency: 'EUR',
    dailyBudgetMicros: 100,
    utcOffsetMinutes: 60,
  });
  definitions.set('campaign', 'c', { name: 'C', accountId: 'acme', channel: 'search' });
  await insertEvents();
  const transition = (key: string, hoursAgo: number, offset: number, to_stage: string) => ({
    key,
    time: new Date(NOW - hoursAgo * HOUR_MS).toISOString(),
    generation: GENERATION,
    partition: 0,
    offset,
    to_stage,
  });
  await insert('transitions', [
    transition('u:1', 1, 1, 'mature'),
    // By a timer, and then by a record that told of a time before it fell due.
    transition('u:2', 1, 2, 'churned'),
    transition('u:2', 2, 3, 'new'),
  ]);
  const hour = (hoursAgo: number, country: string, cost: number) => ({
    campaign: 'c',
    account: 'acme',
    hour: new Date(NOW - hoursAgo * HOUR_MS).toISOString(),
    country,
    generation: GENERATION,
    cost_micros: cost,
    version: 1,
  });
  await insert('campaign_hours', [hour(2, 'DE', 80), hour(3, 'US', 70), hour(26, 'DE', 90), hour(4, '', 10)]);
});
afterAll(() => here?.close());

async function preview(name: string, document: unknown, days = 7) {
  const response = await here.app.inject({
    method: 'POST',
    url: `/v1/definitions/${name}/preview?days=${days}`,
    headers: secret,
    payload: { document },
  });
  return { status: response.statusCode, body: response.json() };
}

/** `group/name` → [current, changed]. */
async function measures(name: string, document: unknown, days = 7) {
  const { status, body } = await preview(name, document, days);
  expect([status, body]).toMatchObject([200, { answerable: true, sampledOneIn: 1 }]);
  return Object.fromEntries(
    body.measures.map((each: { group: string; name: string; current: number; changed: number }) => [
      `${each.group}/${each.name}`,
      [each.current, each.changed],
    ]),
  );
}

describe('a preview', () => {
  it('of a funnel counts each step by windowFunnel, of applied events, delivered twice or not', async () => {
    expect(await measures('funnel/f', { ...funnel, windowMs: 2 * DAY_MS })).toEqual({
      'steps/1 view': [3, 3],
      'steps/2 inquiry': [2, 2],
      'steps/3 order': [0, 1],
    });
    expect(
      await measures('funnel/f', { ...funnel, steps: ['view', 'order'], windowMs: 2 * DAY_MS }, 30),
    ).toEqual({
      'steps/1 view': [4, 4],
      'steps/2 order': [null, 1],
      'steps/2 inquiry': [2, null],
      'steps/3 order': [0, null],
    });
    expect(await measures('funnel/new', { ...funnel, mode: 'strict_order+strict_increase' })).toMatchObject({
      'steps/1 view': [null, 3],
      'steps/2 inquiry': [null, 2],
    });
  });

  it('of behaviours maps the names anew, in every funnel', async () => {
    // What nobody called a behaviour comes between the steps now.
    here.definitions.set('funnel', 'strict', { ...funnel, mode: 'strict_order', steps: ['view', 'inquiry'] });
    const changed = { rules: [...rules, track('Demo Seen', 'demo'), track('Asked', 'visit')] };
    expect(await measures('behaviours/default', changed)).toMatchObject({
      'events/(none)': [1, null],
      'events/demo': [null, 1],
      'events/inquiry': [2, 2],
      'funnel strict/1 view': [3, 3],
      'funnel strict/2 inquiry': [2, 1],
    });
  });

  it('of a score is the distribution that the domain’s formula gives', async () => {
    const attributes: Record<string, string | null> = { 'u:1': 'US', 'u:2': 'DE', 'a:3': null };
    const changed = { ...score, halfLifeMs: 2 * DAY_MS, intercept: 0 };
    const means = [score, changed].map((definition) => {
      const scores = Object.entries(attributes).map(([key, country]) => {
        let engagement: ReturnType<typeof engage> = [];
        for (const each of past.filter((one) => one.key === key && one.verdict === undefined)) {
          const behaviour = names[each.event!];
          if (behaviour === undefined) continue;
          const timeMs = NOW - each.hoursAgo * HOUR_MS;
          engagement = engage(engagement, [definition.halfLifeMs], behaviour, timeMs, NOW);
        }
        const stamped = country === null ? null : { value: country, timeMs: 0, messageId: '' };
        const buyer = { engagement, country: stamped, industry: null, level: null };
        return scoreOf({ industry: {}, level: {}, ...definition }, buyer, NOW).probability;
      });
      return scores.reduce((sum, each) => sum + each, 0) / scores.length;
    });
    const found = await measures('score/opportunity', changed);
    expect(found['buyers/scored']).toEqual([3, 3]);
    expect(found['score/mean']![0]).toBeCloseTo(means[0]!, 9);
    expect(found['score/mean']![1]).toBeCloseTo(means[1]!, 9);
    expect(found['score/p90']![1]).toBeGreaterThan(found['score/p10']![1]);
  });

  it('of a score tells what live sums lack: those of a half-life begin with the first score that has it', async () => {
    const noteOf = async (name: string, document: object) =>
      (await preview(`score/${name}`, document)).body.note;
    const fresh = { ...score, halfLifeMs: 3 * DAY_MS };
    const begins =
      'Live, engagement begins at 0 with this revision: no score in force has a halfLifeMs of 259200000';
    expect(await noteOf('opportunity', score)).not.toContain('Live');
    expect(await noteOf('new', score)).not.toContain('Live');
    expect(await noteOf('opportunity', fresh)).toContain(begins);
    expect(await noteOf('new', fresh)).toContain(begins);
    // It came into force before the fourth record of its partition, for the second time: what it had in between was forgotten.
    for (const [index, document] of [fresh, score, fresh, { ...fresh, cap: 3 }].entries()) {
      here.definitions.set('score', 'long', document, index + 1);
      const place = { topic: 'events', generation: GENERATION, partition: 0, offset: index + 1, ordinal: 0 };
      await insert('definitions', [{ type: 'score', id: 'long', revision: index + 1, ...place }]);
    }
    const lacks = 'Live, engagement by a halfLifeMs of 259200000 lacks 3 of the 6 behaviours of the period';
    expect(await noteOf('long', fresh)).toContain(lacks);
    expect(await noteOf('new', fresh)).toContain(lacks);
    expect(await noteOf('long', score)).toContain(lacks);
    expect(await noteOf('new', score)).not.toContain('Live');
  });

  it('of the lifecycle counts stages at the end of the period', async () => {
    expect(
      await measures('lifecycle/default', { ...lifecycle, matureCount: 2, churnedAfterMs: 10 * DAY_MS }),
    ).toEqual({
      'stages/new': [0, 3],
      'stages/mature': [1, 0],
      'stages/retained': [1, 0],
      'stages/churned': [1, 0],
    });
  });

  it('of a segment and an experiment counts the buyers whom they mean', async () => {
    const german = { attribute: 'country', operator: 'equals', value: 'DE' };
    here.definitions.set('segment', 'german', { name: 'g', conditions: [german] });
    const mature = { attribute: 'stage', operator: 'equals', value: 'mature' };
    expect(await measures('segment/german', { name: 'g', conditions: [mature] })).toEqual({
      'buyers/all': [3, 3],
      'buyers/in the segment': [1, 1],
    });
    const churned = { attribute: 'stage', operator: 'equals', value: 'churned' };
    expect(await measures('segment/gone', { name: 'g', conditions: [churned] })).toMatchObject({
      'buyers/in the segment': [null, 0],
    });
    const asked = await preview('segment/x', {
      name: 'x',
      conditions: [{ attribute: 'plan', operator: 'exists' }],
    });
    expect(asked.body.note).toContain('plan counts as absent');
    const gold = { attribute: 'level', operator: 'equals', value: 'gold' };
    expect(await measures('segment/gold', { name: 'gold', conditions: [gold] })).toEqual({
      'buyers/all': [null, 3],
      'buyers/in the segment': [null, 1],
    });
    const experiment = {
      name: 'e',
      status: 'running',
      variations: [
        { key: 'a', value: 1, weight: 0 },
        { key: 'b', value: 2, weight: 1 },
      ],
      targeting: [{ segment: 'german' }],
      fallback: 'a',
    };
    expect(await measures('experiment/e', experiment)).toEqual({
      'buyers/all': [null, 3],
      'buyers/in the experiment': [null, 1],
      'variants/a': [null, 0],
      'variants/b': [null, 1],
      'not in it/notTargeted': [null, 2],
    });
    here.definitions.set('segment', 'planned', {
      name: 'p',
      conditions: [{ attribute: 'plan', operator: 'exists' }],
    });
    const targeting = [
      { segment: 'planned' },
      { segment: 'german' },
      { attribute: 'plan', operator: 'exists' },
    ];
    const planned = await preview('experiment/e', { ...experiment, targeting });
    expect(planned.body.note).toContain('are known: plan counts as absent');
  });

  it('of an account and a campaign holds what was spent against them, by the account’s day', async () => {
    const account = { name: 'A', currency: 'EUR', dailyBudgetMicros: 200, utcOffsetMinutes: 60 };
    expect(await measures('account/acme', account)).toEqual({
      'spent/micros': [250, 250],
      'spent/above the daily budgets, micros': [60, 0],
      'spent/days above their budget': [1, 0],
      'share of the daily budget/2026-01-14': [0.9, 0.45],
      'share of the daily budget/2026-01-15': [1.6, 0.8],
    });
    // A day before is the middle of the account's 14th, of which two hours had passed when 90 were spent.
    const day = await measures('account/acme', account, 1);
    expect(day['share of the daily budget/2026-01-14']).toEqual([0.9, 0.45]);
    const campaign = { name: 'C', accountId: 'acme', channel: 'search', countries: ['DE'] };
    expect(await measures('campaign/c', campaign)).toMatchObject({
      'spent/where it is shown, micros': [250, 170],
      'spent by country where it is shown, micros/US': [70, 0],
      'spent by country where it is shown, micros/(unknown)': [10, 0],
    });
    expect(await measures('campaign/c', { ...campaign, countries: ['ZZ'] })).toMatchObject({
      'spent/where it is shown, micros': [250, 10],
    });
  });

  it('of an account whose hours begin within those of UTC has the first hour of its first day', async () => {
    const india = { name: 'I', currency: 'INR', dailyBudgetMicros: 200, utcOffsetMinutes: 330 };
    here.definitions.set('account', 'india', india);
    const campaign = { name: 'C', accountId: 'india', channel: 'search' };
    here.definitions.set('campaign', 'mumbai', campaign);
    const hour = (time: string, cost: number) => ({
      campaign: 'mumbai',
      account: 'india',
      hour: time,
      generation: GENERATION,
      cost_micros: cost,
      version: 1,
    });
    // Reports of days stand in the hour of the account's midnight.
    const days = [hour('2026-01-12T18:30:00Z', 500), hour('2026-01-13T18:30:00Z', 300)];
    await insert('campaign_hours', [
      ...days,
      hour('2026-01-13T17:30:00Z', 7),
      hour('2026-01-14T18:30:00Z', 300),
    ]);
    expect(await measures('account/india', india, 1)).toMatchObject({
      'spent/micros': [600, 600],
      'share of the daily budget/2026-01-14': [1.5, 1.5],
      'share of the daily budget/2026-01-15': [1.5, 1.5],
    });
    // A day before is 12:00, within the account's hour that began at 11:30.
    await insert('campaign_hours', [hour('2026-01-14T10:30:00Z', 11), hour('2026-01-14T11:30:00Z', 13)]);
    expect((await measures('campaign/mumbai', campaign, 1))['spent/micros']).toEqual([313, 313]);
  });

  it('of opportunities and triggers counts what there would have been', async () => {
    const found = await measures('opportunity/default', { qualifiedAt: 0.1, subject: ['nothing'] });
    expect(found['opportunities/all']).toEqual([2, 2]);
    expect(found['opportunities/qualified']).toEqual([1, 2]);
    const trigger = { name: 't', on: 'transition', to: ['mature', 'churned'] };
    expect(await measures('trigger/t', trigger)).toEqual({
      'triggers/mature': [null, 1],
      'triggers/churned': [null, 1],
    });
  });

  it('of opportunities weighs the country and level that a buyer had said by then, in whatever record', async () => {
    const byWhom = { qualifiedAt: 0.4, country: { DE: 0.1 }, level: { gold: 0.1 }, base: { inquiry: 0.25 } };
    // u:1 asked while in DE, and is in US since; u:2 asked an hour after naming DE, and said the level before the period.
    const found = await measures('opportunity/default', byWhom);
    expect(found['opportunities/qualified']).toEqual([1, 2]);
    expect(found['opportunities/mean quality']).toEqual([0.475, expect.closeTo((0.55 + 0.45) / 2, 9)]);
  });

  it('of opportunities reads the same of a record as the domain does, and never the record, which may be large', async () => {
    const definition = definitionSchemas.opportunity.parse({ subject: ['supplierId', 'category'] });
    const said: Record<string, unknown>[] = [
      { supplierId: null, category: 'pumps', message: '' },
      { supplierId: 'x'.repeat(300), message: 'ä😀'.repeat(100), quantity: 12.5, specification: true },
      { supplierId: '😀'.repeat(100), messageLength: 200, quantity: '7', specification: '' },
      { supplierId: 1.5, message: 5, messageLength: 100, specification: 'steel' },
      { category: 1e21, quantity: 10, far: 100_000_000_000_000_000_000 },
      { category: 'valves', specification: 1 },
      { supplierId: true, category: { of: 'pumps' }, quantity: -4 },
      { supplierId: '', message: 'm'.repeat(200_000) },
    ];
    const longAgo = said.map((properties, index) => ({
      key: 'u:buyer',
      hoursAgo: 100 * 24 + index,
      event: 'Asked',
      properties,
    }));
    await insert('events', rowsOf(longAgo, 1_000));
    const nobody = { country: undefined, level: undefined };
    const qualities = said.map((properties) => qualityOf(definition, 'inquiry', properties, nobody));
    const subjects = new Set(said.map((properties) => subjectOf(properties, definition)));
    here.clock.nowMs = NOW - 99 * DAY_MS;
    try {
      // Those without a subject are one opportunity, and as good as the better.
      const best = [...qualities.slice(0, 6), Math.max(...qualities.slice(6))];
      expect(await measures('opportunity/default', definition)).toMatchObject({
        'opportunities/all': [subjects.size, subjects.size],
        'opportunities/mean quality': [
          expect.anything(),
          expect.closeTo(best.reduce((a, b) => a + b) / subjects.size, 9),
        ],
      });
      expect(subjects.size).toBe(7);
      expect(deepBytes).toBeGreaterThan(0);
      expect(deepBytes).toBeLessThan(5_000);
    } finally {
      here.clock.nowMs = NOW;
    }
  });

  it('of opportunities refuses what one buyer makes too much of, for a sample of buyers does not lessen it', async () => {
    const [row] = rowsOf([{ key: 'u:tireless', hoursAgo: 200 * 24, event: 'Asked' }]);
    const { offset: _each, ...same } = row!;
    await insert('events', [{ ...same, offset: 10_000 }]);
    const rest = Object.keys(same);
    await here.clickhouse.command({
      query: `INSERT INTO events (offset, ${rest.join(', ')}) SELECT 10001 + n.number, ${rest.map((name) => `e.${name}`).join(', ')}
        FROM (SELECT * FROM events WHERE key = 'u:tireless') AS e CROSS JOIN numbers(300000) AS n`,
    });
    here.clock.nowMs = NOW - 199 * DAY_MS;
    size = 'SELECT 1 AS events, 1 AS buyers, 1 AS deep';
    try {
      const { status, body } = await preview('opportunity/default', {});
      expect([status, body.code, body.detail]).toEqual([
        422,
        'too_wide',
        expect.stringContaining('fewer days'),
      ]);
    } finally {
      size = null;
      here.clock.nowMs = NOW;
    }
  });

  it('samples where there are many contacts, inquiries and orders', async () => {
    size = 'SELECT 1 AS events, 1 AS buyers, 400001 AS deep';
    try {
      expect((await preview('opportunity/default', {})).body.sampledOneIn).toBe(3);
    } finally {
      size = null;
    }
  });

  it('says that it looked at a sample only where it did', async () => {
    size = 'SELECT 1000001 AS events, 1000 AS buyers, 1 AS deep';
    try {
      const experiment = {
        name: 'e',
        status: 'running',
        variations: [
          { key: 'a', value: 1, weight: 0.5 },
          { key: 'b', value: 2, weight: 0.5 },
        ],
        targeting: [],
        fallback: 'a',
      };
      const exists = { attribute: 'level', operator: 'exists' };
      const account = { name: 'A', currency: 'EUR', dailyBudgetMicros: 1, utcOffsetMinutes: 60 };
      const documents: [name: string, document: object, oneIn: number][] = [
        ['funnel/f', funnel, 1],
        ['behaviours/default', { rules }, 1],
        ['score/opportunity', score, 1],
        ['account/acme', account, 1],
        ['campaign/c', { name: 'C', accountId: 'acme', channel: 'search' }, 1],
        ['trigger/t', { name: 't', on: 'transition', to: ['mature'] }, 1],
        ['lifecycle/default', lifecycle, 2],
        ['opportunity/default', {}, 2],
        ['segment/levelled', { name: 'l', conditions: [exists] }, 2],
        ['experiment/e', experiment, 2],
      ];
      for (const [name, document, oneIn] of documents) {
        const { status, body } = await preview(name, document);
        expect([name, status, body.sampledOneIn]).toEqual([name, 200, oneIn]);
      }
    } finally {
      size = null;
    }
  });

  it('says plainly where nothing can be said, and refuses what could not be saved', async () => {
    const settings = await preview('settings/default', { latenessMs: 1 });
    expect(settings.body).toMatchObject({ answerable: false, measures: [], revision: null });
    expect(settings.body.note).toContain('cannot be said');
    const wrong = await preview('funnel/f', { ...funnel, steps: ['view', 'nonsense'] });
    expect(wrong).toMatchObject({ status: 422, body: { code: 'invalid_definition' } });
    expect(wrong.body.reasons).toEqual(['funnel f: no rule of the behaviours maps an event to nonsense']);
    expect((await preview('funnel/f', funnel, 1_000)).status).toBe(400);
  });
});
