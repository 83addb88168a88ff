// Publishing a definition: first into the topic `definitions`, then, once it holds there, into every partition of `events` and `spend`.
import type { DefinitionType } from '../domain/definition.ts';
import type { DefinitionRecord } from '../domain/record.ts';
import { canonicalHash } from './canonical.ts';
import {
  checkDocument,
  type DefinitionSet,
  danglingReferences,
  forbiddenChanges,
} from './definition-document.ts';
import type { DefinitionLog, PlacedMarker, Revision } from './definition-log.ts';
import type { Failpoint } from './failpoint.ts';
import type { Outgoing, Producer } from './kafka.ts';
import type { Namespace } from './namespace.ts';
import { topicPartitions } from './namespace.ts';

export interface Publication {
  readonly type: DefinitionType;
  readonly id: string;
  /** null withdraws it. */
  readonly document: unknown;
  readonly by: string;
  readonly why: string;
}

export type Published =
  /** Every partition has acknowledged it. `unchanged`: it was in force already. */
  | { readonly outcome: 'published' | 'unchanged'; readonly revision: number; readonly hash: string }
  /** Every reason why not; nothing was written. */
  | { readonly outcome: 'invalid'; readonly reasons: readonly string[] }
  /** Another change came first; look at it and decide again. */
  | { readonly outcome: 'conflict'; readonly revision: number; readonly hash: string };

export interface Publisher {
  /** @throws PlatformError of the producer; then the change may hold or not, and publishing it again is safe */
  publish(publication: Publication): Promise<Published>;
  /** Appends to the partitions what a publisher that died left out; returns how many definitions. */
  placeMissing(): Promise<number>;
}

export interface PublisherOptions {
  readonly log: DefinitionLog;
  readonly producer: Producer;
  readonly namespace: Namespace;
  readonly nowMs: () => number;
  readonly failpoint?: Failpoint;
}

/** The log must have caught up. */
export function createPublisher(options: PublisherOptions): Publisher {
  const { log, producer, namespace } = options;
  const failpoint = options.failpoint ?? (() => {});

  const place = async (record: DefinitionRecord): Promise<void> => {
    await producer.sendBatch(placements(namespace, record));
    failpoint('definition-placed');
    const { type, id, revision } = record;
    const marker: PlacedMarker = { kind: 'definitionPlaced', type, id, revision };
    // Read back, so that this process knows too that nothing is left to do.
    await log.verdictAt(await append(producer, namespace, marker));
  };

  const placeMissing = async (): Promise<number> => {
    const missing = log.unplaced();
    for (const { record } of missing) await place(record);
    return missing.length;
  };

  const publish = async (publication: Publication): Promise<Published> => {
    const { type, id } = publication;
    const before = log.revisionOf(type, id);
    const checked = check(log, publication, before);
    if (!checked.ok) return { outcome: 'invalid', reasons: checked.reasons };
    const hash = canonicalHash(checked.document);
    if (before?.record.hash === hash) {
      if (!before.placed) await place(before.record);
      return { outcome: 'unchanged', revision: before.record.revision, hash };
    }
    const record = nextRevision(publication, checked.document, hash, before, options.nowMs());
    const offset = await append(producer, namespace, record);
    failpoint('definition-appended');
    if (await log.verdictAt(offset)) {
      await place(record);
      return { outcome: 'published', revision: record.revision, hash };
    }
    // Somebody else was first. If they said the same, it is the same.
    const winner = log.revisionOf(type, id)!;
    const outcome = winner.record.hash === hash ? 'unchanged' : 'conflict';
    if (outcome === 'unchanged' && !winner.placed) await place(winner.record);
    return { outcome, revision: winner.record.revision, hash: winner.record.hash };
  };

  return { publish, placeMissing };
}

async function append(
  producer: Producer,
  namespace: Namespace,
  record: DefinitionRecord | PlacedMarker,
): Promise<number> {
  const key = `${record.type}/${record.id}`;
  const { offset } = await producer.send(namespace.topics.definitions, 0, key, JSON.stringify(record));
  return offset;
}

function nextRevision(
  { type, id, by, why }: Publication,
  document: Record<string, unknown> | null,
  hash: string,
  before: Revision | undefined,
  at: number,
): DefinitionRecord {
  const revision = (before?.record.revision ?? 0) + 1;
  const previousHash = before?.record.hash ?? null;
  return { kind: 'definition', type, id, revision, hash, previousHash, document, by, why, at };
}

function placements(namespace: Namespace, record: DefinitionRecord): Outgoing[] {
  const value = Buffer.from(JSON.stringify(record));
  const into = (topic: 'events' | 'spend'): Outgoing[] =>
    Array.from({ length: topicPartitions[topic] }, (_, partition) => ({
      topic: namespace.topics[topic],
      partition,
      key: null,
      value,
    }));
  return [...into('events'), ...into('spend')];
}

type CheckedPublication =
  | { readonly ok: true; readonly document: Record<string, unknown> | null }
  | { readonly ok: false; readonly reasons: readonly string[] };

function check(
  log: DefinitionLog,
  publication: Publication,
  before: Revision | undefined,
): CheckedPublication {
  const { type, id, by, why } = publication;
  const texts = [
    ...(by.length > 128 ? ['by: at most 128 characters'] : []),
    ...(why.length > 1_024 ? ['why: at most 1,024 characters'] : []),
  ];
  if (publication.document === null) {
    const absent = before === undefined || before.record.document === null;
    const reasons = absent
      ? [...texts, 'there is nothing to withdraw']
      : [...texts, ...newlyDangling(log, type, id, null)];
    return reasons.length === 0 ? { ok: true, document: null } : { ok: false, reasons };
  }
  const checked = checkDocument(type, id, publication.document);
  if (!checked.ok) return { ok: false, reasons: [...texts, ...checked.reasons] };
  const reasons = [
    ...texts,
    ...forbiddenChanges(type, before?.record.document ?? null, checked.document),
    ...newlyDangling(log, type, id, checked.document),
  ];
  return reasons.length === 0 ? checked : { ok: false, reasons };
}

/** References that would point to nothing by this change, its own and those of others to it. */
function newlyDangling(log: DefinitionLog, type: DefinitionType, id: string, document: unknown): string[] {
  const already = new Set(danglingReferences(log));
  const changed: DefinitionSet = {
    list: <Document>(listed: DefinitionType) => {
      const others = log.list<Document>(listed);
      if (listed !== type) return others;
      const rest = others.filter((other) => other.id !== id);
      return document === null ? rest : [...rest, { id, document: document as Document }];
    },
  };
  return danglingReferences(changed).filter((reason) => !already.has(reason));
}
