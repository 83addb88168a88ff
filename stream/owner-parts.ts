// What an owner needs of its process: the stores, the limits of its batches, and who is told of its steps.
import type { PartitionKeys } from '../platform/keys.ts';
import type { RedisClient } from '../platform/redis.ts';
import type { Batch } from './batch.ts';
import type { Bugs } from './bugs.ts';
import type { Gates } from './gates.ts';
import type { Live } from './live.ts';
import type { CommittedFigures } from './metrics.ts';
import type { Sink } from './sink.ts';
import type { Turn } from './turns.ts';

export interface OwnerLimits {
  /** Records in a batch. */
  readonly batchMax: number;
  readonly batchBytesMax: number;
  /** Different keys of its records: Redis does nothing else while it writes their states. */
  readonly batchKeysMax: number;
  /** States that stay in memory between batches; 0: none. */
  readonly cacheMax: number;
  /** Of all of them together, as they are stored. */
  readonly cacheBytesMax: number;
  /** A batch begins no sooner than this after the one before, unless it would be full: many small ones cost every part the most. */
  readonly lingerMs: number;
  /** Committed batches that may wait for ClickHouse and Kafka, and how many records they may have in all, of how many bytes. */
  readonly undeliveredMax: number;
  readonly undeliveredRecordsMax: number;
  readonly undeliveredBytesMax: number;
  readonly tickMs: number;
  readonly flushMs: number;
  /** 0: no clock records. */
  readonly clockMs: number;
  /** Replicas that must have a commit before it is delivered. */
  readonly waitReplicas: number;
}

export type OwnerStep = 'before-commit' | 'after-commit' | 'before-clear';

export interface OwnerObserver {
  committed(figures: CommittedFigures): void;
  fenced(): void;
  failed(error: unknown): void;
  /** A named step, where tests kill the process, and the batches at hand. */
  step(name: OwnerStep, batches: readonly Batch[]): void;
}

export interface OwnerParts {
  readonly redis: RedisClient;
  readonly keys: PartitionKeys;
  readonly sink: Sink;
  readonly limits: OwnerLimits;
  readonly observer: OwnerObserver;
  readonly bugs: Bugs;
  readonly live: Pick<Live, 'begin'>;
  readonly turn: Turn;
  readonly gates: Gates;
  /** Where the log ended when the partition was taken over. */
  readonly logEnd: number;
  /** Whether the log, as far as it is known, ends at this offset. */
  atLogEnd(position: number): boolean;
  now(): number;
}
