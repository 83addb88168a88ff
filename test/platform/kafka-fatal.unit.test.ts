// A producer that failed for good is known by librdkafka's log and by what it says of the next message: the event of the error has
// code -1, as that of a broker that is away.
import { EventEmitter } from 'node:events';
import Kafka from 'node-rdkafka';
import { expect, it, onTestFinished, vi } from 'vitest';
import { createProducer } from '../../platform/kafka.ts';

/** What a real one said, of sets that its broker had not taken. */
const REASON =
  '[thrd:127.0.0.1:9092/1]: Fatal error: Local: Gap-less ordering would not be guaranteed if proceeding: ProduceRequest for events [0] with 1 message(s) failed';

async function producerOf(produce: () => void) {
  const client = Object.assign(new EventEmitter(), {
    connect: (_options: object, done: (error: null) => void) => done(null),
    isConnected: () => true,
    poll: () => {},
    disconnect: (_ms: number, done: () => void) => done(),
    produce,
  });
  vi.spyOn(Kafka, 'Producer').mockImplementation(function make() {
    return client as never;
  });
  const onFatal = vi.fn();
  const onWarning = vi.fn();
  const options = { brokers: 'none:1', clientId: 'fatal', deliveryTimeoutMs: 0, onFatal, onWarning };
  const producer = await createProducer(options);
  onTestFinished(async () => {
    await producer.close();
    vi.restoreAllMocks();
  });
  return { client, producer, onFatal, onWarning };
}

it('is told by the log, with its reason, once, and takes nothing more', async () => {
  const produce = vi.fn();
  const { client, producer, onFatal, onWarning } = await producerOf(produce);
  client.emit('event.error', Object.assign(new Error('gap-less ordering'), { code: -1 }));
  client.emit('event.log', { severity: 4, fac: 'CONFWARN', message: 'a setting' });
  expect(onWarning).toHaveBeenCalledWith('gap-less ordering');
  expect(onFatal).not.toHaveBeenCalled();
  for (let time = 0; time < 2; time += 1)
    client.emit('event.log', { severity: 0, fac: 'FATAL', message: REASON });
  expect(onFatal.mock.calls).toEqual([[expect.objectContaining({ code: 'KAFKA_FATAL' })]]);
  expect(onFatal.mock.calls[0]![0].message).toContain('ProduceRequest for events [0]');
  await expect(producer.send('events', 0, null, 'x')).rejects.toMatchObject({ code: 'KAFKA_FATAL' });
  expect(produce).not.toHaveBeenCalled();
});

it('is told by what it says of the next message', async () => {
  const { producer, onFatal } = await producerOf(() => {
    throw Object.assign(new Error('Local: Fatal error'), { code: Kafka.CODES.ERRORS.ERR__FATAL });
  });
  for (let time = 0; time < 2; time += 1)
    await expect(
      producer.sendBatch([{ topic: 'events', partition: 0, key: null, value: 'x' }]),
    ).rejects.toMatchObject({
      code: 'KAFKA_FATAL',
    });
  expect(onFatal).toHaveBeenCalledTimes(1);
});
