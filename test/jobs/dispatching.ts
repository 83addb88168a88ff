// A dispatcher whose parts are stand-ins: what it writes, sends and asks is written down, and time is vitest's.
import type { InForce } from '../../domain/definition.ts';
import type { DeliveriesTopicRecord, Delivery, WaitingTrigger } from '../../domain/delivery.ts';
import type { ReceiverDefinition } from '../../domain/receiver-definition.ts';
import { createBeginning } from '../../jobs/beginning.ts';
import { createDispatcher, type DispatchPorts } from '../../jobs/dispatch.ts';
import type { PendingPorts } from '../../jobs/pending.ts';
import { deliveryIdOf } from '../../platform/delivery-log.ts';
import { buyerPartition } from '../../platform/keys.ts';
import { namespaceOf, topicPartitions } from '../../platform/namespace.ts';

export const namespace = namespaceOf('x');
const GENERATION = 1;

/** A buyer of that partition of `events`. */
export function keyIn(partition: number): string {
  for (let number = 0; ; number += 1) if (buyerPartition(`u:${number}`) === partition) return `u:${number}`;
}

export function triggerOf(id: string, partition: number): WaitingTrigger {
  return {
    ...{ id, definition: 'won', revision: 1, on: 'transition', key: keyIn(partition) },
    ...{ from: 'a', to: 'b', timeMs: 0, expiresMs: 1, data: {} },
  };
}

/** As it stands in the topic; to `crm`, if it is not said to whom. */
export function deliveryOf(trigger: WaitingTrigger, change: Partial<Delivery> = {}): Delivery {
  const { receiver = 'crm' } = change;
  const id = deliveryIdOf(namespace, GENERATION, receiver, trigger.id);
  return {
    ...{ kind: 'delivery', id, receiver, status: 'queued', attempt: 0, failures: 0, dueMs: 0 },
    ...{ createdMs: 0, atMs: 0, answer: 0, detail: '', intentLifeMs: 0, timeoutMs: 0, trigger },
    ...change,
  };
}

export function manyTriggers(count: number): WaitingTrigger[] {
  const one = triggerOf('', 0);
  return Array.from({ length: count }, (_none, number) => ({ ...one, id: `t${number}` }));
}

/** As many triggers as that, each delivered to `crm` and dead at `other`. */
export function heldBack(count: number) {
  const { beginning, take } = createBeginning(() => false);
  for (const trigger of manyTriggers(count)) {
    take(deliveryOf(trigger, { status: 'delivered' }));
    take(deliveryOf(trigger, { status: 'dead', receiver: 'other' }));
  }
  return beginning;
}

export function activeReceiver(
  id: string,
  change: Partial<ReceiverDefinition> = {},
): InForce<ReceiverDefinition> {
  const document = {
    ...{ status: 'active', secret: 'crm', url: 'http://crm.example', triggers: [], concurrency: 2 },
    ...{ timeoutMs: 1_000, retryAfterMs: [] },
    ...change,
  };
  return { id, document } as unknown as InForce<ReceiverDefinition>;
}

/** Partitions of `events` and their states in Redis, and what was asked of them. */
export function partitions() {
  const ends = new Array<number>(topicPartitions.events).fill(10);
  const offsets = [...ends];
  const ready = ends.map(() => '1');
  const waiting = new Set<string>();
  /** How many ids each question named. */
  const asked: number[] = [];
  const changes = { beforeExec: async (): Promise<void> => {} };
  const beforeExec = (): Promise<void> => changes.beforeExec();
  async function hmget(hash: string, ...fields: string[]) {
    const partition = Number(/\.(\d+)\./.exec(hash)?.[1]);
    if (hash.endsWith(':head')) return [ready[partition], String(Date.now()), String(offsets[partition])];
    asked.push(fields.length);
    return fields.map((id) => (waiting.has(id) ? '{}' : null));
  }
  const ports = {
    ...{ namespace, generation: GENERATION, nowMs: () => Date.now() },
    admin: { watermarks: async () => ends.map((high) => ({ low: 0, high })) },
    redis: {
      hmget,
      multi() {
        const reads: [string, string[]][] = [];
        const queue = {
          hmget(hash: string, ...fields: string[]) {
            reads.push([hash, fields]);
            return queue;
          },
          async exec() {
            await beforeExec();
            return Promise.all(reads.map(async ([hash, fields]) => [null, await hmget(hash, ...fields)]));
          },
        };
        return queue;
      },
    },
  } as unknown as PendingPorts;
  return { ends, offsets, ready, waiting, asked, changes, ports };
}

export function dispatching(change: Partial<DispatchPorts>) {
  const sent: string[] = [];
  const written: DeliveriesTopicRecord[] = [];
  const receipts: string[] = [];
  const failures: Error[] = [];
  const receiver = activeReceiver('crm');
  const ports = {
    ...{ namespace, generation: GENERATION, intentLifeMs: 10_000, signal: new AbortController().signal },
    ...{ nowMs: () => Date.now(), monotonicMs: () => performance.now(), chance: () => 0 },
    ...{ warn() {}, failpoint() {}, receivers: () => [receiver], expiry: async () => () => false },
    writer: { write: async (records: DeliveriesTopicRecord[]) => void written.push(...records) },
    sender: {
      async send({ body }: { body: string }) {
        sent.push((JSON.parse(body) as { id: string }).id);
        return { status: 200, detail: '' };
      },
    },
    producer: { sendBatch: async (messages: { value: string }[]) => void receipts.push(messages[0]!.value) },
    secrets: { keysOf: async () => [Buffer.alloc(32)] },
    pending: { standing: async () => 'waiting' },
    metrics: new Proxy({}, { get: () => () => {} }),
    fail: (error: Error) => void failures.push(error),
    ...change,
  } as unknown as DispatchPorts;
  return { dispatcher: createDispatcher(ports), sent, written, receipts, failures };
}
