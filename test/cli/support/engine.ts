// The whole engine under one replayed set: a real serve takes it, a real stream applies it, reports answer for it.
import { afterEach, expect } from 'vitest';
import { type FeedRequest, runFeed } from '../../../cli/feed/run.ts';
import { ensureApiKeys } from '../../../platform/api-keys.ts';
import { startServe } from '../../../serve/main.ts';
import { endChildren, startChild } from '../../e2e/support/child.ts';
import { openStage, type Stage } from '../../e2e/support/stage.ts';
import { expectVerified } from '../../e2e/support/whole.ts';
import { silentLog } from '../../serve/serving.ts';

const DAY_MS = 86_400_000;
const DRAIN_MS_MAX = 120_000;
const closing: (() => Promise<void>)[] = [];

// After each: several of them at once in one process wait for each other's Kafka clients.
afterEach(async () => {
  await endChildren();
  for (const close of closing.splice(0)) await close();
});

export interface Replayed {
  readonly stage: Stage;
  /** A report's answer. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever was answered.
  get(path: string): Promise<any>;
  /** The one number that a query of ClickHouse answers. */
  number(query: string): Promise<number>;
}

type Feed = Pick<FeedRequest, 'file' | 'date' | 'currency'>;

/**
 * Feeds the files one after the other into a namespace of their own, ends with a clock, waits until all has arrived.
 * Nothing may be rejected, and the oracle must agree.
 */
export async function replayed(format: string, feeds: readonly Feed[], untilMs: number): Promise<Replayed> {
  const stage = await openStage(format);
  const keys = await ensureApiKeys({
    plainFile: `${stage.dir}/keys.json`,
    hashedFile: stage.config.serveKeysFile,
  });
  const serving = await startServe(stage.config, silentLog);
  closing.push(async () => {
    await serving.close();
    await stage.close();
  });
  const stream = startChild('stream', stage.environment);
  await stream.ready;
  for (const [index, feed] of feeds.entries()) {
    const report = await runFeed({
      config: stage.config,
      url: serving.url,
      secretKey: keys.secret,
      format,
      ...feed,
      ...(index === feeds.length - 1 ? { untilMs } : {}),
    });
    expect(report).toMatchObject({ state: 'finished', rejectedByReason: {} });
  }
  await stage.untilDrained(DRAIN_MS_MAX);
  await expectVerified(stage);
  await stream.stop();
  const headers = { authorization: `Bearer ${keys.secret}` };
  return {
    stage,
    async get(path) {
      const response = await fetch(`${serving.url}${path}`, { headers });
      expect([path, response.status]).toEqual([path, 200]);
      return response.json();
    },
    async number(query) {
      const [row] = await stage.rows<Record<string, string | number>>(query);
      return Number(Object.values(row!)[0]);
    },
  };
}

/** `from` and `to` of a report, in days before and after. */
export function periodOf(from: string, to: string): string {
  return `from=${from}T00:00:00Z&to=${new Date(Date.parse(`${to}T00:00:00Z`) + DAY_MS).toISOString()}`;
}
