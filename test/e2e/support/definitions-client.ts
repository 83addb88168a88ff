// Definitions over HTTP, as a team's tool would change them.
import type { KeptDefinition } from '../../../domain/in-force.ts';
import { unpack } from '../../../platform/codec.ts';
import { partitionKeys } from '../../../platform/keys.ts';
import { topicPartitions } from '../../../platform/namespace.ts';
import type { Stage } from './stage.ts';

export interface Reply {
  readonly status: number;
  readonly tag: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever was answered.
  readonly body: any;
}

export interface DefinitionsClient {
  request(method: string, name: string, body?: unknown, headers?: Record<string, string>): Promise<Reply>;
  /** Makes or changes `<type>/<id>`; a new one unless `tag` says which one was seen. */
  put(name: string, document: unknown, tag?: string): Promise<Reply>;
  get(name: string): Promise<Reply>;
}

export function definitionsClient(url: string, secret: string): DefinitionsClient {
  const request: DefinitionsClient['request'] = async (method, name, body, headers = {}) => {
    const response = await fetch(`${url}/v1/definitions/${name}`, {
      method,
      headers: {
        authorization: `Bearer ${secret}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return {
      status: response.status,
      tag: response.headers.get('etag') ?? '',
      body: text === '' ? null : JSON.parse(text),
    };
  };
  return {
    request,
    get: (name) => request('GET', name),
    put: (name, document, tag) =>
      request(
        'PUT',
        name,
        { document, author: 'ana', reason: 'to see' },
        tag === undefined ? { 'if-none-match': '*' } : { 'if-match': tag },
      ),
  };
}

/** How many partitions of `events` and `spend` have it in force at this revision: in their state, not only in their log. */
export async function partitionsInForce(stage: Stage, name: string, revision: number): Promise<number> {
  const keys = (['events', 'spend'] as const).flatMap((topic) =>
    Array.from(
      { length: topicPartitions[topic] },
      (_, partition) => partitionKeys(stage.namespace, { topic, generation: 1, partition }).definitions,
    ),
  );
  const states = await Promise.all(keys.map((key) => stage.redis.getBuffer(key)));
  const holds = (bytes: Buffer | null): boolean =>
    bytes !== null &&
    (unpack(bytes) as KeptDefinition[]).some(
      (kept) => `${kept.type}/${kept.id}` === name && kept.revision === revision,
    );
  return states.filter(holds).length;
}

/** How many partitions of `events` and `spend` have this revision in their log. */
export async function partitionsWith(stage: Stage, name: string, revision: number): Promise<number> {
  const partitions = new Set<string>();
  for (const topic of [stage.namespace.topics.events, stage.namespace.topics.spend]) {
    for (const { partition, value } of await stage.log(topic)) {
      const record = JSON.parse(value!.toString()) as { type?: string; id?: string; revision?: number };
      if (`${record.type}/${record.id}` === name && record.revision === revision)
        partitions.add(`${topic}/${partition}`);
    }
  }
  return partitions.size;
}
