// Puts the definitions of a data set in force before its rows are fed, and waits until `serve` knows them.
import { setTimeout as wait } from 'node:timers/promises';
import type { Config } from '../../platform/config.ts';
import { openDefinitionLog } from '../../platform/definition-log.ts';
import { createPublisher, type Publisher } from '../../platform/definition-publish.ts';
import { createProducer } from '../../platform/kafka.ts';
import { namespaceOf } from '../../platform/namespace.ts';
import type { FeedDefinition } from '../../simulate/feed.ts';
import { FeedError, request, type Target } from './post.ts';

const DELIVERY_TIMEOUT_MS = 30_000;
/** Definitions that are published at a time: the stream takes those that come together in one commit. */
const TOGETHER = 100;
const KNOWN_MS_MAX = 30_000;
const LOOK_AGAIN_MS = 100;

async function publishAll(
  publisher: Publisher,
  definitions: readonly FeedDefinition[],
  by: string,
): Promise<void> {
  for (let at = 0; at < definitions.length; at += TOGETHER) {
    const results = await Promise.all(
      definitions.slice(at, at + TOGETHER).map(async ({ type, id, document }) => {
        const result = await publisher.publish({ type, id, document, by, why: 'the data set speaks of it' });
        return { name: `${type}/${id}`, result };
      }),
    );
    for (const { name, result } of results) {
      if (result.outcome === 'published' || result.outcome === 'unchanged') continue;
      const why = 'reasons' in result ? result.reasons.join('; ') : 'somebody else changed it meanwhile';
      throw new FeedError('FEED_REFUSED', `the definition ${name} cannot be published: ${why}`);
    }
  }
}

/** Publishes through the log, accounts first: hundreds of campaigns in a few commits. Needs Kafka itself, not only `serve`. */
export async function publishDefinitions(
  config: Config,
  definitions: readonly FeedDefinition[],
  by: string,
): Promise<void> {
  const brokers = config.kafkaBrokers;
  const namespace = namespaceOf(config.namespace);
  const producer = await createProducer({
    brokers,
    clientId: 'flywheel-replay',
    deliveryTimeoutMs: DELIVERY_TIMEOUT_MS,
    lingerMs: 0,
  });
  try {
    const log = await openDefinitionLog({ brokers, namespace });
    try {
      await log.caughtUp();
      const publisher = createPublisher({ log, producer, namespace, nowMs: Date.now });
      const isAccount = ({ type }: FeedDefinition): boolean => type === 'account';
      await publishAll(publisher, definitions.filter(isAccount), by);
      await publishAll(
        publisher,
        definitions.filter((each) => !isAccount(each)),
        by,
      );
    } finally {
      await log.close();
    }
  } finally {
    await producer.close();
  }
}

/** Resolves when `serve` has read the last of them. @throws FeedError if it does not within 30 s */
export async function waitUntilKnown(target: Target, definitions: readonly FeedDefinition[]): Promise<void> {
  const last = definitions.at(-1);
  if (last === undefined) return;
  const untilMs = performance.now() + KNOWN_MS_MAX;
  for (;;) {
    const { status } = await request(target, `/v1/definitions/${last.type}/${encodeURIComponent(last.id)}`);
    if (status === 200) return;
    if (performance.now() > untilMs) {
      throw new FeedError(
        'FEED_REFUSED',
        `serve does not know the definition ${last.type}/${last.id} after 30 s`,
      );
    }
    await wait(LOOK_AGAIN_MS, undefined, { signal: target.signal });
  }
}
