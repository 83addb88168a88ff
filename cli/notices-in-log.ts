// Which notices the log has: one that was turned away is submitted again only if it has not come otherwise meanwhile. The
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

/** The name of the notice that `serve` turned away; undefined for all else, and for what the ledger rejected: the log has that. */
export function refusedNotice({ route, raw }: RejectedRecord): string | undefined {
  return route === '/v1/notices' ? nameOf(jsonOf(Buffer.from(raw, 'base64').toString())) : undefined;
}

/**
 * Those of the names that the log has, as far back as a day before `firstMs`, when the first of them was turned away.
 * @throws PlatformError as `readPartition`
 */
export async function noticesInLog(
  { brokers, namespace }: { readonly brokers: string; readonly namespace: Namespace },
  names: ReadonlySet<string>,
  firstMs: number,
): Promise<Set<string>> {
  const found = new Set<string>();
  if (names.size === 0) return found;
  const topic = namespace.topics.spend;
  const admin = openTopicAdmin(brokers);
  try {
    for (const [partition, { high }] of (await admin.watermarks(topic)).entries()) {
      const from = await admin.offsetAt(topic, partition, Math.max(0, firstMs - BEFORE_MS));
      for await (const batch of readPartition({ brokers, topic, partition, from: from ?? high, to: high })) {
        for (const { value } of batch) {
          const name = value?.includes(MARK) ? nameOf(jsonOf(value.toString())) : undefined;
          if (name !== undefined && names.has(name)) found.add(name);
        }
      }
    }
  } finally {
    await admin.close();
  }
  return found;
}
