// What an owner takes from a consumer: only the log from where it reads on, without a gap.
import { describe, expect, it, vi } from 'vitest';
import { readDocument } from '../../domain/definition.ts';
import { arrange } from '../../domain/in-force.ts';
import { pack, stateSchemaVersion } from '../../platform/codec.ts';
import { accountPartition, type PartitionId, partitionKeys } from '../../platform/keys.ts';
import { namespaceOf } from '../../platform/namespace.ts';
import { noControl } from '../../platform/partition-control.ts';
import type { RedisClient } from '../../platform/redis.ts';
import { addRow, addVerdict, type Batch, newBatch, toEntry } from '../../stream/batch.ts';
import { noBugs } from '../../stream/bugs.ts';
import type { Message } from '../../stream/decode.ts';
import { Delivery } from '../../stream/delivery.ts';
import { createGate, createGates } from '../../stream/gates.ts';
import { Owner } from '../../stream/owner.ts';
import type { OwnerParts } from '../../stream/owner-parts.ts';
import { figuresOf } from '../../stream/partition-figures.ts';
import type { Sink } from '../../stream/sink.ts';
import { type TakenOver, takeOver } from '../../stream/take-over.ts';
import { createWaitingTriggers } from '../../stream/triggers.ts';
import { createWindows } from '../../stream/windows.ts';
import { createWork } from '../../stream/work.ts';
import { noCounters } from './support/no-counters.ts';

const id = { topic: 'events', generation: 1, partition: 3 } as const;
const keys = partitionKeys(namespaceOf('owner'), id);

/** A sink that batches are given to, and nothing else. */
const sinkOf = (deliver: Sink['deliver']): Sink => ({
  deliver,
  deliverLatest: async () => [],
  forget: () => {},
  close: () => {},
});

function takenAt(offset: number, counters = noCounters, of: PartitionId = id): TakenOver {
  const head = {
    nonce: 'n',
    seq: 4,
    offset,
    fired: 0,
    ordinal: 0,
    watermarkMs: 0,
    received: new Map(),
    anchor: null,
    last: null,
  };
  const work = createWork({
    id: of,
    head,
    inForce: { kept: [], definitions: arrange([]) },
    windows: createWindows(),
    triggers: createWaitingTriggers(),
    counters,
  });
  return { work, undelivered: [], readFrom: offset, control: noControl };
}

const message = (offset: number): Message => ({
  partition: id.partition,
  offset,
  key: null,
  value: Buffer.from('{}'),
  appendMs: 1,
  size: 2,
});
const messages = (from: number, to: number): Message[] =>
  Array.from({ length: to - from }, (_, index) => message(from + index));

function partsOf(): OwnerParts {
  return {
    redis: {} as RedisClient,
    keys,
    sink: sinkOf(async () => {}),
    limits: {
      batchMax: 10,
      batchBytesMax: 1_000,
      batchKeysMax: 1_000,
      cacheMax: 0,
      cacheBytesMax: 0,
      lingerMs: 0,
      undeliveredMax: 1,
      undeliveredRecordsMax: 10,
      undeliveredBytesMax: 1_000_000,
      tickMs: 60_000,
      flushMs: 60_000,
      clockMs: 0,
      waitReplicas: 0,
    },
    observer: { committed: () => {}, fenced: () => {}, failed: () => {}, step: () => {} },
    bugs: noBugs,
    live: { begin: () => undefined },
    turn: async () => {},
    gates: createGates(),
    logEnd: 0,
    atLogEnd: () => true,
    now: () => 0,
  };
}

/** An owner that never gets to work: it is looked at before its first batch. */
async function withOwner(readFrom: number, look: (owner: Owner) => void): Promise<void> {
  const owner = new Owner(takenAt(readFrom), partsOf());
  look(owner);
  expect(await owner.stop()).toBe('stopped');
}

