// Side (a) of the stream benchmark: node-rdkafka consume + JSON.parse, and nothing else, in a process of its own.
// Arguments: brokers, topic, events. Prints one JSON line: events, seconds, cpuSeconds.
import Kafka from 'node-rdkafka';
import { kafkaClientSettings } from '../../platform/kafka.ts';
import { topicPartitions } from '../../platform/namespace.ts';

const CONSUME_MAX = 4_000;

async function consumeAll(
  brokers: string,
  topic: string,
  events: number,
): Promise<{ seconds: number; cpuSeconds: number }> {
  const consumer = new Kafka.KafkaConsumer(
    {
      ...kafkaClientSettings(brokers, 'bench-raw'),
      'group.id': `bench-raw-${process.pid}`,
      'enable.auto.commit': false,
      'fetch.queue.backoff.ms': 5,
      'queued.min.messages': 100_000,
      'queued.max.messages.kbytes': 65_536,
    },
    {},
  );
  consumer.setDefaultConsumeTimeout(5);
  await new Promise<void>((resolve, reject) => {
    consumer.connect({}, (error) => (error ? reject(error) : resolve()));
  });
  const partitions = Array.from({ length: topicPartitions.events }, (_, partition) => ({
    topic,
    partition,
    offset: 0,
  }));
  consumer.assign(partitions);
  let read = 0;
  let startedMs = 0;
  let cpu = process.cpuUsage();
  let fields = 0;
  while (read < events) {
    const messages = await new Promise<Kafka.Message[]>((resolve, reject) => {
      consumer.consume(CONSUME_MAX, (error, batch) => (error ? reject(error) : resolve(batch)));
    });
    if (startedMs === 0 && messages.length > 0) {
      startedMs = performance.now();
      cpu = process.cpuUsage();
    }
    for (const { value } of messages) {
      const record = JSON.parse((value ?? Buffer.alloc(0)).toString('utf8')) as { kind: string };
      // Definitions stand in the same topic; the result is used, so that nothing is optimised away.
      if (record.kind !== 'definition') read += 1;
      fields += record.kind.length;
    }
  }
  const seconds = (performance.now() - startedMs) / 1_000;
  const { user, system } = process.cpuUsage(cpu);
  if (fields === 0) throw new Error('nothing was parsed');
  await new Promise<void>((resolve) => {
    consumer.disconnect(() => resolve());
  });
  return { seconds, cpuSeconds: (user + system) / 1e6 };
}

const [brokers = '', topic = '', count = '0'] = process.argv.slice(2);
const measured = await consumeAll(brokers, topic, Number(count));
process.stdout.write(`${JSON.stringify({ events: Number(count), ...measured })}\n`);
process.exit(0);
