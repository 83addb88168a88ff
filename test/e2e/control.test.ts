// One partition is paused, resumed and rewound while everything else goes on; whatever is killed on the way, state and log
// stay one, and a rewound partition ends with the same bytes.
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ensureApiKeys } from '../../platform/api-keys.ts';
import { partitionKeys } from '../../platform/keys.ts';
import { requestRewind } from '../../platform/partition-control.ts';
import { endChildren, startChild } from './support/child.ts';
import { type Acknowledged, chunkFeeder } from './support/feeder.ts';
import { stateOf } from './support/snapshot.ts';
import { openStage, type Stage } from './support/stage.ts';
import { createTriggerPuller, type TriggerPuller } from './support/trigger-puller.ts';
import { expectWhole } from './support/whole.ts';

const PARTITION = 3;
/** Another one, which must not be touched by what is asked of the first. */
const OTHER = 4;
const campaigns = [{ account: 'display-europe', campaign: 'display-brands', currency: 'EUR' }];
/** Longer than an owner's tick. */
const STILL_MS = 1_500;
/** Several times what one script deletes. */
const OLD_STATES = 2_500;

let stage: Stage;
let puller: TriggerPuller;
const acknowledged: Acknowledged = new Set();

const feedChunk = chunkFeeder(acknowledged, {
  seed: 300,
  days: 20,
  records: 160,
  buyers: { [PARTITION]: 15, [OTHER]: 15 },
  campaigns,
});

async function flywheel(command: string, ...args: string[]): Promise<{ code: number | null; said: string }> {
  const child = startChild(command, stage.environment, args);
  const { code } = await child.ended;
  return { code, said: child.output() + child.errors() };
}

async function standing(partition: number): Promise<{ offset: number; high: number }> {
  const progress = await stage.progress();
  return progress.find((one) => one.topic === 'events' && one.partition === partition)!;
}

const keys = () => partitionKeys(stage.namespace, { topic: 'events', generation: 1, partition: PARTITION });

/** All state but what operators asked for. */
async function state(): Promise<Map<string, string>> {
  const found = await stateOf(stage);
  return new Map([...found].filter(([key]) => !key.endsWith(':control')));
}

beforeAll(async () => {
  stage = await openStage('control', { environment: { STREAM_SESSION_TIMEOUT_MS: '6000' } });
  await ensureApiKeys({
    plainFile: path.join(stage.dir, 'keys.json'),
    hashedFile: path.join(stage.dir, 'keys.hashed.json'),
  });
  puller = createTriggerPuller(stage, path.join(stage.dir, 'puller.json'));
});
afterEach(endChildren);
afterAll(async () => {
  await stage?.close();
});

