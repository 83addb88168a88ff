// Which notices the log has: one that was turned away is submitted again only if it has not been taken otherwise meanwhile. The
// ledger knows repeats while their lease is held, or for the settings' `idMemoryMs`; rejects are kept for ever.
import type { RejectedRecord } from '../domain/record.ts';
import { jsonOf } from '../platform/json-text.ts';
import { readPartition } from '../platform/kafka-read.ts';
import { openTopicAdmin } from '../platform/kafka-topics.ts';
import type { Namespace } from '../platform/namespace.ts';

/** So long before a notice was turned away the same may have come and been taken: a bid's come within hours of each other. */
const BEFORE_MS = 86_400_000;
/** All of a notice's records have it. */
const MARK = '"notice"';

/** What makes a notice one, whatever else it says: its campaign, kind and bid. */
function nameOf(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { campaign, notice, bid } = value as Record<string, unknown>;
  const parts = [campaign, notice, bid];
  return parts.every((part) => typeof part === 'string' && part !== '') ? JSON.stringify(parts) : undefined;
}

/** What was turned away of one notice. */
export interface RefusedNotice {
  readonly name: string;
  /** Where it stands in the log if the ledger rejected it; undefined: `serve` did, and the log does not have it. */
  readonly place: string | undefined;
}

/** How the log has a notice: `rejected` if the ledger rejected all of its records. */
export type InLog = 'taken' | 'rejected';

function placeOf(partition: number, offset: number, name: string): string {
  return `${partition}:${offset}:${name}`;
}

/** Undefined for a reject of anything else. */
export function refusedNotice(record: RejectedRecord): RefusedNotice | undefined {
  const { route, sourceTopic, sourcePartition, sourceOffset, raw } = record;
  const isOfLog = route === '' && sourceTopic === 'spend';
  if (!isOfLog && route !== '/v1/notices') return undefined;
  const name = nameOf(jsonOf(Buffer.from(raw, 'base64').toString()));
  if (name === undefined) return undefined;
  return { name, place: isOfLog ? placeOf(sourcePartition, sourceOffset, name) : undefined };
}

export interface NoticesSought {
  readonly names: ReadonlySet<string>;
  /** The places of all that the ledger rejected. */
  readonly rejectedAt: ReadonlySet<string>;
  /** When the first of the names was turned away, epoch ms. */
  readonly firstMs: number;
}

/**
 * Those of the names that the log has, as far back as a day before the first of them was turned away.
 * @throws PlatformError as `readPartition`
 */
export async function noticesInLog(
  { brokers, namespace }: { readonly brokers: string; readonly namespace: Namespace },
  { names, rejectedAt, firstMs }: NoticesSought,
): Promise<Map<string, InLog>> {
  const found = new Map<string, InLog>();
  if (names.size === 0) return found;
  const topic = namespace.topics.spend;
  const admin = openTopicAdmin(brokers);
  try {
    for (const [partition, { high }] of (await admin.watermarks(topic)).entries()) {
      const from = await admin.offsetAt(topic, partition, Math.max(0, firstMs - BEFORE_MS));
      for await (const batch of readPartition({ brokers, topic, partition, from: from ?? high, to: high })) {
        for (const { offset, value } of batch) {
          const name = value?.includes(MARK) ? nameOf(jsonOf(value.toString())) : undefined;
          if (name === undefined || !names.has(name)) continue;
          if (!rejectedAt.has(placeOf(partition, offset, name))) found.set(name, 'taken');
          else if (!found.has(name)) found.set(name, 'rejected');
        }
      }
    }
  } finally {
    await admin.close();
  }
  return found;
}
