// The longest id that collect takes fits every record that is made of it: what was taken is lost nowhere on its way.
import { expect, it } from 'vitest';
import { exposureRecord, receiptRecord, segmentRecord } from '../../domain/buyer-record.ts';
import { delivery, waitingTrigger } from '../../domain/delivery.ts';
import { linkRecord, memberRecord } from '../../domain/identity-record.ts';
import { ID_CHARACTERS_MAX } from '../../domain/record-fields.ts';
import { readContext } from '../../serve/assignments/context.ts';
import { takeMessage } from '../../serve/collect/message.ts';

const id = 'i'.repeat(ID_CHARACTERS_MAX);
const user = `u:${id}`;
const timestamp = 1_700_000_000_000;
const origin = { generation: 1, partition: 0, offset: 1, ordinal: 0 };

it('is taken by collect, and one longer is not', () => {
  const envelope = {
    kind: 'track',
    nowMs: timestamp,
    sentAt: undefined,
    receivedAt: undefined,
    trusted: false,
    source: 's',
  } as const;
  const message = { event: 'e', userId: id, anonymousId: id, groupId: id, messageId: id };
  const taken = takeMessage(message, envelope);
  expect(taken).toMatchObject({ taken: true, key: user });
  if (taken.taken) expect(segmentRecord.safeParse(JSON.parse(taken.value)).success).toBe(true);
  expect(takeMessage({ ...message, userId: `${id}i` }, envelope).taken).toBe(false);
});

const trigger = {
  id: '1-2-3',
  definition: 'd',
  revision: 1,
  on: 'opportunity',
  key: user,
  from: '',
  to: 'qualified',
  timeMs: timestamp,
  expiresMs: timestamp,
  data: {},
};

it.each([
  [
    'link',
    linkRecord,
    { kind: 'link', origin, key: `a:${id}`, user, cause: 'identify', messageId: id, timestamp },
  ],
  [
    'member',
    memberRecord,
    { kind: 'member', origin, key: `c:${id}`, member: user, messageId: id, timestamp, behaviour: '' },
  ],
  [
    'exposure',
    exposureRecord,
    {
      kind: 'exposure',
      messageId: 'm',
      key: user,
      experiment: 'e',
      revision: 1,
      variant: 'v',
      reason: 'r',
      timestamp,
    },
  ],
  ['receipt', receiptRecord, { kind: 'receipt', messageId: 'm', key: user, trigger: '1-2-3', timestamp }],
  ['trigger', waitingTrigger, trigger],
  [
    'delivery',
    delivery,
    {
      kind: 'delivery',
      id: 'msg_1',
      receiver: 'crm',
      status: 'queued',
      attempt: 0,
      failures: 0,
      dueMs: timestamp,
      createdMs: timestamp,
      atMs: timestamp,
      answer: 0,
      detail: '',
      intentLifeMs: 1,
      timeoutMs: 1,
      trigger,
    },
  ],
])('fits a %s', (_, schema, record) => {
  expect(schema.safeParse(record)).toMatchObject({ success: true });
});

it('may be asked for an assignment, with its kind or alone', () => {
  const asked = (targetingKey: string) => readContext({ context: { targetingKey } });
  for (const targetingKey of [id, user, `a:${id}`]) expect(asked(targetingKey).ok).toBe(true);
  for (const targetingKey of [`${id}i`, `${user}i`, '']) expect(asked(targetingKey).ok).toBe(false);
});

it('cut in the middle of a character is nobody’s: two would become one', () => {
  const cut = 'x\ud83d';
  for (const context of [
    { targetingKey: cut },
    { targetingKey: 'x', userId: cut },
    { targetingKey: 'x', anonymousId: cut },
  ])
    expect(readContext({ context })).toMatchObject({ ok: false, fault: { errorCode: 'INVALID_CONTEXT' } });
  expect(readContext({ context: { targetingKey: 'x😀', anonymousId: '😀' } }).ok).toBe(true);
});
