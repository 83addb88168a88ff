import type { LookupAddress } from 'node:dns';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { assertLiteralAllowed, isAllowedHost, isPublicAddress, publicLookup } from '../../jobs/address.ts';
import { createSender, IntentOver } from '../../jobs/send.ts';

const forbidden = [
  '127.0.0.1',
  '127.8.9.10',
  '0.0.0.0',
  '10.1.2.3',
  '172.16.0.1',
  '172.31.255.255',
  '192.168.1.1',
  '169.254.169.254',
  '100.64.0.1',
  '192.0.2.1',
  '198.18.0.1',
  '224.0.0.1',
  '240.0.0.1',
  '255.255.255.255',
  '::',
  '::1',
  '::ffff:127.0.0.1',
  '::ffff:a9fe:a9fe',
  '::7f00:1',
  '64:ff9b::7f00:1',
  '2002:7f00:1::',
  '2001:db8::1',
  '2001::1',
  'fc00::1',
  'fd00:ec2::254',
  'fe80::1',
  'fec0::1',
  'ff02::1',
  'not an address',
];

/** A stand-in for DNS that gives the answers one after the other. */
function resolver(...answers: LookupAddress[][]) {
  let asked = 0;
  const resolve = ((_host: string, _options: object, done: (error: null, all: LookupAddress[]) => void) => {
    done(null, answers[Math.min(asked, answers.length - 1)]!);
    asked += 1;
  }) as unknown as Parameters<typeof publicLookup>[0];
  return { resolve, asked: () => asked };
}

let server: Server;
let port: number;
let requests = 0;

beforeAll(async () => {
  server = createServer((request, response) => {
    requests += 1;
    if (request.url === '/away') response.writeHead(302, { location: `http://127.0.0.1:${port}/inside` });
    if (request.url !== '/silent') response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port;
});
afterAll(() => server.close());

function attempt(url: string, mayStart = () => true) {
  const body = '{}';
  return {
    url,
    headers: { 'content-length': '2' },
    body,
    timeoutMs: 2_000,
    mayStart,
    signal: new AbortController().signal,
  };
}

describe('addresses that webhooks may be sent to', () => {
  it.each(forbidden)('refuses %s', (address) => expect(isPublicAddress(address)).toBe(false));

  it.each(['93.184.216.34', '1.1.1.1', '2606:4700:4700::1111', '::ffff:1.1.1.1'])('takes %s', (address) =>
    expect(isPublicAddress(address)).toBe(true),
  );

  it.each([
    'http://127.0.0.1/',
    'http://2130706433/',
    'http://0x7f.1/',
    'http://0177.0.0.1/',
    'http://127.1/',
    'http://[::1]/',
    'http://[::ffff:127.0.0.1]/',
    'http://[::ffff:169.254.169.254]/latest/meta-data',
    'https://169.254.169.254/',
  ])('refuses the literal %s, however it is written', async (url) => {
    expect(() => assertLiteralAllowed(new URL(url))).toThrow('not a public address');
    const sender = createSender({ allowedHosts: [] });
    const { status, detail } = await sender.send(attempt(url));
    expect([status, detail]).toEqual([0, expect.stringContaining('not a public address')]);
    await sender.close();
  });

  it('refuses a name when one of its addresses is not public, and connects to none', async () => {
    const { resolve } = resolver([
      { address: '1.1.1.1', family: 4 },
      { address: '10.0.0.1', family: 4 },
    ]);
    const sender = createSender({ allowedHosts: [], lookup: publicLookup(resolve) });
    const answer = await sender.send(attempt(`http://inside.example:${port}/`));
    expect([answer.status, answer.detail]).toEqual([0, expect.stringContaining('10.0.0.1')]);
    await sender.close();
  });

  it('looks a name up once for a connection, so that a second answer changes nothing', async () => {
    const { resolve, asked } = resolver(
      [{ address: '192.0.1.1', family: 4 }],
      [{ address: '127.0.0.1', family: 4 }],
    );
    const before = requests;
    const sender = createSender({ allowedHosts: [], lookup: publicLookup(resolve) });
    const answer = await sender.send({ ...attempt(`http://turns.example:${port}/`), timeoutMs: 300 });
    expect(answer.status).toBe(0);
    expect(asked()).toBe(1);
    expect(requests).toBe(before);
    await sender.close();
  });

  it('lets through only the hosts that the configuration names, with their port if it does', () => {
    expect(isAllowedHost(new URL('http://127.0.0.1:81/'), ['127.0.0.1'])).toBe(true);
    expect(isAllowedHost(new URL('http://127.0.0.1:81/'), ['127.0.0.1:80'])).toBe(false);
    expect(isAllowedHost(new URL('https://a.example/'), ['a.example:443'])).toBe(true);
    expect(isAllowedHost(new URL('http://127.0.0.1.a.example/'), ['127.0.0.1'])).toBe(false);
  });
});

describe('an attempt', () => {
  it('does not follow a redirect', async () => {
    const sender = createSender({ allowedHosts: ['127.0.0.1'] });
    const before = requests;
    const { status, detail } = await sender.send(attempt(`http://127.0.0.1:${port}/away`));
    expect([status, detail]).toEqual([302, 'a redirect, which is not followed']);
    expect(requests).toBe(before + 1);
    await sender.close();
  });

  it('ends with its time-out, and with the turn of its sender', async () => {
    const sender = createSender({ allowedHosts: ['127.0.0.1'] });
    const silent = `http://127.0.0.1:${port}/silent`;
    const late = await sender.send({ ...attempt(silent), timeoutMs: 50 });
    expect(late).toEqual({ status: 0, detail: 'no answer within 50 ms' });
    const turn = new AbortController();
    const under = sender.send({ ...attempt(silent), signal: turn.signal });
    turn.abort();
    expect((await under).status).toBe(0);
    await sender.close();
  });

  it('sends not one byte when the intent is over at the socket', async () => {
    const sender = createSender({ allowedHosts: ['127.0.0.1'] });
    const before = requests;
    const url = `http://127.0.0.1:${port}/`;
    await expect(sender.send(attempt(url, () => false))).rejects.toThrow(IntentOver);
    expect(requests).toBe(before);
    expect((await sender.send(attempt(url))).status).toBe(200);
    await sender.close();
  });
});