describe('a poll that began before the take-over', () => {
  it('feeds nothing from behind: the owner before had it', () =>
    withOwner(100, (owner) => {
      owner.push(messages(90, 100));
      expect(owner.backlog).toBe(0);
      owner.push(messages(95, 103));
      expect(owner.backlog).toBe(3);
    }));

  it('feeds nothing from ahead: what lies between would be lost', () =>
    withOwner(100, (owner) => {
      owner.push(messages(140, 160));
      expect(owner.backlog).toBe(0);
      owner.push(messages(100, 141));
      expect(owner.backlog).toBe(41);
      owner.push(messages(120, 142));
      expect(owner.backlog).toBe(42);
    }));
});

it('waits for what the log has and nobody reads, until it reads on', () =>
  withOwner(100, (owner) => {
    expect(owner.oldestMs).toBeUndefined();
    owner.noteUnread({ expected: 100, sinceMs: 50 });
    expect([owner.unread?.expected, owner.oldestMs]).toEqual([100, 50]);
    owner.push(messages(100, 101));
    expect([owner.unread, owner.oldestMs]).toEqual([undefined, 1]);
  }));

it('lags behind where the log ends, also where nothing more is fetched of it', () =>
  withOwner(100, (owner) => {
    owner.push(messages(100, 103));
    const parts = { namespace: namespaceOf('owner'), now: () => 5 };
    const lagAt = (fetched: number) =>
      figuresOf(parts, { highOffset: () => fetched, isPaused: () => true }, owner).lag;
    expect([lagAt(-1), lagAt(140)]).toEqual([0, 40]);
    owner.noteLogEnd(1_000_000);
    expect([lagAt(140), lagAt(1_000_200)]).toEqual([999_900, 1_000_100]);
    // Kafka was asked before this topic was one of ours.
    owner.noteLogEnd(0);
    expect(lagAt(140)).toBe(999_900);
  }));

it('says that it lives, heeds its operator and tells the time, also when the wall clock is set back by an hour', async () => {
  const evaluated = vi.fn(async () => 'OK');
  const heeded = vi.fn(async () => ({}));
  const redis = { eval: evaluated, hgetall: heeded } as unknown as RedisClient;
  const parts = partsOf();
  let nowMs = 10_000_000;
  const limits = { ...parts.limits, tickMs: 20, clockMs: 50 };
  const step = vi.fn();
  const taken = takenAt(100);
  taken.work.head.anchor = { watermarkMs: 1, appendMs: 1 };
  const observer = { ...parts.observer, step };
  const owner = new Owner(taken, { ...parts, redis, limits, observer, now: () => nowMs });
  await vi.waitFor(() => expect(heeded).toHaveBeenCalledTimes(1));
  nowMs -= 3_600_000;
  await vi.waitFor(() => expect(heeded).toHaveBeenCalledTimes(2));
  nowMs += 20;
  await vi.waitFor(() => expect(heeded).toHaveBeenCalledTimes(3));
  expect(evaluated).toHaveBeenCalledTimes(3);
  expect(step).not.toHaveBeenCalled();
  nowMs += 100;
  await vi.waitFor(() => expect(step).toHaveBeenCalledWith('before-commit', expect.anything()));
  expect(await owner.stop()).toBe('stopped');
});

