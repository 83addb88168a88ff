// What the HTTP side needs of the world: `main.ts` opens the real parts, tests hand in what they like.
import type { ClickHouseClient } from '@clickhouse/client';
import type { Cluster, Redis } from 'ioredis';
import type { DefinitionType, InForce } from '../domain/definition.ts';
import type { DefinitionRecord } from '../domain/record.ts';
import type { Config } from '../platform/config.ts';
import type { Publisher } from '../platform/definition-publish.ts';
import type { Producer } from '../platform/kafka.ts';
import type { Namespace } from '../platform/namespace.ts';
import type { ApiKeys } from './authentication.ts';
import type { DeliveryView } from './deliveries/view.ts';
import type { ServeMetrics } from './metrics.ts';

/** The definitions in force, as the `definitions` topic tells them. */
export interface DefinitionView {
  /** True once the topic's end, as seen at start, has been passed. */
  isCaughtUp(): boolean;
  find<Document = unknown>(type: DefinitionType, id: string): InForce<Document> | undefined;
  /** As `find`, but for what some partition may not know at all yet. */
  findKnown<Document = unknown>(type: DefinitionType, id: string): InForce<Document> | undefined;
  /** Sorted by id. */
  list<Document = unknown>(type: DefinitionType): readonly InForce<Document>[];
  /** Every revision that holds, the first one first; one without a document withdrew it. */
  historyOf(type: DefinitionType, id: string): readonly DefinitionRecord[];
}

export interface ServeLog {
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

export interface ServeClock {
  /** Epoch milliseconds. */
  nowMs(): number;
  /** Milliseconds that never go back. */
  monotonicMs(): number;
}

/** Current generation of the topics that have state. */
export interface Generations {
  readonly events: number;
  readonly spend: number;
}

export interface Dependencies {
  readonly config: Config;
  readonly namespace: Namespace;
  readonly generations: Generations;
  /** Its messages fail when they are unacknowledged after `DELIVERY_TIMEOUT_MS` of `main.ts`. */
  readonly producer: Producer;
  /** False once no broker can be reached, or the producer has failed for good. */
  kafkaIsUp(): boolean;
  readonly redis: Redis | Cluster;
  readonly clickhouse: ClickHouseClient;
  readonly definitionLog: DefinitionView;
  /** What receivers of triggers are owed. */
  readonly deliveries: DeliveryView;
  /** Changes definitions. */
  readonly publisher: Pick<Publisher, 'publish' | 'publishChecked'>;
  readonly keys: ApiKeys;
  /** Signs the notice addresses that bids carry. */
  readonly noticeSecret: Buffer;
  readonly metrics: ServeMetrics;
  readonly log: ServeLog;
  readonly clock: ServeClock;
}
