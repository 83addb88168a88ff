// Bodies that hold what their route cannot take are refused in words and kept as they came, whoever sends them.
import { describe, expect, it } from 'vitest';
import type { Outgoing } from '../../platform/kafka.ts';
import { DefinitionsGiven } from './answering.ts';
import { expectProblem } from './expect-problem.ts';
import { openApp, SECRET, type World, WRITE, world } from './without-parts.ts';

const definitions = new DefinitionsGiven();
definitions.set('account', 'acme', { name: 'Acme', currency: 'USD', dailyBudgetMicros: 1 });
definitions.set('campaign', 'c1', { name: 'Search', accountId: 'acme', channel: 'search' });

const DEEP = `${'['.repeat(20_000)}${']'.repeat(20_000)}`;

async function send(url: string, payload: string | Buffer, contentType = 'application/json') {
  const given: World = world({ definitionLog: definitions.view() as never });
  const app = await openApp(given);
  const key = url === '/v1/track' || url === '/v1/batch' ? WRITE : SECRET;
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