describe('a partition to which records come all the time', () => {
  const account = 'acme';
  const spend = { topic: 'spend', generation: 1, partition: accountPartition(account) } as const;
  const about = { account, campaign: 'c1', channel: 'search', country: 'DE', currency: 'EUR' };
  const leaseRequest = (timeMs: number) => {
    const asked = { lease: `l${timeMs}`, account, process: 'p', amountMicros: 1, timestamp: timeMs };
    return { kind: 'leaseRequest', ...asked };
  };
  const notice = (timeMs: number) => {
    const told = {
      messageId: `m${timeMs}`,
      notice: 'win',
      bid: `b${timeMs}`,
      costMicros: 1,
      timestamp: timeMs,
      receivedAt: timeMs,
    };
    return { kind: 'notice', ...told, ...about };
  };

  /** How many clocks its owner writes in 30 s, to which a record comes every two seconds. */
  async function clocksWritten(watermarkMs: number, recordAt: (timeMs: number) => object): Promise<number> {
    let nowMs = Date.UTC(2026, 0, 1);
    const heeded = vi.fn(async () => ({}));
    const committed = vi.fn();
    const written: { kind: string; time: number }[] = [];
    const step = (name: string, batches: readonly Batch[]): void => {
      const records = name === 'before-commit' ? batches.flatMap((batch) => batch.records) : [];
      written.push(...records.filter(({ to }) => to === 'spend').map(({ value }) => JSON.parse(value)));
    };
    const redis = {
      zrange: async () => [],
      mgetBuffer: async (...names: string[]) => names.map(() => null),
      eval: async () => 'OK',
      hgetall: heeded,
    } as unknown as RedisClient;
    const parts = partsOf();
    const taken = takenAt(100, noCounters, spend);
    Object.assign(taken.work.head, { watermarkMs });
    const said = { revision: 1, hash: '', sinceMs: 0, epoch: 0 };
    const budget = { name: account, currency: 'EUR', dailyBudgetMicros: 1_000_000 };
    const kept = [
      { ...said, type: 'account', id: account, document: readDocument('account', budget)! },
    ] as const;
    taken.work.inForce = { kept, definitions: arrange(kept) };
    if (watermarkMs > 0) taken.work.head.anchor = { watermarkMs, appendMs: nowMs };
    const owner = new Owner(taken, {
      ...parts,
      redis,
      keys: partitionKeys(namespaceOf('owner'), spend),
      limits: { ...parts.limits, tickMs: 20, clockMs: 5_000, undeliveredMax: 1_000 },
      observer: { ...parts.observer, step, committed },
      now: () => nowMs,
    });
    for (let offset = 100; offset < 115; offset += 1) {
      const value = Buffer.from(JSON.stringify(recordAt(nowMs)));
      owner.push([{ ...message(offset), partition: spend.partition, value, appendMs: nowMs }]);
      await vi.waitFor(() => expect(committed).toHaveBeenCalledTimes(offset - 99), { interval: 5 });
      nowMs += 2_000;
      const ticks = heeded.mock.calls.length;
      await vi.waitFor(() => expect(heeded.mock.calls.length).toBeGreaterThan(ticks), { interval: 5 });
    }
    expect(await owner.stop()).toBe('stopped');
    expect(written.every(({ kind, time }) => kind === 'clock' && time <= nowMs)).toBe(true);
    return written.length;
  }

  it('is told the time all the same where they do not move it: its leases end by it', async () => {
    expect(await clocksWritten(Date.UTC(2025, 11, 31), leaseRequest)).toBeGreaterThanOrEqual(5);
  });

  it('is told the time from its first lease on, where nothing has moved it yet', async () => {
    expect(await clocksWritten(0, leaseRequest)).toBeGreaterThanOrEqual(5);
  });

  it('is told nothing ahead of time: it waits until the time has come up to it', async () => {
    expect(await clocksWritten(Date.UTC(2026, 0, 1) + 240_000, leaseRequest)).toBe(0);
    const some = await clocksWritten(Date.UTC(2026, 0, 1) + 12_000, leaseRequest);
    expect([some > 0, some < 5]).toEqual([true, true]);
  });

  it('is told nothing while they move it', async () => {
    expect(await clocksWritten(Date.UTC(2025, 11, 31), notice)).toBe(0);
  });
});

it('a record waits until it is committed, also while nothing else does', async () => {
  let answer = (_reply: string): void => {};
  const redis = {
    zrange: async () => [],
    eval: () =>
      new Promise((resolve) => {
        answer = resolve;
      }),
  } as unknown as RedisClient;
  const step = vi.fn();
  const parts = partsOf();
  const owner = new Owner(takenAt(100), { ...parts, redis, observer: { ...parts.observer, step } });
  expect(owner.oldestAppendMs).toBeUndefined();
  owner.push(messages(100, 103));
  await vi.waitFor(() => expect(step).toHaveBeenCalledWith('before-commit', expect.anything()));
  expect([owner.backlog, owner.oldestAppendMs]).toEqual([0, 1]);
  answer('OK');
  await vi.waitFor(() => expect(step).toHaveBeenCalledWith('after-commit', expect.anything()));
  await vi.waitFor(() => expect(owner.oldestAppendMs).toBeUndefined());
  expect(await owner.stop()).toBe('stopped');
});

