// Leases that Redis forgot when it came back from the past: those that were granted behind the offset that it came back with. The log
// grants each of them again, with the same terms.
import type { Lease } from '../../domain/account.ts';
import { decodeAccount } from '../../platform/codec.ts';
import { ensureGeneration } from '../../platform/kafka-topics.ts';
import { accountPartition, partitionKeys } from '../../platform/keys.ts';
import type { Arena } from './arena/arena.ts';
import { AUCTIONED } from './arena/definitions.ts';

/** What was granted of one; how much of it is spent changes. */
export type Grant = Pick<Lease, 'id' | 'process' | 'amountMicros' | 'untilMs' | 'horizonMs'>;

/** Lease id → its grant, of the accounts that the exchange spends of. Exact while their owners stand still. */
export async function leasesHeld({ namespace, redis, admin }: Arena): Promise<Map<string, Grant>> {
  const { spend: generation } = await ensureGeneration(namespace, admin, redis);
  const states = await Promise.all(
    AUCTIONED.map(({ account }) => {
      const keys = partitionKeys(namespace, {
        topic: 'spend',
        generation,
        partition: accountPartition(account),
      });
      return redis.getBuffer(keys.account(account));
    }),
  );
  const leases = states.flatMap((bytes) => (bytes === null ? [] : decodeAccount(bytes).leases));
  return new Map(
    leases.map(({ id, process, amountMicros, untilMs, horizonMs }) => [
      id,
      { id, process, amountMicros, untilMs, horizonMs },
    ]),
  );
}

/** Ids of leases that the ledger has ended: of those nothing is outstanding. */
export async function leasesEnded({ clickhouse }: Arena): Promise<Set<string>> {
  const query = `SELECT DISTINCT lease FROM leases FINAL WHERE status IN ('voided', 'freed')`;
  const rows = await (await clickhouse.query({ query, format: 'JSONEachRow' })).json<{ lease: string }>();
  return new Set(rows.map(({ lease }) => lease));
}

export type Grants = ReadonlyMap<string, Grant>;

/** What was held before, and is not in what came back. */
export function forgottenOf(before: Grants, restored: Grants): Grant[] {
  return [...before.values()].filter(({ id }) => !restored.has(id));
}

/** @returns which of those that were forgotten the ledger does not know again when all is made good, or with other terms */
export function wrongLeases(
  forgotten: readonly Grant[],
  later: Grants,
  ended: ReadonlySet<string>,
): string[] {
  return forgotten.flatMap((grant) => {
    const held = later.get(grant.id);
    if (held === undefined) return ended.has(grant.id) ? [] : [`lease ${grant.id} is forgotten`];
    const isSame = JSON.stringify(held) === JSON.stringify(grant);
    return isSame ? [] : [`lease ${grant.id} was ${JSON.stringify(grant)} and is ${JSON.stringify(held)}`];
  });
}
