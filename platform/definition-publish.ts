// Publishing a definition: first into the topic `definitions`, then, once it holds there, into every partition of `events` and `spend`.
import type { DefinitionRecord } from '../domain/record.ts';
import { canonicalHash } from './canonical.ts';
import { checkChange, type ProposedChange, type Referrer } from './definition-check.ts';
import type { DefinitionLog, PlacedMarker, Revision } from './definition-log.ts';
import type { Failpoint } from './failpoint.ts';
import type { Outgoing, Producer } from './kafka.ts';
import type { Namespace } from './namespace.ts';
import { topicPartitions } from './namespace.ts';

export interface Publication extends ProposedChange {
  readonly by: string;
  readonly why: string;
  /** Whether the author has seen what would be replaced; undefined: whatever is there may be. */
  readonly precondition?: ((current: DefinitionRecord | undefined) => boolean) | undefined;
}

export type Published =
  /** Every partition has acknowledged it. `unchanged`: it was in force already. */
  | { readonly outcome: 'published' | 'unchanged'; readonly revision: number; readonly hash: string }
  /** Every reason why not; nothing was written. */
  | { readonly outcome: 'invalid'; readonly reasons: readonly string[] }
  /** The engine needs it, or it is at work: it can not be withdrawn as it is; nothing was written. */
  | { readonly outcome: 'needed'; readonly reasons: readonly string[] }
  /** It can not be withdrawn while others refer to it; nothing was written. */
  | { readonly outcome: 'referred'; readonly reasons: readonly string[]; readonly by: readonly Referrer[] }
  /** There is nothing to withdraw. */
  | { readonly outcome: 'absent' }
  /** It is not as the author saw it, or another change came first; look at it and decide again. Revision 0: there is none. */
  | { readonly outcome: 'conflict'; readonly revision: number; readonly hash: string };

export interface Publisher {
  /** @throws PlatformError of the producer; then the change may hold or not, and publishing it again is safe */
  publish(publication: Publication): Promise<Published>;
  /** Publishes what was checked before, with others that it needs or that need it. @throws as `publish` */
  publishChecked(publication: Publication): Promise<Published>;
  /** Appends to the partitions what a publisher that died left out, of those that are due; returns how many definitions. */
  placeMissing(isDue?: (revision: Revision) => boolean): Promise<number>;
}

export interface PublisherOptions {
  readonly log: DefinitionLog;
  readonly producer: Producer;
  readonly namespace: Namespace;
  readonly nowMs: () => number;
  readonly failpoint?: Failpoint;
}

const BY_MAX = 128;
const WHY_MAX = 1_024;
/** How often a change that others were faster than is tried, where its author would replace what they wrote as well. */
const RACES_MAX = 5;

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

  const placeMissing = async (isDue: (revision: Revision) => boolean = () => true): Promise<number> => {
    const missing = log.unplaced().filter(isDue);
    for (const { record } of missing) await place(record);
    return missing.length;
  };

  /** Between looking at `before` and the append nothing is awaited: the append names what was looked at. */
  const publishSound = async (
    publication: Publication,
    document: Record<string, unknown> | null,
  ): Promise<Published> => {
    const { type, id } = publication;
    const before = log.revisionOf(type, id);
    const hash = canonicalHash(document);
    if (before?.record.hash === hash) {
      if (!before.placed) await place(before.record);
      return { outcome: 'unchanged', revision: before.record.revision, hash };
    }
    const record = nextRevision(publication, document, hash, before, options.nowMs());
    const offset = await append(producer, namespace, record);
    failpoint('definition-appended');
    if (offset < 0 ? await becameRevision(log, publication, record) : await log.verdictAt(offset)) {
      await place(record);
      return { outcome: 'published', revision: record.revision, hash };
    }
    // Somebody else was first. If they said the same, it is the same, unless the author asked for what they saw to be replaced.
    const winner = log.revisionOf(type, id)!;
    const same = winner.record.hash === hash && publication.precondition === undefined;
    if (same && !winner.placed) await place(winner.record);
    const outcome = same ? 'unchanged' : 'conflict';
    return { outcome, revision: winner.record.revision, hash: winner.record.hash };
  };

  const conflictOf = ({ type, id, precondition }: Publication): Published | undefined => {
    const current = log.revisionOf(type, id)?.record;
    if (precondition === undefined || precondition(current)) return undefined;
    return { outcome: 'conflict', revision: current?.revision ?? 0, hash: current?.hash ?? '' };
  };

  const publishOnce = async (publication: Publication): Promise<Published> => {
    const conflict = conflictOf(publication);
    if (conflict !== undefined) return conflict;
    const { by, why } = publication;
    const texts = [
      ...(by.length > BY_MAX ? [`by: at most ${BY_MAX} characters`] : []),
      ...(why.length > WHY_MAX ? [`why: at most ${WHY_MAX} characters`] : []),
    ];
    const checked = checkChange(log, publication);
    if (checked.outcome === 'invalid') return { ...checked, reasons: [...texts, ...checked.reasons] };
    if (checked.outcome !== 'sound') return checked;
    if (texts.length > 0) return { outcome: 'invalid', reasons: texts };
    return publishSound(publication, checked.document);
  };

  /** Whether who was first is what the author says may be replaced. Without a condition they have not said so. */
  const mayGoOn = (publication: Publication): boolean =>
    publication.precondition !== undefined && conflictOf(publication) === undefined;

  return {
    placeMissing,
    publish: async (publication) => {
      for (let races = 1; ; races += 1) {
        const published = await publishOnce(publication);
        if (published.outcome !== 'conflict' || races === RACES_MAX || !mayGoOn(publication))
          return published;
      }
    },
    publishChecked: async (publication) =>
      conflictOf(publication) ??
      publishSound(publication, publication.document as Record<string, unknown> | null),
  };
}

/**
 * Whether a record that stands in the log, nobody knows where, is the one that holds of its number: a broker that was started again
 * may answer that it has the record already, and not at which offset. One of that number is read in any case, this or who was first.
 */
function becameRevision(
  log: DefinitionLog,
  { type, id }: Pick<Publication, 'type' | 'id'>,
  record: DefinitionRecord,
): Promise<boolean> {
  return new Promise((resolve) => {
    const look = (): void => {
      const held = log.historyOf(type, id)[record.revision - 1];
      if (held === undefined) return;
      forget();
      resolve(isSame(held, record));
    };
    const forget = log.onChange(look);
    look();
  });
}

/** Also by whom and when: two may say the same at the same time, and one of them is first. */
function isSame(held: DefinitionRecord, { hash, previousHash, by, why, at }: DefinitionRecord): boolean {
  const isOne = held.hash === hash && held.previousHash === previousHash;
  return isOne && held.by === by && held.why === why && held.at === at;
}

/** Where the record stands; below 0 if it does, but the broker does not say where. */
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
