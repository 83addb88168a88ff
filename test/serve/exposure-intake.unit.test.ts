// Exposures from elsewhere: the record is the one that OFREP writes, each fault is named and kept, nobody without the key.
import { expect, it } from 'vitest';
import { exposureRecord } from '../../domain/buyer-record.ts';
import { buyerPartition } from '../../platform/keys.ts';
import type { Dependencies } from '../../serve/dependencies.ts';
import { NOW_MS, openApp, SECRET, type World, WRITE, world } from './without-parts.ts';

const experiment = {
  id: 'form',
  revision: 3,
  hash: '',
  document: { variations: [{ key: 'long' }, { key: 'short' }] },
};
const definitionLog = {
  isCaughtUp: () => true,
  find: (type: string, id: string) => (type === 'experiment' && id === 'form' ? experiment : undefined),
  list: () => [],
  historyOf: () => [],
} as unknown as Dependencies['definitionLog'];

const good = {
  messageId: 'e1',
  userId: '7',
  experiment: 'form',
  variant: 'short',
  timestamp: '2017-01-02T13:42:05.378Z',
};

async function send(exposures: unknown, headers: Record<string, string> = {}) {
  const given: World = world({ definitionLog });
  const app = await openApp(given);
  const answer = await app.inject({
    method: 'POST',
    url: '/v1/exposures',
    headers: { authorization: `Bearer ${SECRET}`, ...headers },
    payload: { exposures },
  });
  return { status: answer.statusCode, body: answer.json(), sent: given.remembered.sent };
}

it('writes the record of an exposure with the time, the variant and the revision in force', async () => {
  const { status, body, sent } = await send([
    good,
    { ...good, messageId: 'e2', userId: undefined, anonymousId: 'v' },
  ]);
  expect([status, body]).toEqual([200, { success: true, accepted: 2, rejected: [] }]);
  const records = sent.map(({ value }) => exposureRecord.parse(JSON.parse(String(value))));
  expect(records[0]).toEqual({
    kind: 'exposure',
    messageId: 'e1',
    key: 'u:7',
    experiment: 'form',
    revision: 3,
    variant: 'short',
    reason: 'IMPORTED',
    timestamp: Date.parse(good.timestamp),
  });
  expect(records[1]!.key).toBe('a:v');
  for (const [index, { partition, key }] of sent.entries()) {
    expect(key).toBe(records[index]!.key);
    expect(partition).toBe(buyerPartition(records[index]!.key));
  }
});

it('takes the valid part, names the rest and keeps it so that it can be submitted again', async () => {
  const { status, body, sent } = await send([
    { ...good, userId: undefined },
    { ...good, experiment: 'nothing' },
    good,
    { ...good, variant: 'medium' },
    { ...good, timestamp: NOW_MS + 600_000 },
    { ...good, timestamp: 'yesterday' },
    { ...good, timestamp: 5 },
    { ...good, messageId: '' },
    { ...good, variant: undefined, timestamp: undefined },
    'none',
  ]);
  expect(status).toBe(200);
  expect(body.accepted).toBe(1);
  expect(
    body.rejected.map(({ index, reason }: { index: number; reason: string }) => [index, reason]),
  ).toEqual([
    [0, 'missing_id'],
    [1, 'unknown_experiment'],
    [3, 'unknown_variant'],
    [4, 'future'],
    [5, 'invalid'],
    [6, 'absurd_time'],
    [7, 'invalid'],
    [8, 'invalid'],
    [9, 'invalid'],
  ]);
  expect(body.rejected[7].detail).toBe(
    "an exposure must have required property 'variant'; an exposure must have required property 'timestamp'",
  );
  const kept = sent.map(({ value }) => JSON.parse(String(value))).filter(({ kind }) => kind === 'rejected');
  expect(kept).toHaveLength(9);
  const again = await send(JSON.parse(Buffer.from(kept[1].raw, 'base64').toString()).exposures, {
    'x-flywheel-replay': '1',
  });
  expect([again.status, again.body.code, again.sent]).toEqual([400, 'unknown_experiment', []]);
});

it('refuses a wrong body, too many, and a key that may only write', async () => {
  for (const wrong of [[], 'all', Array(2_001).fill(good)]) {
    const { status, sent } = await send(wrong);
    expect([status, sent]).toEqual([400, []]);
  }
  const { status, sent } = await send([good], { authorization: `Bearer ${WRITE}` });
  expect([status, sent]).toEqual([403, []]);
});

it.each(['messageId', 'userId', 'anonymousId'])(
  'refuses half of a character in %s: kept as U+FFFD, two ids would be one',
  async (name) => {
    const { status, body, sent } = await send([{ ...good, [name]: 'half-\ud83d' }]);
    expect([status, body.code]).toEqual([400, 'invalid']);
    expect(body.detail).toContain(`${name} holds half of a character`);
    const [{ raw }] = sent.map(({ value }) => JSON.parse(String(value))) as [{ raw: string }];
    expect(Buffer.from(raw, 'base64').toString()).toContain(`"${name}":"half-\\ud83d"`);
  },
);