it.each([
  ['OK', ['rejected', 'rejected', 'committed'], 'stopped'],
  ['FENCED', ['rejected', 'rejected'], 'fenced'],
] as const)('a batch whose commit is answered %s tells the counters %j', async (reply, expected, end) => {
  const redis = {
    zrange: async () => [],
    eval: async () => reply,
    hmget: async () => ['of another owner', '9'],
  } as unknown as RedisClient;
  const told: string[] = [];
  const counters = {
    ...noCounters,
    verdict: (verdict: string) => told.push(verdict),
    committed: () => told.push('committed'),
  };
  const owner = new Owner(takenAt(100, counters), { ...partsOf(), redis });
  owner.push(messages(100, 102));
  await vi.waitFor(() => expect(told).toHaveLength(expected.length));
  expect(await owner.stop()).toBe(end);
  expect(told).toEqual(expected);
});

describe('what is committed and not delivered is bounded', () => {
  it.each([
    ['in batches', { batchMax: 1, undeliveredMax: 2 }, 102, 103],
    ['in records', { batchMax: 2, undeliveredRecordsMax: 3 }, 104, 106],
    // Two bytes each, and the reject that its commit keeps, which names all kinds that there are: about four hundred.
    ['in bytes', { batchMax: 1, undeliveredBytesMax: 650 }, 102, 103],
  ])('%s: the fold waits, and goes on when some are in', async (_in, limits, full, next) => {
    const heeded = vi.fn(async () => ({}));
    const redis = {
      zrange: async () => [],
      eval: async () => 'OK',
      hgetall: heeded,
    } as unknown as RedisClient;
    const arrivals: (() => void)[] = [];
    const sink = sinkOf(() => new Promise((resolve) => arrivals.push(resolve)));
    const parts = partsOf();
    const boundless = { undeliveredMax: 1_000, undeliveredRecordsMax: 1_000, undeliveredBytesMax: 1_000_000 };
    const taken = takenAt(100);
    const { head } = taken.work;
    const owner = new Owner(taken, {
      ...parts,
      ...{ redis, sink, limits: { ...parts.limits, ...boundless, ...limits, tickMs: 0 } },
    });
    // Each tick would have folded before, if it might.
    const stands = async (offset: number): Promise<void> => {
      await vi.waitFor(() => expect(head.offset).toBe(offset));
      const ticks = heeded.mock.calls.length;
      await vi.waitFor(() => expect(heeded.mock.calls.length).toBeGreaterThan(ticks + 3));
      expect(head.offset).toBe(offset);
    };
    owner.push(messages(100, 120));
    await stands(full);
    arrivals.shift()!();
    await stands(next);
    expect(await owner.stop()).toBe('stopped');
  });
});

