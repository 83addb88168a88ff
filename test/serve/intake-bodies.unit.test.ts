// Bodies that hold what their route cannot take are refused in words and kept as they came, whoever sends them.
import { describe, expect, it, vi } from 'vitest';
import type { Outgoing } from '../../platform/kafka.ts';
import { PlatformError } from '../../platform/platform-error.ts';
import { signNotices } from '../../serve/notice-address.ts';
import { DefinitionsGiven } from './answering.ts';
import { expectProblem } from './expect-problem.ts';
import { openApp, SECRET, type World, WRITE, world } from './without-parts.ts';

const definitions = new DefinitionsGiven();
definitions.set('account', 'acme', { name: 'Acme', currency: 'USD', dailyBudgetMicros: 1 });
definitions.set('campaign', 'c1', { name: 'Search', accountId: 'acme', channel: 'search' });

const DEEP = `${'['.repeat(20_000)}${']'.repeat(20_000)}`;

const keyOf = (url: string): string => (url === '/v1/track' || url === '/v1/batch' ? WRITE : SECRET);

async function send(
  url: string,
  payload: string | Buffer,
  contentType = 'application/json',
  key = keyOf(url),
) {
  const given: World = world({ definitionLog: definitions.view() as never });
  const app = await openApp(given);
  const headers = { authorization: `Bearer ${key}`, 'content-type': contentType };
  const answer = await app.inject({ method: 'POST', url, headers, payload });
  return { answer, kept: given.remembered.sent.flatMap(keptRaw) };
}

/** What was kept of what was turned away. */
function keptRaw({ value }: Outgoing): string[] {
  const { kind, raw } = JSON.parse(String(value));
  return kind === 'rejected' ? [Buffer.from(raw, 'base64').toString('latin1')] : [];
}

describe('text that is not UTF-8', () => {
  const latin1 = (text: string) => Buffer.from(text, 'latin1');

  it.each([
    ['/v1/track', '{"userId":"müller","event":"e"}', 'application/json'],
    ['/v1/track', '{"userId":"müller","event":"e"}', 'application/json; charset=iso-8859-1'],
    ['/v1/spend', 'campaign,channel,start,cost\nc1,mü,2026-01-05,1', 'text/csv'],
    ['/v1/notices', '{"notice":"win","campaign":"c1","bid":"mü","cost":1}', 'application/json'],
  ])('is refused and kept by %s, for two names would become one: %s', async (url, text, contentType) => {
    const { answer, kept } = await send(url, latin1(text), contentType);
    expectProblem(answer, 400, 'malformed');
    expect(answer.json().detail).toContain('not UTF-8');
    expect(kept).toEqual([text]);
  });

  it('is refused where nothing is kept, and by OFREP in its own words', async () => {
    const exposures = await send('/v1/exposures', latin1('{"exposures":[{"userId":"müller"}]}'));
    expectProblem(exposures.answer, 400, 'malformed');
    expect(exposures.answer.json().detail).toContain('not UTF-8');
    const flag = await send('/ofrep/v1/evaluate/flags/form', latin1('{"context":{"targetingKey":"müller"}}'));
    expect([flag.answer.statusCode, flag.answer.json()]).toEqual([
      400,
      { key: 'form', errorCode: 'PARSE_ERROR', errorDetails: expect.stringContaining('not UTF-8') },
    ]);
  });
});

// It was said not to be JSON.
describe('a member that would change what objects are', () => {
  const bodies = ['{"time":1,"more":[{"__proto__":{"a":1}}]}', '{"constructor":{"prototype":{"a":1}}}'];

  it.each(bodies)('is refused by name where bodies are parsed at once: %s', async (body) => {
    const { answer } = await send('/v1/clock', body);
    expectProblem(answer, 400, 'malformed');
    expect(answer.json().detail).toBe(
      'The body has a member that is not taken: __proto__, or prototype in constructor.',
    );
  });

  it.each(bodies)('is refused in its own words by OFREP: %s', async (body) => {
    const { answer } = await send('/ofrep/v1/evaluate/flags/form', body);
    expect([answer.statusCode, answer.json()]).toEqual([
      400,
      {
        key: 'form',
        errorCode: 'PARSE_ERROR',
        errorDetails: 'The body has a member that is not taken: __proto__, or prototype in constructor.',
      },
    ]);
  });

  it('is not what is wrong with text that is no JSON', async () => {
    const { answer } = await send('/v1/clock', '{"__proto__":{"a":1}');
    expectProblem(answer, 400, 'malformed');
    expect(answer.json().detail).toBe('The body is not JSON.');
  });
});