describe('one partition', () => {
  it('stands still while it is paused, over a kill too; the others and serve go on; then it catches up', async () => {
    const serve = startChild('serve', stage.environment);
    const first = startChild('stream', stage.environment);
    const [{ url }] = await Promise.all([serve.ready, first.ready]);
    await feedChunk(stage);
    await stage.untilDrained();
    const before = await standing(PARTITION);
    expect(before.offset).toBeGreaterThan(0);
    const paused = await flywheel('pause', 'events', String(PARTITION));
    expect(paused).toMatchObject({
      code: 0,
      said: expect.stringContaining(`paused at offset ${before.offset}`),
    });
    await feedChunk(stage);
    await expect
      .poll(async () => (await standing(OTHER)).offset, { timeout: 20_000 })
      .toBe((await standing(OTHER)).high);
    first.signal('SIGKILL');
    await first.ended;
    const second = startChild('stream', stage.environment);
    await second.ready;
    await new Promise((resolve) => setTimeout(resolve, STILL_MS));
    const held = await standing(PARTITION);
    expect(held.offset).toBe(before.offset);
    expect(held.high).toBeGreaterThan(before.high);
    expect((await fetch(`${String(url)}/readyz`)).status).toBe(200);
    const status = await flywheel('status', '--json');
    const shown = JSON.parse(status.said.split('\n')[0]!) as { partitions: Record<string, unknown>[] };
    expect(shown.partitions).toContainEqual(
      expect.objectContaining({
        topic: 'events',
        partition: PARTITION,
        health: 'paused',
        offset: held.offset,
      }),
    );
    expect((await flywheel('resume', 'events', String(PARTITION))).code).toBe(0);
    await stage.untilDrained();
    expect((await second.stop()).code, second.errors()).toBe(0);
  });

  it('is made anew by a rewind during traffic, and by one after it to the same bytes', async () => {
    const child = startChild('stream', stage.environment);
    await child.ready;
    await stage.untilDrained();
    const [rewound] = await Promise.all([
      flywheel('rewind', 'events', String(PARTITION), '--to', '0'),
      feedChunk(stage),
    ]);
    expect(rewound).toMatchObject({ code: 0, said: expect.stringContaining('begins again at offset 0') });
    await stage.untilDrained();
    await expectWhole(stage, acknowledged, puller);
    const before = await state();
    expect((await flywheel('rewind', 'events', String(PARTITION), '--to', '0')).code).toBe(0);
    await stage.untilDrained();
    expect(await state()).toEqual(before);
    expect((await child.stop()).code, child.errors()).toBe(0);
  });

  it('can be held where it was rewound to, with the state of then', async () => {
    const child = startChild('stream', stage.environment);
    await child.ready;
    await stage.untilDrained();
    const before = await state();
    const { offset } = await standing(PARTITION);
    const middle = Math.floor(offset / 2);
    const { code } = await flywheel('rewind', 'events', String(PARTITION), '--to', String(middle), '--hold');
    expect(code).toBe(0);
    await expect.poll(async () => (await standing(PARTITION)).offset, { timeout: 20_000 }).toBe(middle);
    await new Promise((resolve) => setTimeout(resolve, STILL_MS));
    expect((await standing(PARTITION)).offset).toBe(middle);
    expect(await state()).not.toEqual(before);
    expect((await flywheel('resume', 'events', String(PARTITION))).code).toBe(0);
    await stage.untilDrained();
    expect(await state()).toEqual(before);
    expect((await child.stop()).code, child.errors()).toBe(0);
  });

  it('whose owner was killed while it cleared the state is cleared by the next one first', async () => {
    const before = await state();
    // So many that they are deleted in several pieces; what was there before the rewind must never be read again.
    const old = Array.from({ length: OLD_STATES }, (_, index) => keys().buyer(`u:old-${index}`));
    await stage.redis.mset(...old.flatMap((key) => [key, 'old']));
    const killed = startChild('stream', { ...stage.environment, FLYWHEEL_FAILPOINT: 'mid-rewind:2' });
    await killed.ready;
    await requestRewind(stage.redis, keys(), null);
    expect((await killed.ended).signal, killed.errors()).toBe('SIGKILL');
    const left = await stage.redis.exists(...old);
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThan(OLD_STATES);
    expect(await stage.redis.hmget(keys().head, 'offset', 'clearing')).toEqual(['0', '1']);
    const child = startChild('stream', stage.environment);
    await child.ready;
    await stage.untilDrained();
    expect((await child.stop()).code, child.errors()).toBe(0);
    expect(await state()).toEqual(before);
    await expectWhole(stage, acknowledged, puller);
  });
});

describe('what cannot be done', () => {
  it('says why and changes nothing', async () => {
    const { code, said } = await flywheel('rewind', 'events', String(PARTITION), '--to', '99999999');
    expect([code, said]).toEqual([1, expect.stringContaining('cannot go back to 99999999: its log ends at')]);
    for (const to of ['-5', '12.5', 'yesterday'])
      expect((await flywheel('rewind', 'events', String(PARTITION), '--to', to)).said).toContain(
        `--to is an offset or an ISO 8601 time, not "${to}"`,
      );
    expect(await stage.redis.exists(keys().control)).toBe(0);
  });

  it('is told of: without an owner, status says so and exits 1', async () => {
    // An owner is missed once its stamp is five seconds old.
    const look = () => flywheel('status');
    await expect
      .poll(async () => (await look()).said, { timeout: 30_000, interval: 500 })
      .toContain('no owner');
    const { said, code } = await look();
    expect(code).toBe(1);
    expect(said).toContain('no process leads the jobs');
    expect(said).toMatch(/events 3 +no owner +0 /);
    expect(said).toContain('unhealthy: events 3: no owner');
    expect(said).toMatch(/display-europe +EUR +450\.00 /);
    expect(said).not.toContain('\u001b[');
  });
});