describe('while a batch of many records waits for the turn of another partition’s', () => {
  /** An owner of 300 records whose turn does not come, and the Redis that it talks to: what it was told, and what it is asked. */
  async function waiting() {
    const stamped: string[] = [];
    const control: Record<string, string> = {};
    let reply = 'OK';
    const redis = {
      zrange: async () => [],
      mgetBuffer: async (names: string[]) => names.map(() => null),
      eval: async (
        _script: string,
        _keys: number,
        _head: string,
        _nonce: string,
        seq: number,
        words: Buffer,
      ) => {
        const isTick = words.includes('stamp');
        stamped.push(
          `${isTick ? 'tick' : 'commit'} ${seq}${words.includes('paused\xdb\0\0\0\x011', 0, 'latin1') ? ' paused' : ''}`,
        );
        return reply;
      },
      hmget: async () => ['of another owner', '9'],
      hgetall: async () => ({ ...control }),
    } as unknown as RedisClient;
    const parts = partsOf();
    const limits = {
      ...parts.limits,
      batchMax: 1_000,
      batchBytesMax: 1_000_000,
      undeliveredRecordsMax: 1_000,
      tickMs: 5,
    };
    let open = (): void => {};
    const gates = { prepare: createGate(2, 60_000), fold: createGate(1, 60_000) };
    const other = gates.fold(
      () =>
        new Promise<void>((resolve) => {
          open = resolve;
        }),
    );
    const taken = takenAt(100);
    const owner = new Owner(taken, { ...parts, redis, limits, gates, now: () => performance.now() });
    owner.push(messages(100, 400));
    return {
      owner,
      stamped,
      control,
      head: taken.work.head,
      answer: (word: string) => {
        reply = word;
      },
      goOn: () => {
        open();
        return other;
      },
    };
  }

  it('it says that it lives, by what is committed, and folds when its turn comes', async () => {
    const { owner, stamped, head, goOn } = await waiting();
    await vi.waitFor(() => expect(stamped.length).toBeGreaterThan(3));
    expect(new Set(stamped)).toEqual(new Set(['tick 4']));
    expect(head.offset).toBe(100);
    await goOn();
    await vi.waitFor(() => expect(stamped).toContain('commit 4'));
    // None under the sequence number that the commit ends.
    const after = stamped.slice(stamped.indexOf('commit 4') + 1);
    expect(after).not.toContain('tick 4');
    await vi.waitFor(() => expect(stamped).toContain('tick 5'));
    expect(head.offset).toBe(400);
    expect(await owner.stop()).toBe('stopped');
  });

  it('it is paused, says so, and folds nothing', async () => {
    const { owner, stamped, control, head, goOn } = await waiting();
    control.paused = '1';
    await vi.waitFor(() => expect(stamped).toContain('tick 4 paused'));
    await goOn();
    const ticks = stamped.length;
    await vi.waitFor(() => expect(stamped.length).toBeGreaterThan(ticks + 3));
    expect([head.offset, owner.backlog]).toEqual([100, 300]);
    expect(stamped).not.toContain('commit 4');
    control.paused = '0';
    await vi.waitFor(() => expect(head.offset).toBe(400));
    expect(await owner.stop()).toBe('stopped');
  });

  it('it is told to hold at an offset of the batch, and folds none from there on', async () => {
    const { owner, stamped, control, head, goOn } = await waiting();
    control.hold = '150';
    const ticks = stamped.length;
    await vi.waitFor(() => expect(stamped.length).toBeGreaterThan(ticks + 2));
    await goOn();
    await vi.waitFor(() => expect(stamped).toContain('tick 5 paused'));
    expect(head.offset).toBe(150);
    expect(await owner.stop()).toBe('stopped');
  });

  it.each([
    [
      'another owner has taken it over',
      'fenced',
      (scene: { answer(word: string): void }) => scene.answer('FENCED'),
    ],
    [
      'it is to begin again',
      'to be rewound',
      (scene: { control: Record<string, string> }) => {
        scene.control.rewind = 'r';
      },
    ],
  ] as const)('%s: it ends as %s, and nothing is folded', async (_what, end, tell) => {
    const scene = await waiting();
    (tell as (of: typeof scene) => void)(scene);
    const ticks = scene.stamped.length;
    await vi.waitFor(() => expect(scene.stamped.length).toBeGreaterThan(ticks));
    await new Promise((resolve) => setImmediate(resolve));
    await scene.goOn();
    expect(await scene.owner.ended).toBe(end);
    expect(scene.head.offset).toBe(100);
    expect(scene.stamped).not.toContain('commit 4');
  });
});

/** A Redis that holds one head and nothing else. */
function redisWith(head: Record<string, string>, refusal?: [string, string]): RedisClient {
  return {
    eval: async () => refusal ?? Object.entries(head).flat(),
    smembers: async () => [],
    hvals: async () => [],
    hgetall: async () => ({}),
    hgetallBuffer: async () => ({}),
    getBuffer: async () => null,
  } as unknown as RedisClient;
}