describe('what is nested deeper than the call stack', () => {
  it.each([
    ['/v1/spend', `{"campaign":"none","start":"2026-01-05","cost":1,"more":${DEEP}}`, 'unknown_campaign'],
    [
      '/v1/notices',
      `{"notice":"win","campaign":"none","bid":"b","cost":1,"more":${DEEP}}`,
      'unknown_campaign',
    ],
    ['/v1/track', `{"userId":"u","event":"e","properties":{"deep":${DEEP}}}`, 'invalid'],
  ])('is refused by %s for what is wrong with it, and kept as it came', async (url, text, code) => {
    const { answer, kept } = await send(url, text);
    expectProblem(answer, 400, code);
    expect(kept).toEqual([text]);
  });

  it('is kept as its own bytes, not as those of all others beside it', async () => {
    const one = `{"type":"track","userId":"u","event":"e","properties":{"deep":${DEEP}}}`;
    const { answer, kept } = await send('/v1/batch', `{"batch":[${Array(20).fill(one).join()}]}`);
    expectProblem(answer, 400, 'all_rejected');
    expect(kept).toEqual(Array(20).fill(one));
  });

  it('is refused by /v1/exposures, and kept', async () => {
    const one = `{"messageId":"m","userId":"u","experiment":"none","variant":"v","timestamp":5,"more":${DEEP}}`;
    const { answer, kept } = await send('/v1/exposures', `{"exposures":[${one}]}`);
    expectProblem(answer, 400, 'unknown_experiment');
    expect(kept).toEqual([`{"exposures":[${one}]}`]);
  });
});

describe('rows', () => {
  it.each(['{"csv":5}', '{"csv":[null]}', '{"csv":"abc"}', '{"csv":null}', '{"csv":[{"value":{}}]}'])(
    'of JSON are never taken for those of a CSV: %s',
    async (text) => {
      const { answer, kept } = await send('/v1/spend', text);
      expectProblem(answer, 400, 'invalid');
      expect(answer.json().detail).toBe(
        "Not taken: a row must have required property 'campaign'; a row must have required property 'start'.",
      );
      expect(kept).toEqual([text]);
    },
  );

  it('of a CSV are read however its media type is written', async () => {
    const { answer } = await send(
      '/v1/spend',
      'campaign,start,cost\nc1,2026-01-05,1',
      'Text/CSV; header=present',
    );
    expect([answer.statusCode, answer.json().accepted]).toEqual([200, 1]);
  });

  it('that say two costs are refused, unless they are the same', async () => {
    const row = (costMicros: number) =>
      `{"campaign":"c1","start":"2026-01-05","cost":1.5,"costMicros":${costMicros}}`;
    expect((await send('/v1/spend', row(1_500_000))).answer.statusCode).toBe(200);
    const { answer } = await send('/v1/spend', row(5));
    expectProblem(answer, 400, 'invalid');
    expect(answer.json().detail).toContain('cost 1.5 and costMicros 5 are not the same');
  });
});

it('a body that is too large is told the limit of its route', async () => {
  const { answer } = await send('/v1/track', Buffer.alloc(6 * 1024 * 1024, 32));
  expectProblem(answer, 413, 'too_large');
  expect(answer.json().detail).toContain(`the ${5 * 1024 * 1024} bytes`);
});

