// The parts that an arena stands on: a stack of its own, whose processes a fault may kill, or one that is there already.
import { fileURLToPath } from 'node:url';
import type { ChildEvent, Supervised } from '../../../ops/local/child.ts';
import { startClickHouse } from '../../../ops/local/clickhouse.ts';
import { startKafka } from '../../../ops/local/kafka.ts';
import type { PartContext } from '../../../ops/local/part.ts';
import { startRedis } from '../../../ops/local/redis.ts';
import { type Stack, startStack } from '../../../ops/local/stack.ts';

export interface Addresses {
  readonly kafkaBrokers: string;
  readonly redisUrl: string;
  readonly clickhouseUrl: string;
}

export type StatefulPart = 'kafka' | 'redis' | 'clickhouse';

export interface Parts {
  readonly addresses: Addresses;
  /** Absent where the parts are somebody else's. */
  readonly stack: Stack | null;
  /** What the supervisor told so far. */
  readonly events: readonly ChildEvent[];
  /** What an operator does when a part was given up and its cause is mended. */
  startAgain(name: StatefulPart): Promise<void>;
  close(): Promise<void>;
}

/** Kafka's jars, fetched by the bootstrap; the built project has them where the sources have. */
const JARS = fileURLToPath(new URL('../../../.flywheel/kafka', import.meta.url)).replace('/dist/', '/');

/** @param dir holds their data and logs */
export async function startParts(dir: string): Promise<Parts> {
  const events: ChildEvent[] = [];
  const again: Supervised[] = [];
  const onEvent = (event: ChildEvent): void => {
    events.push(event);
  };
  const stack = await startStack({
    dir,
    ports: 'ephemeral',
    parts: ['kafka', 'redis', 'clickhouse'],
    kafkaJarsFolder: JARS,
    onEvent,
  });
  // The stack's own list of processes is the stack's: what is started again is stopped here.
  const processes = { add() {}, remove() {}, release() {} };
  const context: PartContext = { dir, logFolder: stack.logFolder, processes, onEvent };
  return {
    addresses: {
      kafkaBrokers: stack.kafkaBrokers!,
      redisUrl: stack.redisUrl!,
      clickhouseUrl: stack.clickhouseUrl!,
    },
    stack,
    events,
    async startAgain(name) {
      again.push(await startPart(name, context, stack));
    },
    async close() {
      await Promise.all(again.map((part) => part.stop()));
      await stack.stop();
    },
  };
}

function startPart(name: StatefulPart, context: PartContext, { ports }: Stack): Promise<Supervised> {
  switch (name) {
    case 'kafka':
      return startKafka(context, {
        port: ports.kafka,
        controllerPort: ports.kafkaController,
        jarsFolder: JARS,
      });
    case 'redis':
      return startRedis(context, { port: ports.redis });
    case 'clickhouse':
      return startClickHouse(context, { port: ports.clickhouse });
  }
}

/** Parts that others started and will stop. */
export function givenParts(addresses: Addresses): Parts {
  return {
    addresses,
    stack: null,
    events: [],
    startAgain: async (name) => {
      throw new Error(`${name} is somebody else's`);
    },
    close: async () => {},
  };
}
