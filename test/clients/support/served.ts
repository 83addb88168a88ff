// `stream`, and a `serve` behind a gate, in a namespace of their own: what clients send is looked for where it ends up.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { ensureApiKeys } from '../../../platform/api-keys.ts';
import { readConfig } from '../../../platform/config.ts';
import { startServe } from '../../../serve/main.ts';
import { endChildren, startChild } from '../../e2e/support/child.ts';
import { openStage } from '../../e2e/support/stage.ts';
import { silentLog } from '../../serve/serving.ts';
import { type BrokerDoor, openBrokerDoor } from './broker-door.ts';
import { type Gate, openGate } from './gate.ts';

/** A collected message as ClickHouse has it. */
export interface Row {
  readonly messageId: string;
  readonly kind: string;
  readonly event: string;
  readonly behaviour: string;
  readonly verdict: string;
  readonly userId: string;
  readonly anonymousId: string;
  readonly record: Readonly<Record<string, unknown>>;
}

export interface Served {
  readonly gate: Gate;
  readonly broker: BrokerDoor;
  readonly keys: { readonly write: string; readonly secret: string };
  /** Everything collected that mentions the text, in the order of event time. */
  rows(mentioning: string): Promise<Row[]>;
  /** Those that are applied, once so many different messages are. */
  applied(mentioning: string, count: number): Promise<Row[]>;
  /** Once all has arrived, no message of the whole test is applied twice. */
  expectNoDoubles(): Promise<void>;
  /** Shuts the broker's door and waits until `serve` refuses. */
  refuse(): Promise<void>;
  accept(): Promise<void>;
  close(): Promise<void>;
}

const ARRIVAL_MS_MAX = 30_000;

export async function openServed(label: string): Promise<Served> {
  const stage = await openStage(label);
  const stream = startChild('stream', stage.environment);
  const snippet = path.join(stage.dir, 'flywheel.js');
  const made = spawnSync(process.execPath, [
    fileURLToPath(new URL('../../../bin/snippet.js', import.meta.url)),
    snippet,
  ]);
  expect(made.status, made.stderr.toString()).toBe(0);
  const keys = await ensureApiKeys({
    plainFile: path.join(stage.dir, 'keys.json'),
    hashedFile: stage.config.serveKeysFile,
  });
  const broker = await openBrokerDoor(stage.config.kafkaBrokers);
  const config = readConfig({
    ...stage.environment,
    KAFKA_BROKERS: broker.address,
    SERVE_SNIPPET_FILE: snippet,
  });
  const serving = await startServe(config, silentLog);
  const gate = await openGate(serving.url);
  await stream.ready;

  async function rows(mentioning: string): Promise<Row[]> {
    const found = await stage.rows<Omit<Row, 'record'> & { record: string }>(`
      SELECT message_id AS messageId, kind, event, behaviour, verdict, user_id AS userId, anonymous_id AS anonymousId, record
      FROM events FINAL WHERE position(record, '${mentioning}') > 0 ORDER BY time, offset`);
    return found.map((row) => ({ ...row, record: JSON.parse(row.record) as Row['record'] }));
  }

  /** What `serve` itself says of Kafka. */
  async function untilKafkaIs(up: boolean): Promise<void> {
    const isUp = async (): Promise<boolean> => {
      const answer = (await (await fetch(`${serving.url}/readyz`)).json()) as {
        parts: { kafka: { up: boolean } };
      };
      return answer.parts.kafka.up;
    };
    await expect.poll(isUp, { timeout: ARRIVAL_MS_MAX, interval: 100 }).toBe(up);
  }

  return {
    gate,
    broker,
    keys,
    rows,
    async applied(mentioning, count) {
      const found = async (): Promise<Row[]> =>
        (await rows(mentioning)).filter((row) => row.verdict === 'applied');
      const distinct = async (): Promise<number> => new Set((await found()).map((row) => row.messageId)).size;
      await expect.poll(distinct, { timeout: ARRIVAL_MS_MAX, interval: 100 }).toBe(count);
      return found();
    },
    async expectNoDoubles() {
      await stage.untilDrained();
      const ids = (await rows('')).filter((row) => row.verdict === 'applied').map((row) => row.messageId);
      expect(ids.length).toBeGreaterThan(0);
      expect(new Set(ids).size).toBe(ids.length);
    },
    async refuse() {
      await broker.shut();
      await untilKafkaIs(false);
    },
    async accept() {
      await broker.open();
      await untilKafkaIs(true);
    },
    async close() {
      await gate.close();
      await serving.close();
      await broker.shut();
      await endChildren();
      await stage.close();
    },
  };
}
