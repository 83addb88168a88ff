// The topic `definitions` is the truth about definitions; this follows it from its beginning for as long as the process lives.
// A revision holds if it names the revision before it, number and hash; the first one to do so wins, everybody sees the same.
import { z } from 'zod';
import type { DefinitionType, InForce, LastSaid } from '../domain/definition.ts';
import { type DefinitionRecord, definitionRecord } from '../domain/record.ts';
import { isDefinitionType } from './definition-document.ts';
import { followPartition } from './kafka-follow.ts';
import type { LogRecord } from './kafka-read.ts';
import { openTopicAdmin } from './kafka-topics.ts';
import { lastSaid } from './last-said.ts';
import type { Namespace } from './namespace.ts';
import { compileValidator } from './validate.ts';

const RETRY_DELAY_MS = 500;

/** Says that every partition has acknowledged the revision. */
export const placedMarker = z.object({
  kind: z.literal('definitionPlaced'),
  type: z.string(),
  id: z.string(),
  revision: z.int().min(1),
});
export type PlacedMarker = z.infer<typeof placedMarker>;

const validateDefinition = compileValidator(definitionRecord);
const validatePlaced = compileValidator(placedMarker);

/** The last revision of one definition that holds. */
export interface Revision {
  readonly record: DefinitionRecord;
  readonly offset: number;
  /** True once every partition of `events` and `spend` has it. */
  readonly placed: boolean;
}

export interface DefinitionChange {
  readonly type: DefinitionType;
  readonly id: string;
  /** Absent: it was withdrawn. */
  readonly inForce?: InForce;
}

export interface DefinitionLog {
  /** True once the topic's end, as seen at the opening, has been passed; not while it goes on and nothing comes of it. */
  isCaughtUp(): boolean;
  caughtUp(): Promise<void>;
  find<Document = unknown>(type: DefinitionType, id: string): InForce<Document> | undefined;
  /** As `find`, but for what some partition may not know at all yet: it would reject what refers to that. */
  findKnown<Document = unknown>(type: DefinitionType, id: string): InForce<Document> | undefined;
  /** Sorted by id. */
  list<Document = unknown>(type: DefinitionType): readonly InForce<Document>[];
  /** As `list`, and what was withdrawn with its last document. */
  listSaid<Document = unknown>(type: DefinitionType): readonly LastSaid<Document>[];
  /** The last revision, also of what was withdrawn. */
  revisionOf(type: DefinitionType, id: string): Revision | undefined;
  /** Every revision that holds, the first one first; one without a document withdrew it. */
  historyOf(type: DefinitionType, id: string): readonly DefinitionRecord[];
  /** Last revisions that some partition may lack, in the order of the log. */
  unplaced(): readonly Revision[];
  /** Resolves when the record at that offset has been read: true if it holds, false if another was first. */
  verdictAt(offset: number): Promise<boolean>;
  /** Calls back for every change after the log was opened, also while catching up. Returns the way to stop that. */
  onChange(listener: (change: DefinitionChange) => void): () => void;
  close(): Promise<void>;
}

export interface DefinitionLogOptions {
  readonly brokers: string;
  readonly namespace: Namespace;
  /** Told when following the topic failed and is tried again. */
  readonly onWarning?: (message: string) => void;
}

/** @throws PlatformError KAFKA_UNREACHABLE, TOPIC_MISSING */
export async function openDefinitionLog(options: DefinitionLogOptions): Promise<DefinitionLog> {
  const admin = openTopicAdmin(options.brokers);
  try {
    const [watermarks] = await admin.watermarks(options.namespace.topics.definitions);
    return new FollowedDefinitionLog(options, watermarks!.high);
  } finally {
    await admin.close();
  }
}

class FollowedDefinitionLog implements DefinitionLog {
  #options: DefinitionLogOptions;
  #revisions = new Map<string, Revision>();
  #histories = new Map<string, DefinitionRecord[]>();
  /** Of which every partition has had a document: what a later one changes or withdraws, it still knows. */
  #known = new Set<string>();
  #lists = new Map<DefinitionType, readonly InForce[]>();
  /** Offsets of the records that hold; as few as there are revisions. */
  #held = new Set<number>();
  #next = 0;
  #waiting = new Set<{ readonly offset: number; readonly passed: () => void }>();
  #listeners = new Set<(change: DefinitionChange) => void>();
  #endAtOpening: number;
  #isStalled = false;
  #stop = new AbortController();
  #following: Promise<void>;

  constructor(options: DefinitionLogOptions, endAtOpening: number) {
    this.#options = options;
    this.#endAtOpening = endAtOpening;
    this.#following = this.#follow();
  }

  isCaughtUp(): boolean {
    return this.#next >= this.#endAtOpening && !this.#isStalled;
  }

  caughtUp(): Promise<void> {
    return this.#passed(this.#endAtOpening - 1);
  }

