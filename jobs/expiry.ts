// Which triggers have expired: by the watermark of their buyer's partition, as everywhere. The wall clock says nothing of a
// namespace that is replayed, or of a stream that lags.
import type { WaitingTrigger } from '../domain/delivery.ts';
import { buyerPartition, partitionKeys } from '../platform/keys.ts';
import { type Namespace, topicPartitions } from '../platform/namespace.ts';
import type { RedisClient } from '../platform/redis.ts';

/** True if the trigger expired at least so long ago: an owner drops what has expired in the commit that moves its watermark. */
export type HasExpired = (trigger: Pick<WaitingTrigger, 'key' | 'expiresMs'>, agoMs?: number) => boolean;

export interface ExpiryPorts {
  readonly redis: Pick<RedisClient, 'hget'>;
  readonly namespace: Namespace;
  /** Of `events`. */
  readonly generation: number;
}

/** As the partitions stand now. A state that is lost or of an older copy says too little, never too much. */
export async function readExpiry({ redis, namespace, generation }: ExpiryPorts): Promise<HasExpired> {
  const watermarks = await Promise.all(
    Array.from({ length: topicPartitions.events }, async (_, partition) => {
      const { head } = partitionKeys(namespace, { topic: 'events', generation, partition });
      return Number((await redis.hget(head, 'watermark')) ?? 0);
    }),
  );
  return ({ key, expiresMs }, agoMs = 0) => watermarks[buyerPartition(key)]! > expiresMs + agoMs;
}

/** As `readExpiry`; nothing is known to have expired while Redis cannot be asked. */
export function expiryOrNone(ports: ExpiryPorts): Promise<HasExpired> {
  return readExpiry(ports).catch((): HasExpired => () => false);
}
