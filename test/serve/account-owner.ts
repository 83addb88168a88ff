// One account's owner for tests of the answers: reads the account's partition of `spend` as the stream does, applies
// the ledger's rules and writes the account where `serve` looks for it.
import { inject } from 'vitest';
import { type AccountState, newAccount } from '../../domain/account.ts';
import {
  type AccountDefinition,
  type CampaignDefinition,
  settings as settingsSchema,
} from '../../domain/definition.ts';
import type { LeaseRequestRecord, NoticeRecord, ReportRecord } from '../../domain/spend-record.ts';
import { transitionAccount } from '../../domain/transition-account.ts';
import { encodeAccount } from '../../platform/codec.ts';
import { readPartition } from '../../platform/kafka-read.ts';
import { accountPartition } from '../../platform/keys.ts';
import type { Answering } from './answering.ts';

type SpendRecord = LeaseRequestRecord | NoticeRecord | ReportRecord;

export interface AccountOwner {
  readonly state: AccountState;
  /** What was taken so far, in order. */
  readonly records: SpendRecord[];
  stop(): Promise<void>;
}

/** Owns one account until it is stopped. */
export async function ownAccount(here: Answering, account: string): Promise<AccountOwner> {
  const partition = accountPartition(account);
  const keys = here.keysOf('spend', partition);
  const state = newAccount(account);
  const records: SpendRecord[] = [];
  const stopping = new AbortController();
  const { signal } = stopping;
  const topic = here.namespace.topics.spend;
  const definitions = here.definitions.view();

  async function own(): Promise<void> {
    for await (const batch of readPartition({
      brokers: inject('kafkaBrokers'),
      topic,
      partition,
      from: 0,
      signal,
    })) {
      let watermarkMs = 0;
      for (const { value, offset, appendedAtMs } of batch) {
        const record = JSON.parse(value!.toString()) as SpendRecord;
        if (record.account !== account) continue;
        watermarkMs = Math.max(watermarkMs, appendedAtMs);
        records.push(record);
        const verdict = transitionAccount(
          state,
          record,
          {
            nowMs: watermarkMs,
            appendMs: appendedAtMs,
            partition,
            offset,
            settings: settingsSchema.parse({}),
            account: (id) => definitions.find<AccountDefinition>('account', id),
            campaign: (id) => definitions.find<CampaignDefinition>('campaign', id),
          },
          [],
        );
        if (verdict.verdict === 'rejected') throw new Error(`${verdict.reason}: ${verdict.detail}`);
      }
      await here.redis.set(keys.account(account), encodeAccount(state));
      await here.redis.hset(keys.head, 'watermark', watermarkMs);
    }
  }

  const owning = own();
  return {
    state,
    records,
    async stop() {
      stopping.abort();
      await owning;
    },
  };
}
