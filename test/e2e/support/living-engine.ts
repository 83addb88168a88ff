// An engine whose definitions are changed while it runs: one `stream`, some `serve`s, and an editor at each of them.
import path from 'node:path';
import { expect } from 'vitest';
import { type ApiKeyPair, ensureApiKeys } from '../../../platform/api-keys.ts';
import { decodeBuyer } from '../../../platform/buyer-codec.ts';
import { buyerPartition, partitionKeys } from '../../../platform/keys.ts';
import { type Child, endChildren, startChild } from './child.ts';
import { type DefinitionsClient, definitionsClient } from './definitions-client.ts';
import { openStage, type Stage } from './stage.ts';

export interface LivingEngine {
  readonly stage: Stage;
  readonly keys: ApiKeyPair;
  /** Of each `serve`, and an editor there. */
  readonly urls: readonly string[];
  readonly clients: readonly DefinitionsClient[];
  /** Sends events of one user, and sees that they are taken. */
  track(userId: string, ...events: string[]): Promise<void>;
  /** How far the buyer is in a funnel, as the stream keeps it. */
  levelIn(key: string, funnel: string): Promise<{ revision: number; level: number } | undefined>;
  killStream(): Promise<void>;
  startStream(): Promise<void>;
}

/** A rule for a behaviour that the shipped definitions do not know. */
export const SAMPLE_ORDERED = { kind: 'track', event: 'Sample Ordered', behaviour: 'sample' };

export const funnelOf = (windowMs: number, steps = ['visit', 'order']) => ({ name: 'f', steps, windowMs });

export async function startLiving(name: string, serves: number): Promise<LivingEngine> {
  const stage = await openStage(name);
  const { environment, namespace, redis } = stage;
  const plainFile = path.join(stage.dir, 'keys.json');
  const keys = await ensureApiKeys({ plainFile, hashedFile: stage.config.serveKeysFile });
  const children = Array.from({ length: serves }, () => startChild('serve', environment));
  let stream: Child;
  const startStream = async (): Promise<void> => {
    stream = startChild('stream', environment);
    await stream.ready;
  };
  const [ready] = await Promise.all([Promise.all(children.map((serve) => serve.ready)), startStream()]);
  const urls = ready.map(({ url }) => String(url));
  let sent = 0;
  return {
    stage,
    keys,
    urls,
    clients: urls.map((url) => definitionsClient(url, keys.secret)),
    async track(userId, ...events) {
      const batch = events.map((event) => {
        sent += 1;
        return { type: 'track', event, userId, messageId: `${name}-${sent}` };
      });
      const response = await fetch(`${urls[0]}/v1/batch`, {
        method: 'POST',
        headers: { authorization: `Bearer ${keys.write}`, 'content-type': 'application/json' },
        body: JSON.stringify({ batch }),
      });
      expect(await response.json()).toMatchObject({ accepted: events.length });
    },
    async levelIn(key, funnel) {
      const partition = buyerPartition(key);
      const bytes = await redis.getBuffer(
        partitionKeys(namespace, { topic: 'events', generation: 1, partition }).buyer(key),
      );
      const progress =
        bytes === null ? undefined : decodeBuyer(key, bytes).funnels.find(({ id }) => id === funnel);
      return progress === undefined ? undefined : { revision: progress.revision, level: progress.counted };
    },
    async killStream() {
      stream.signal('SIGKILL');
      await stream.ended;
    },
    startStream,
  };
}

/** @param engine undefined if it did not start */
export async function endLiving(engine: LivingEngine | undefined): Promise<void> {
  await endChildren();
  await engine?.stage.close();
}