// What is kept stays in memory until Kafka has it, and Kafka takes 8 MiB at a time.
describe('what is kept of a request', () => {
  const bytesOf = (kept: readonly string[]): number => kept.reduce((sum, { length }) => sum + length, 0);

  it.each([
    ['/v1/batch', { sentAt: 'x'.repeat(100_000), batch: new Array(400).fill({}) }],
    ['/v1/batch', { receivedAt: { a: 'x'.repeat(100_000) }, batch: new Array(400).fill({}) }],
    ['/v1/spend', { note: 'x'.repeat(100_000), rows: new Array(400).fill({}) }],
    ['/v1/spend', { currency: 'x'.repeat(100_000), rows: new Array(400).fill({}) }],
    ['/v1/notices', { receivedAt: ['x'.repeat(100_000)], notices: new Array(400).fill({}) }],
  ])('is not its envelope, once for each message: %s', async (url, body) => {
    const payload = JSON.stringify(body);
    const { answer, kept } = await send(url, payload);
    expect(answer.statusCode).toBe(400);
    expect(kept).not.toEqual([]);
    expect(bytesOf(kept)).toBeLessThanOrEqual(payload.length);
  });

  // Each message kept a sentence of its own with all of the envelope's time in it, until the process had no memory left.
  it('is not said at length of each of its messages, where it is no time', async () => {
    const batch = new Array(400).fill({ type: 'page', userId: 'u' });
    const payload = JSON.stringify({ receivedAt: 'x'.repeat(100_000), batch });
    const { answer } = await send('/v1/batch', payload, 'application/json', SECRET);
    expectProblem(answer, 400, 'all_rejected');
    expect(answer.json().rejected).toHaveLength(400);
    expect(answer.json().rejected[0].detail).toContain('is neither ISO 8601 nor epoch milliseconds');
    expect(answer.body.length).toBeLessThan(payload.length + 400 * 300);
  });

  it('are the times of its envelope, without which its messages would have others', async () => {
    const sentAt = '2026-03-01T11:00:00Z';
    const { kept } = await send('/v1/batch', JSON.stringify({ sentAt, batch: [{ event: 'e' }] }));
    expect(kept.map((text) => JSON.parse(text))).toEqual([{ sentAt, event: 'e' }]);
  });

  it.each([null, '', '2026-03-01T10:00:00Z'])(
    'has the sentAt by which its time was corrected, whatever the message says itself: %j',
    async (own) => {
      const sentAt = '2026-03-01T11:00:00Z';
      const batch = [{ event: 'e', sentAt: own }];
      const { kept } = await send('/v1/batch', JSON.stringify({ sentAt, batch }));
      expect(kept.map((text) => JSON.parse(text))).toEqual([{ sentAt, event: 'e' }]);
    },
  );

  it('has the receivedAt of the message, else that of its envelope', async () => {
    const receivedAt = '2026-02-01T11:00:00Z';
    const own = '2026-02-01T10:00:00Z';
    const batch = [{ event: 'e', receivedAt: null }, { event: 'e' }, { event: 'e', receivedAt: own }];
    const { kept } = await send('/v1/batch', JSON.stringify({ receivedAt, batch }));
    expect(kept.map((text) => JSON.parse(text).receivedAt)).toEqual([receivedAt, receivedAt, own]);
  });

  it('stands beside whether its key may say when it was received', async () => {
    for (const key of [WRITE, SECRET]) {
      const given = world();
      const app = await openApp(given);
      const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
      for (const payload of ['{"event":"e"}', '{'])
        await app.inject({ method: 'POST', url: '/v1/track', headers, payload });
      const trusted = given.remembered.sent.map(({ value }) => JSON.parse(String(value)).trusted);
      expect(trusted).toEqual([key === SECRET, key === SECRET]);
    }
  });

  it('is cut, and says so, where it is longer than a body may be', async () => {
    const given = world();
    const app = await openApp(given);
    const headers = { authorization: `Bearer ${WRITE}`, 'content-type': 'application/json' };
    const payload = `{"batch":[{"properties":{"a":[${new Array(1_000_000).fill('1e20').join(',')}]}}]}`;
    const answer = await app.inject({ method: 'POST', url: '/v1/batch', headers, payload });
    expect(answer.statusCode).toBe(400);
    const [record] = given.remembered.sent.map(({ value }) => String(value));
    expect(record!.length).toBeLessThan(8 * 1024 * 1024);
    expect(JSON.parse(record!).detail).toMatch(/^\(kept: the first 5242880 of \d+ bytes\)/);
  });

  it('counts as what is on its way to Kafka by what is written of it', async () => {
    let acknowledge = (): void => {};
    const given = world();
    const { producer } = given.dependencies;
    producer.sendBatch = () => new Promise((resolve) => (acknowledge = () => resolve([])));
    const app = await openApp(given);
    const headers = { authorization: `Bearer ${WRITE}`, 'content-type': 'application/json' };
    const payload = JSON.stringify({ batch: new Array(10_000).fill({}) });
    const answer = app.inject({ method: 'POST', url: '/v1/batch', headers, payload });
    await vi.waitFor(async () => {
      const bytes = await given.dependencies.metrics.inFlightBytes.get();
      expect(bytes.values[0]!.value).toBeGreaterThan(20 * payload.length);
    });
    acknowledge();
    expect((await answer).statusCode).toBe(400);
  });
});

