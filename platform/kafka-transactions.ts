// Writing under a transactional id: Kafka lets only the last process that opened the id write, so it is the arbiter
// between two that both believe they lead. What one `append` writes, readers see whole or not at all.
import type { LibrdKafkaError } from 'node-rdkafka';
import Kafka from 'node-rdkafka';
import { kafkaClientSettings, type Outgoing } from './kafka.ts';
import { PlatformError } from './platform-error.ts';

const CONNECT_TIMEOUT_MS = 10_000;
const INIT_TIMEOUT_MS = 30_000;
const TRANSACTION_TIMEOUT_MS = 20_000;
const { ERR__FENCED, ERR__FATAL } = Kafka.CODES.ERRORS;
/** The broker's own words for a writer whose epoch is over; librdkafka has names for them that its binding lacks. */
const ERR_INVALID_PRODUCER_EPOCH = 47;
const ERR_PRODUCER_FENCED = 90;

/** Without a value: of a compacted topic, nothing of the key is to stay. */
export type TransactionalMessage = Omit<Outgoing, 'value'> & { readonly value: Outgoing['value'] | null };

export interface TransactionalProducer {
  /**
   * Resolves when all replicas in sync have all messages. One call at a time.
   * @throws PlatformError KAFKA_FENCED (another has opened the id; nothing was written), KAFKA_NOT_DELIVERED (it may
   * have been written or not: open the id anew and read)
   */
  append(messages: readonly TransactionalMessage[]): Promise<void>;
  close(): Promise<void>;
}

export interface TransactionalOptions {
  readonly brokers: string;
  readonly clientId: string;
  readonly transactionalId: string;
  readonly onWarning?: (message: string) => void;
}

type Done = (error?: LibrdKafkaError | null) => void;

function settled(call: (done: Done) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    call((error) => (error ? reject(error) : resolve()));
  });
}

/**
 * Opens the id: ends what its last user left unfinished and fences it.
 * @throws PlatformError KAFKA_UNREACHABLE
 */
export async function openTransactionalProducer(
  options: TransactionalOptions,
): Promise<TransactionalProducer> {
  const client = new Kafka.Producer(
    {
      ...kafkaClientSettings(options.brokers, options.clientId),
      'transactional.id': options.transactionalId,
      'transaction.timeout.ms': TRANSACTION_TIMEOUT_MS,
      'enable.idempotence': true,
      'linger.ms': 0,
    },
    { 'request.required.acks': -1 },
  );
  client.on('event.error', (error) => options.onWarning?.(`Kafka: ${error.message}`));
  try {
    await settled((done) => client.connect({ timeout: CONNECT_TIMEOUT_MS }, (error) => done(error)));
    await settled((done) => client.initTransactions(INIT_TIMEOUT_MS, done));
  } catch (cause) {
    client.disconnect();
    const reason = (cause as Error).message;
    throw new PlatformError('KAFKA_UNREACHABLE', `Kafka did not open ${options.transactionalId}: ${reason}`, {
      cause,
    });
  }
  // Errors and logs of the client come by polling.
  const poll = setInterval(() => client.isConnected() && client.poll(), 1_000);
  poll.unref();
  return {
    async append(messages) {
      try {
        await settled((done) => client.beginTransaction(done));
        for (const { topic, partition, key, value } of messages) {
          const bytes = typeof value === 'string' ? Buffer.from(value) : value;
          client.produce(topic, partition, bytes, key);
        }
        await settled((done) => client.commitTransaction(TRANSACTION_TIMEOUT_MS, done));
      } catch (error) {
        throw failure(error as LibrdKafkaError, options.transactionalId);
      }
    },
    async close() {
      clearInterval(poll);
      await new Promise<void>((resolve) => client.disconnect(1_000, () => resolve()));
    },
  };
}

function failure(cause: LibrdKafkaError, transactionalId: string): PlatformError {
  const fenced = [ERR__FENCED, ERR__FATAL, ERR_INVALID_PRODUCER_EPOCH, ERR_PRODUCER_FENCED];
  if (cause.isFatal === true || fenced.includes(cause.code)) {
    return new PlatformError('KAFKA_FENCED', `another process has opened ${transactionalId}`, { cause });
  }
  return new PlatformError(
    'KAFKA_NOT_DELIVERED',
    `${transactionalId} was not acknowledged: ${cause.message}`,
    {
      cause,
    },
  );
}