  find<Document = unknown>(type: DefinitionType, id: string): InForce<Document> | undefined {
    const revision = this.revisionOf(type, id);
    return revision === undefined || revision.record.document === null
      ? undefined
      : (toInForce(revision.record) as InForce<Document>);
  }

  findKnown<Document = unknown>(type: DefinitionType, id: string): InForce<Document> | undefined {
    return this.#known.has(`${type}/${id}`) ? this.find(type, id) : undefined;
  }

  list<Document = unknown>(type: DefinitionType): readonly InForce<Document>[] {
    let list = this.#lists.get(type);
    if (list === undefined) {
      list = [...this.#revisions.values()]
        .filter(({ record }) => record.type === type && record.document !== null)
        .map(({ record }) => toInForce(record))
        .sort((left, right) => (left.id < right.id ? -1 : 1));
      this.#lists.set(type, list);
    }
    return list as readonly InForce<Document>[];
  }

  listSaid<Document = unknown>(type: DefinitionType): readonly LastSaid<Document>[] {
    return [...this.#histories.values()]
      .filter(([first]) => first?.type === type)
      .flatMap((history) => lastSaid<Document>(history) ?? [])
      .sort((left, right) => (left.id < right.id ? -1 : 1));
  }

  revisionOf(type: DefinitionType, id: string): Revision | undefined {
    return this.#revisions.get(`${type}/${id}`);
  }

  historyOf(type: DefinitionType, id: string): readonly DefinitionRecord[] {
    return this.#histories.get(`${type}/${id}`) ?? [];
  }

  unplaced(): readonly Revision[] {
    return [...this.#revisions.values()]
      .filter((revision) => !revision.placed)
      .sort((left, right) => left.offset - right.offset);
  }

  async verdictAt(offset: number): Promise<boolean> {
    await this.#passed(offset);
    return this.#held.has(offset);
  }

  onChange(listener: (change: DefinitionChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#following;
  }

  #passed(offset: number): Promise<void> {
    if (this.#next > offset) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.add({ offset, passed: resolve }));
  }

  async #follow(): Promise<void> {
    const { signal } = this.#stop;
    const { brokers, namespace, onWarning } = this.#options;
    const topic = namespace.topics.definitions;
    while (!signal.aborted) {
      try {
        const onStall = (message: string | null): void => {
          this.#isStalled = message !== null;
          if (message !== null) onWarning?.(message);
        };
        for await (const records of followPartition({
          ...{ brokers, topic, partition: 0, from: this.#next, signal, onStall, isStalled: this.#isStalled },
        })) {
          for (const record of records) this.#apply(record);
        }
      } catch (error) {
        onWarning?.(`following ${topic} failed and is tried again: ${(error as Error).message}`);
        await new Promise((resolve) => setTimeout(resolve, RETRY_DELAY_MS));
      }
    }
  }

  #apply({ value, offset }: LogRecord): void {
    const change = this.#fold(parse(value), offset);
    this.#next = offset + 1;
    for (const waiting of this.#waiting) {
      if (waiting.offset >= this.#next) continue;
      this.#waiting.delete(waiting);
      waiting.passed();
    }
    if (change !== undefined) for (const listener of this.#listeners) listener(change);
  }

  /** Folds one record of the topic in; what is neither a revision that holds nor a marker changes nothing. */
  #fold(value: unknown, offset: number): DefinitionChange | undefined {
    const placed = validatePlaced(value);
    if (placed.ok) {
      const key = `${placed.value.type}/${placed.value.id}`;
      const revision = this.#revisions.get(key);
      const marked = this.#histories.get(key)?.[placed.value.revision - 1];
      if (marked !== undefined && marked.document !== null) this.#known.add(key);
      if (revision?.record.revision === placed.value.revision) {
        this.#revisions.set(key, { ...revision, placed: true });
      }
      return undefined;
    }
    const defined = validateDefinition(value);
    if (!defined.ok || !isDefinitionType(defined.value.type)) return undefined;
    const { type, id } = defined.value;
    const before = this.#revisions.get(`${type}/${id}`)?.record;
    if (!follows(before, defined.value)) return undefined;
    this.#revisions.set(`${type}/${id}`, { record: defined.value, offset, placed: false });
    this.#histories.set(`${type}/${id}`, [...this.historyOf(type, id), defined.value]);
    this.#lists.delete(type);
    this.#held.add(offset);
    return defined.value.document === null ? { type, id } : { type, id, inForce: toInForce(defined.value) };
  }
}

function follows(before: DefinitionRecord | undefined, record: DefinitionRecord): boolean {
  return record.revision === (before?.revision ?? 0) + 1 && record.previousHash === (before?.hash ?? null);
}

function toInForce({ id, revision, hash, document }: DefinitionRecord): InForce {
  return { id, revision, hash, document };
}

function parse(value: Buffer | null): unknown {
  try {
    return JSON.parse(value?.toString() ?? '');
  } catch {
    return undefined;
  }
}