describe('a take-over', () => {
  const head = {
    nonce: 'n',
    seq: '4',
    offset: '100',
    fired: '0',
    ordinal: '0',
    watermark: '0',
    anchor: '',
    schema: String(stateSchemaVersion),
  };
  const take = (low: number, high: number, redis = redisWith(head)) =>
    takeOver(redis, id, keys, { low, high, appendMsAt: async () => undefined }, noCounters, 'test');

  /** A log from 50 to 500, whose record at any offset was appended then. */
  function lookingAt(appendMs: number | undefined) {
    const asked: number[] = [];
    const appendMsAt = async (offset: number) => {
      asked.push(offset);
      return appendMs;
    };
    return {
      asked,
      take(last: string | undefined) {
        const redis = redisWith(last === undefined ? head : { ...head, last });
        return takeOver(redis, id, keys, { low: 50, high: 500, appendMsAt }, noCounters, 'test');
      },
    };
  }

  it('reads on at the stored offset if the log still begins there or before', async () => {
    expect((await take(100, 100)).readFrom).toBe(100);
    expect((await take(0, 500)).readFrom).toBe(100);
  });

  it('is refused if the log begins behind the stored offset: what was cut can never be applied', async () => {
    await expect(take(101, 500)).rejects.toMatchObject({
      code: 'LOG_LOST',
      message: expect.stringMatching(
        /events 3: the state needs the log from offset 100, it begins at 101; restore/,
      ),
    });
  });

  it('is refused if the log ends before the stored offset: it is another log', async () => {
    await expect(take(0, 99)).rejects.toMatchObject({ code: 'OFFSET_AHEAD' });
  });

  it('is refused if the last record that was folded is another one: the log was cut and has grown again', async () => {
    const { take, asked } = lookingAt(1_700_000_000_001);
    await expect(take('97:1700000000000')).rejects.toMatchObject({
      code: 'LOG_CHANGED',
      message: expect.stringMatching(
        /events 3: at offset 97 the log has a record of 2023-11-14T22:13:20.001Z, the state was made of one of 2023-11-14T22:13:20.000Z: .*put back/,
      ),
    });
    expect(asked).toEqual([97]);
  });

  it.each([
    ['it is the same', '97:1700000000000', 1_700_000_000_000],
    ['it stands there no more, or cannot be read', '97:1700000000000', undefined],
    ['the broker tells no times now', '97:1700000000000', 0],
    ['the broker told no times then', '97:0', 1_700_000_000_000],
    ['it was deleted: the log begins behind it', '49:1700000000000', 1_700_000_000_001],
    ['an older version wrote the state', undefined, 1_700_000_000_001],
    ['nothing was folded yet', '', 1_700_000_000_001],
  ])('goes on if %s', async (_why, last, found) => {
    expect((await lookingAt(found).take(last)).readFrom).toBe(100);
  });

  it('is refused if the topic was made anew since', async () => {
    await expect(take(0, 500, redisWith(head, ['GENERATION', '7']))).rejects.toMatchObject({
      code: 'GENERATION',
      message: 'events 3: the state is of generation 7, the topic of 1',
    });
  });
});

