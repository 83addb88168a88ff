// What the faults that alerts fire by have in common: what they may touch, and how they do it.
import { spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { flywheelCommandLine } from '../../ops/local/flywheel-process.ts';
import type { Stack } from '../../ops/local/stack.ts';
import type { ApiKeyPair } from '../../platform/api-keys.ts';
import type { ClickHouse } from '../../platform/clickhouse.ts';
import type { Config } from '../../platform/config.ts';
import type { Producer } from '../../platform/kafka.ts';
import type { Namespace } from '../../platform/namespace.ts';
import type { RedisClient } from '../../platform/redis.ts';

/** All that a fault may touch. */
export interface Victim {
  readonly stack: Stack;
  readonly config: Config;
  readonly environment: Readonly<Record<string, string>>;
  readonly namespace: Namespace;
  readonly redis: RedisClient;
  readonly clickhouse: ClickHouse;
  readonly producer: Producer;
  readonly keys: ApiKeyPair;
  readonly url: string;
}

/** An alert that must fire: whatever it is of, or with these labels. */
export type WantedAlert =
  | string
  | { readonly alert: string; readonly labels: Readonly<Record<string, string>> };

/** Whether an alert that fires, by its labels, is the one that is wanted. */
export function isWanted(wanted: WantedAlert, labels: Readonly<Record<string, string>>): boolean {
  if (typeof wanted === 'string') return labels.alertname === wanted;
  const asked = Object.entries(wanted.labels);
  return labels.alertname === wanted.alert && asked.every(([name, value]) => labels[name] === value);
}

export const alertOf = (wanted: WantedAlert): string => (typeof wanted === 'string' ? wanted : wanted.alert);

/** Of an objective whose rules are its own, though the alerts are one. */
export function burning(objective: 'collect' | 'assignment' | 'bid' | 'freshness'): readonly WantedAlert[] {
  return ['FlywheelObjectiveBurnsFast', 'FlywheelObjectiveBurnsSlowly'].map((alert) => ({
    alert,
    labels: { objective },
  }));
}

export interface Fault {
  readonly name: string;
  /** Alerts that must fire. */
  readonly alerts: readonly WantedAlert[];
  /** Done every second until all of them do: a fault goes on. */
  cause(victim: Victim, tick: number): Promise<void>;
  mend(victim: Victim): Promise<void>;
}

export const PER_TICK = 20;
/** On it a process that was started with `hoarding` takes more memory than the alert lets pass. */
export const HOARD_SIGNAL = 'SIGUSR2';
const HOARD_BYTES = 2_500_000_000;

/** The environment of a process that hoards memory when it is told to; `folder` takes the script that does it. */
export async function hoarding(folder: string): Promise<Record<string, string>> {
  const script = path.join(folder, 'hoard.cjs');
  await writeFile(
    script,
    `process.on('${HOARD_SIGNAL}', () => { globalThis.hoard ??= Buffer.alloc(${HOARD_BYTES}, 1); });\n`,
  );
  return { NODE_OPTIONS: `--require ${script}` };
}

export const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
export const nothing = async (): Promise<void> => {};

export async function post({ url, keys }: Victim, path: string, body: unknown): Promise<unknown> {
  const answer = await fetch(url + path, {
    method: 'POST',
    headers: { authorization: `Bearer ${keys.secret}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(5_000),
  }).catch(() => undefined);
  return answer?.json().catch(() => undefined);
}

/** As `post`, where a refusal would mean that there is no fault. */
export async function expectTaken(victim: Victim, path: string, body: unknown): Promise<void> {
  const answer = (await post(victim, path, body)) as { accepted?: number } | undefined;
  if (answer?.accepted === 1) return;
  throw new Error(`the fault could not be caused: ${JSON.stringify(answer)}`);
}

export function many(make: (index: number) => Record<string, unknown>): { batch: Record<string, unknown>[] } {
  return { batch: Array.from({ length: PER_TICK }, (_, index) => make(index)) };
}

/** Signals a process of ours; one that is gone already is what was wanted. */
export function signal({ stack }: Victim, name: Parameters<Stack['pidOf']>[0], what: NodeJS.Signals): void {
  const pid = stack.pidOf(name);
  if (pid === undefined) return;
  try {
    process.kill(pid, what);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Runs a command of `flywheel` to its end. */
export async function run({ environment }: Victim, command: string, args: readonly string[]): Promise<void> {
  const [program, ...before] = flywheelCommandLine(command);
  const child = spawn(program!, [...before, ...args], {
    env: { PATH: process.env.PATH, ...environment },
    stdio: 'ignore',
  });
  await new Promise((resolve) => child.once('exit', resolve));
}

/** Puts a definition into force, whatever is in force there; `change` gets that document, or null. */
export async function define(
  { url, keys }: Victim,
  name: string,
  change: (before: Record<string, unknown> | null) => unknown,
): Promise<void> {
  const address = `${url}/v1/definitions/${name}`;
  const authorization = `Bearer ${keys.secret}`;
  const before = await fetch(address, { headers: { authorization } });
  const { document = null } = (await before.json()) as { document?: Record<string, unknown> };
  const tag = before.headers.get('etag');
  const answer = await fetch(address, {
    method: 'PUT',
    headers: {
      authorization,
      'content-type': 'application/json',
      ...(before.ok && tag !== null ? { 'if-match': tag } : { 'if-none-match': '*' }),
    },
    body: JSON.stringify({ document: change(document), author: 'alerts', reason: 'a fault to alert by' }),
  });
  if (!answer.ok) throw new Error(`${name} could not be defined: ${await answer.text()}`);
}
