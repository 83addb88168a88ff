// The parts that an arena stands on: a stack of its own, whose processes a fault may kill, or one that is there already.
import { fileURLToPath } from 'node:url';
import type { ChildEvent } from '../../../ops/local/child.ts';
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
  startAgain(): Promise<void>;
  close(): Promise<void>;
}

/** Kafka's jars, fetched by the bootstrap; the built project has them where the sources have. */
const JARS = fileURLToPath(new URL('../../../.flywheel/kafka', import.meta.url)).replace('/dist/', '/');

/** @param dir holds their data and logs */
export async function startParts(dir: string): Promise<Parts> {
  const events: ChildEvent[] = [];
  const stack = await startStack({
    dir,
    ports: 'ephemeral',
    parts: ['kafka', 'redis', 'clickhouse'],
    kafkaJarsFolder: JARS,
    onEvent: (event) => events.push(event),
  });
  return {
    addresses: {
      kafkaBrokers: stack.kafkaBrokers!,
      redisUrl: stack.redisUrl!,
      clickhouseUrl: stack.clickhouseUrl!,
    },
    stack,
    events,
    startAgain: stack.startAgain,
    close: stack.stop,
  };
}

/** Parts that others started and will stop. */
export function givenParts(addresses: Addresses): Parts {
  return {
    addresses,
    stack: null,
    events: [],
    startAgain: async () => {
      throw new Error("the parts are somebody else's");
    },
    close: async () => {},
  };
}
