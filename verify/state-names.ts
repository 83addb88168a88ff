// The names of a topic's states in Redis. To find them, Redis looks at every key that it has, of other namespaces too: that is
// done once for all partitions, and again only for one that was committed to since.
import { Cluster, type Redis } from 'ioredis';
import type { PartitionId, StatefulTopic } from '../platform/keys.ts';
import { partitionKeys, tagOf, topicTagPrefix } from '../platform/keys.ts';
import type { Namespace } from '../platform/namespace.ts';
import type { RedisClient } from '../platform/redis.ts';

const KEYS_PER_LOOK = 1_000;

export interface StateNames {
  /** All keys under the partition's tag, if `seq` is what its head says now; one of another commit asks Redis anew. */
  of(id: PartitionId, seq: number | undefined): Promise<readonly string[]>;
}

interface Found {
  /** Read before the names: who was committed to in between has another seq by now. */
  readonly seqs: ReadonlyMap<string, number | undefined>;
  readonly names: ReadonlyMap<string, readonly string[]>;
}

export function openStateNames(
  redis: RedisClient,
  namespace: Namespace,
  topic: StatefulTopic,
  generation: number,
  partitions: number,
): StateNames {
  let found: Found | undefined;
  const look = async (): Promise<Found> => {
    const seqs = new Map<string, number | undefined>();
    for (let partition = 0; partition < partitions; partition += 1) {
      const id = { topic, generation, partition };
      const seq = await redis.hget(partitionKeys(namespace, id).head, 'seq');
      seqs.set(tagOf(namespace, id), seq === null ? undefined : Number(seq));
    }
    return { seqs, names: await namesByTag(redis, topicTagPrefix(namespace, topic, generation)) };
  };
  return {
    async of(id, seq) {
      const tag = tagOf(namespace, id);
      if (found === undefined || found.seqs.get(tag) !== seq) found = await look();
      return found.names.get(tag) ?? [];
    },
  };
}

async function namesByTag(redis: RedisClient, prefix: string): Promise<Map<string, string[]>> {
  const byTag = new Map<string, Set<string>>();
  const match = `${prefix.replace(/[\\*?[\]]/g, '\\$&')}*`;
  const nodes: readonly Redis[] = redis instanceof Cluster ? redis.nodes('master') : [redis];
  for (const node of nodes) {
    for await (const found of node.scanStream({ match, count: KEYS_PER_LOOK })) {
      for (const name of found as string[]) {
        const tag = name.slice(0, name.indexOf('}') + 1);
        const names = byTag.get(tag) ?? new Set();
        byTag.set(tag, names.add(name));
      }
    }
  }
  return new Map([...byTag].map(([tag, names]) => [tag, [...names]]));
}
