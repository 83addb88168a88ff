// Every error is a problem document, whoever raised it.
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import type { Dependencies } from '../../serve/dependencies.ts';
import { expectProblem } from './expect-problem.ts';
import { openApp, SECRET, WRITE, world } from './without-parts.ts';

const bearer = (key: string) => ({ authorization: `Bearer ${key}` });
const message = { userId: 'u', event: 'e', messageId: 'm' };

describe('errors are problem documents', () => {
  it('for an address that there is not', async () => {
    expectProblem(await (await openApp()).inject('/v1/nothing/here'), 404, 'not_found');
  });

  it('for a method that an address does not take, which names those it takes', async () => {
    const answer = await (await openApp()).inject({ method: 'GET', url: '/v1/track?x=1' });
    expectProblem(answer, 405, 'method_not_allowed');
    expect(answer.headers.allow).toBe('OPTIONS, POST');
  });

  it('for an address that cannot be decoded', async () => {
    expectProblem(await (await openApp()).inject('/v1/%zz'), 400, 'malformed');
  });

  it('for a body that a schema refuses, with where', async () => {
    const answer = await (await openApp()).inject({
      method: 'POST',
      url: '/v1/clock',
      headers: bearer(SECRET),
      payload: { time: {} },
    });
    expectProblem(answer, 400, 'invalid');
    expect(answer.json().errors[0]).toMatchObject({ pointer: '/time' });
  });

  it('for a body or a query with several faults, which are all named at once', async () => {
    const opened = await openApp();
    const headers = bearer(SECRET);
    const body = await opened.inject({
      method: 'POST',
      url: '/v1/bids',
      headers,
      payload: { bids: [{ country: 7 }, 8] },
    });
    expectProblem(body, 400, 'invalid');
    expect(body.json().detail).toBe(
      "The request's body is not as it must be: bids.0 must have required property 'campaignId'; " +
        'bids.0.country must be string; bids.1 must be object.',
    );
    const query = await opened.inject({ url: '/v1/deliveries?limit=many&state=odd&nothing=1', headers });
    expectProblem(query, 400, 'invalid');
    expect(query.json().errors).toEqual([
      { pointer: '', detail: 'has no "state"' },
      { pointer: '', detail: 'has no "nothing"' },
      { pointer: '/limit', detail: 'must be integer' },
    ]);
  });

  it('for a parameter that is given several times, in words of what was done', async () => {
    const opened = await openApp();
    const query = await opened.inject({
      url: '/v1/deliveries?limit=5&limit=6&limit=7&receiver=a&receiver=b',
      headers: bearer(SECRET),
    });
    expectProblem(query, 400, 'invalid');
    expect(query.json().detail).toBe(
      "The request's query is not as it must be: limit is given 3 times, and may be once; " +
        'receiver is given 2 times, and may be once.',
    );
  });

  it.each([
    ['/v1/buyers/u:', 'The key "u:" names nobody: a user id must stand behind u: and here there is none.'],
    ['/v1/buyers/c:', 'The key "c:" names nobody: a group id must stand behind c: and here there is none.'],
    [
      '/v1/triggers?key=a:',
      'The key "a:" names nobody: an anonymous id must stand behind a: and here there is none.',
    ],
  ])('for a key without an id: %s', async (url, detail) => {
    const answer = await (await openApp()).inject({ url, headers: bearer(SECRET) });
    expectProblem(answer, 400, 'invalid');
    expect(answer.json().detail).toBe(detail);
  });

  it('for an event with several faults, which are all named and kept', async () => {
    const given = world();
    const opened = await openApp(given);
    const track = (payload: object) =>
      opened.inject({ method: 'POST', url: '/v1/track', headers: bearer(WRITE), payload });
    const wrong = await track({ userId: { a: 1 }, event: 5, properties: 'no' });
    expect(wrong.json().detail).toMatch(/userId must be .*; event must be .*; properties must be /);
    const lacking = await track({ properties: {}, timestamp: 'yesterday' });
    expect(lacking.json()).toMatchObject({
      code: 'missing_id',
      detail: expect.stringMatching(
        /a userId or an anonymousId is needed; timestamp "yesterday" is neither .*; a track needs an event name/,
      ),
    });
    const kept = given.remembered.sent.map(({ value }) => JSON.parse(String(value)) as { detail: string });
    expect(kept.map(({ detail }) => detail.split('; ').length)).toEqual([expect.any(Number), 3]);
  });

  it('of a thousand faults names the first twenty', async () => {
    const bids = Array.from({ length: 100 }, () => 1);
    const payload = { bids };
    const answer = await (await openApp()).inject({
      method: 'POST',
      url: '/v1/bids',
      headers: bearer(SECRET),
      payload,
    });
    expect(answer.json().errors).toHaveLength(20);
  });

  it('for JSON that is none, a type that is not taken and too much of it, on routes of any kind', async () => {
    const opened = await openApp();
    const headers = { ...bearer(SECRET), 'content-type': 'application/json' };
    expectProblem(
      await opened.inject({ method: 'POST', url: '/v1/clock', headers, payload: '{' }),
      400,
      'malformed',
    );
    expectProblem(
      await opened.inject({ method: 'POST', url: '/v1/clock', headers, payload: '' }),
      400,
      'malformed',
    );
    const xml = { ...headers, 'content-type': 'text/xml' };
    expectProblem(
      await opened.inject({ method: 'POST', url: '/v1/clock', headers: xml, payload: '<a/>' }),
      415,
      'unsupported_media_type',
    );
    const large = JSON.stringify({ time: 1, x: 'x'.repeat(2_000_000) });
    const refused = await opened.inject({ method: 'POST', url: '/v1/clock', headers, payload: large });
    expectProblem(refused, 413, 'too_large');
    expect(refused.json().detail).toBe('The body is larger than the 1048576 bytes that this route takes.');
  });

  it('for a bug, without telling what it was, and the log has it', async () => {
    const given = world({
      producer: {
        sendBatch: async () => Promise.reject(new TypeError('secret detail')),
      } as unknown as Dependencies['producer'],
    });
    const answer = await (await openApp(given)).inject({
      method: 'POST',
      url: '/v1/track',
      headers: bearer(WRITE),
      payload: message,
    });
    expectProblem(answer, 500, 'internal');
    expect(answer.body).not.toContain('secret detail');
    expect(given.remembered.errors).toEqual(['a request failed']);
  });

  it('for what is no HTTP at all', async () => {
    const opened = await openApp();
    await opened.listen({ host: '127.0.0.1', port: 0 });
    const { port } = opened.server.address() as { port: number };
    const text = await new Promise<string>((resolve, reject) => {
      let received = '';
      const socket = connect(port, '127.0.0.1', () => socket.write('nonsense\r\n\r\n'));
      socket.on('data', (data) => {
        received += data;
      });
      socket.on('close', () => resolve(received));
      socket.on('error', reject);
    });
    expect(text).toMatch(/^HTTP\/1\.1 400 Bad Request\r\ncontent-type: application\/problem\+json/);
  });
});