it('each reason for which requests are refused is told of from the start, so that its first rise is seen', async () => {
  const given = world();
  const reasons = async () => {
    const { values } = await given.dependencies.metrics.refused.get();
    return values.map(({ labels }) => labels.reason);
  };
  const before = await reasons();
  const app = await openApp(given);
  const headers = { authorization: `Bearer ${WRITE}`, 'content-type': 'application/json' };
  for (const code of ['KAFKA_NOT_DELIVERED', 'KAFKA_QUEUE_FULL', 'KAFKA_FATAL'] as const) {
    given.dependencies.producer.sendBatch = async () => {
      throw new PlatformError(code, 'not now');
    };
    const payload = { userId: 'u', event: 'e' };
    const answer = await app.inject({ method: 'POST', url: '/v1/track', headers, payload });
    expect(before).toContain(answer.json().code);
  }
  expect(await reasons()).toEqual(before);
});

it.each([
  ['an id each', [{ messageId: 'a' }, { messageId: 7 }], true],
  ['one without an id', [{ messageId: 'a' }, {}], false],
  ['one with an empty id', [{ messageId: '' }], false],
  ['one that is not taken and has no id', [{ messageId: 'a' }, { userId: null }], true],
])('only repeats by message ids are said to count once: %s', async (_name, messages, isRepeatable) => {
  const given = world();
  given.dependencies.producer.sendBatch = async () => {
    throw new PlatformError('KAFKA_NOT_DELIVERED', 'some of it');
  };
  const app = await openApp(given);
  const headers = { authorization: `Bearer ${WRITE}`, 'content-type': 'application/json' };
  const batch = messages.map((one) => ({ type: 'page', userId: 'u', ...one }));
  const answer = await app.inject({ method: 'POST', url: '/v1/batch', headers, payload: { batch } });
  expectProblem(answer, 503, 'log_unavailable');
  const { detail } = answer.json();
  expect(detail.includes('message ids keep repeats from counting twice')).toBe(isRepeatable);
  expect(detail.includes('one without it may count twice')).toBe(!isRepeatable);
});

it('a record that is larger than Kafka takes is a 413, not a fault of ours', async () => {
  const given = world();
  given.dependencies.producer.sendBatch = async () => {
    throw new PlatformError('KAFKA_TOO_LARGE', '9000000 bytes are too large for events');
  };
  const app = await openApp(given);
  const headers = { authorization: `Bearer ${WRITE}`, 'content-type': 'application/json' };
  const payload = { userId: 'u', event: 'e' };
  const answer = await app.inject({ method: 'POST', url: '/v1/track', headers, payload });
  expectProblem(answer, 413, 'too_large');
});

it.each(['\u0001', '\ud800', '"', '語'])(
  'a win is told of a bid whose names are full of %j',
  async (character) => {
    const app = await openApp(world());
    const noticed = {
      account: 'a'.repeat(128),
      campaign: 'c'.repeat(128),
      channel: character.repeat(64),
      country: 'DE',
      bid: character.repeat(240),
      lease: 'f'.repeat(36),
      currency: 'EUR',
      bidMicros: 9_000_000_000_000_000,
      priceUnits: 1_000,
    } as const;
    const { win } = signNotices(Buffer.alloc(32, 7), noticed);
    expect((await app.inject({ method: 'GET', url: win })).statusCode).toBe(204);
  },
);
