// One attempt where nothing can be sent.
import { expect, it } from 'vitest';
import type { InForce } from '../../domain/definition.ts';
import type { DeliveriesTopicRecord, Delivery } from '../../domain/delivery.ts';
import type { ReceiverDefinition } from '../../domain/receiver-definition.ts';
import { type AttemptPorts, attemptDelivery } from '../../jobs/attempt.ts';

const delivery = { id: 'msg_1', receiver: 'crm', status: 'queued', attempt: 0, detail: '' } as Delivery;
const receiver = { id: 'crm', document: { secret: 'crm-signing' } } as InForce<ReceiverDefinition>;

it('without a secret says once, in the delivery, what is missing, and is no attempt', async () => {
  let clock = 1_000;
  const written: DeliveriesTopicRecord[] = [];
  const ports = {
    pending: { standing: async () => 'waiting' },
    secrets: { keysOf: async () => [] },
    writer: { write: async (records: DeliveriesTopicRecord[]) => void written.push(...records) },
    nowMs: () => clock,
    warn: () => {},
  } as unknown as AttemptPorts;

  const first = (await attemptDelivery(delivery, receiver, ports))!;
  expect(first).toMatchObject({ status: 'queued', attempt: 0, atMs: 1_000, dueMs: 31_000 });
  expect(first.detail).toContain('crm-signing');
  expect(written).toEqual([first]);

  clock = 31_000;
  expect(await attemptDelivery(first, receiver, ports)).toEqual({ ...first, dueMs: 61_000 });
  expect(written).toHaveLength(1);
});
