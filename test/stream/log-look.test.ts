// Looking at the log just after the brokers have begun, which are slow to answer then: the record is compared all the same.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { expect, inject, it, onTestFinished } from 'vitest';
import { createProducer } from '../../platform/kafka.ts';
import { openTopicAdmin } from '../../platform/kafka-topics.ts';
import { namespaceOf } from '../../platform/namespace.ts';
import { createLogLook } from '../../stream/log-look.ts';

const namespace = namespaceOf('log-look');
const topic = namespace.topics.events;
const SLOW_MS = 3_000;

/** The address of a way to Kafka that says nothing for a while. */
async function slowly(brokers: string): Promise<string> {
  const [host, port] = brokers.split(',')[0]!.split(':') as [string, string];
  const server = createServer((client) => {
    const begin = setTimeout(() => {
      const broker = connect(Number(port), host);
      for (const socket of [client, broker]) socket.on('error', () => socket.destroy());
      client.on('close', () => broker.destroy());
      client.pipe(broker).pipe(client);
    }, SLOW_MS);
    client.on('close', () => clearTimeout(begin));
    client.on('error', () => client.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

// Two seconds for all of it were over before it was connected, and the log was taken for the one that it had been.
it('has its patience from when it is connected', async () => {
  const brokers = inject('kafkaBrokers');
  const admin = openTopicAdmin(brokers);
  await admin.createMissing(namespace);
  await admin.close();
  const producer = await createProducer({ brokers, clientId: 'log-look', deliveryTimeoutMs: 10_000 });
  const before = Date.now();
  const { offset } = await producer.send(topic, 3, 'u:1', '{}');
  await producer.close();
  const told: string[] = [];
  const over = new AbortController().signal;
  const lookAt = createLogLook(await slowly(brokers), (_, message) => told.push(message), over);
  const appendMs = await lookAt.appendMs({ topic, partition: 3 }, offset);
  expect([told, appendMs! >= before - 1_000]).toEqual([[], true]);
});