describe('what is not delivered', () => {
  const taken = takenAt(100);
  const batchOf = (from: number): Batch => ({ ...newBatch(from), to: from + 1 });

  it('waits since the oldest of it was committed, whichever comes in first', async () => {
    let nowMs = 1_000;
    const arrivals: (() => void)[] = [];
    const sink = sinkOf(() => new Promise((resolve) => arrivals.push(resolve)));
    const delivery = new Delivery(
      taken.work,
      sink,
      [],
      () => nowMs,
      () => {},
    );
    const arrive = async (index: number): Promise<void> => {
      arrivals[index]!();
      await new Promise(setImmediate);
    };
    expect(delivery.oldestMs).toBeUndefined();
    for (nowMs of [2_000, 3_000, 4_000]) delivery.deliver(nowMs, batchOf(nowMs));
    expect(delivery.oldestMs).toBe(2_000);
    await arrive(1);
    expect(delivery.oldestMs).toBe(2_000);
    await arrive(0);
    expect([delivery.oldestMs, delivery.inSink, delivery.recordsInSink]).toEqual([4_000, 1, 2]);
    await arrive(2);
    expect(delivery.oldestMs).toBeUndefined();
  });

  it('is as many bytes as its records have in the log, also of a batch that is built again', async () => {
    const sink = sinkOf(() => new Promise(() => {}));
    const left = [{ seq: 3, batch: batchOf(98) }];
    const delivery = new Delivery(
      taken.work,
      sink,
      left,
      () => 0,
      () => {},
    );
    for (const offset of [98, 99]) delivery.rebuild(message(offset));
    expect(delivery.bytesInSink).toBe(4);
    delivery.deliver(4, { ...batchOf(100), bytes: 900_000 });
    expect(delivery.bytesInSink).toBe(900_004);
  });

  it('is as many records as its timers came to, where it has fewer, and goes on from what an outbox has in bytes', async () => {
    const sink = sinkOf(() => new Promise(() => {}));
    const ofTimers = newBatch(100);
    for (let fired = 0; fired < 3; fired += 1) {
      addRow(ofTimers, 'transitions', [fired]);
      ofTimers.records.push({ to: 'triggers', partition: 0, key: 'u:1', value: '{}', source: `s:${fired}` });
    }
    const entry = pack(toEntry(ofTimers));
    const redis = Object.assign(redisWith({ offset: '100', seq: '4', nonce: 'n' }), {
      hgetallBuffer: async () => ({ '4': entry }),
    });
    const log = { low: 0, high: 200, appendMsAt: async () => undefined };
    const { undelivered, work } = await takeOver(redis, id, keys, log, noCounters, 'test');
    const delivery = new Delivery(
      work,
      sink,
      undelivered,
      () => 0,
      () => {},
    );
    expect([delivery.inSink, delivery.recordsInSink, delivery.bytesInSink]).toEqual([1, 6, entry.length]);
    // An ordinary one is as many as it has, though each of its records is a row.
    const ordinary = newBatch(100);
    for (let record = 0; record < 4; record += 1) addVerdict(ordinary, 'applied', '');
    addRow(ordinary, 'transitions', [1]);
    delivery.deliver(5, ordinary);
    expect(delivery.recordsInSink).toBe(10);
  });

  it('is let go by the sink when its owner ends: its successor has it', async () => {
    const forgotten: Batch[] = [];
    const sink: Sink = {
      ...sinkOf(() => new Promise(() => {})),
      forget: (batches) => void forgotten.push(...batches),
    };
    const redis = { zrange: async () => [], eval: async () => 'OK' } as unknown as RedisClient;
    const owner = new Owner(takenAt(100), { ...partsOf(), redis, sink });
    owner.push(messages(100, 102));
    await vi.waitFor(() => expect(owner.undelivered).toBe(1));
    expect(await owner.stop()).toBe('stopped');
    expect(forgotten.map(({ from, to }) => [from, to])).toEqual([[100, 101]]);
  });

  it('waits since the take-over where the owner before left it, also while its rows are built again', () => {
    const sink = sinkOf(() => new Promise(() => {}));
    let nowMs = 1_000;
    const left = [{ seq: 3, batch: batchOf(98) }];
    const delivery = new Delivery(
      taken.work,
      sink,
      left,
      () => nowMs,
      () => {},
    );
    nowMs = 5_000;
    expect(delivery.oldestMs).toBe(1_000);
    for (const offset of [98, 99]) delivery.rebuild(message(offset));
    expect([delivery.oldestMs, delivery.inSink]).toEqual([1_000, 1]);
  });

  it('is told in the head of the partition', async () => {
    const told: string[] = [];
    const redis = {
      eval: async (...words: unknown[]) => {
        told.push(String(words.at(-1)));
        return 'OK';
      },
      hgetall: async () => ({}),
    } as unknown as RedisClient;
    const left = [{ seq: 3, batch: batchOf(98) }];
    const owner = new Owner(
      { ...takenAt(100), undelivered: left },
      { ...partsOf(), redis, now: () => 4_711, limits: { ...partsOf().limits, tickMs: 1 } },
    );
    await vi.waitFor(() => expect(told.join()).toMatch(/owedSince\W+4711\b/));
    expect(await owner.stop()).toBe('stopped');
  });
});
