// A wrong value planted in each store, one at a time: the oracle names it, and is clean again when it is mended.
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { AccountState } from '../../domain/account.ts';
import type { Buyer } from '../../domain/buyer.ts';
import { decodeBuyer, encodeBuyer } from '../../platform/buyer-codec.ts';
import { decodeAccount, encodeAccount, pack, unpack } from '../../platform/codec.ts';
import { accountPartition, buyerPartition, partitionKeys } from '../../platform/keys.ts';
import { differentKinds, openFedStage, verifyStage } from '../verify/support/fed-stage.ts';
import { endChildren, startChild } from './support/child.ts';
import type { Stage } from './support/stage.ts';

let stage: Stage;
/** Puts back what a test changed. */
let mend: () => Promise<void> = async () => {};

beforeAll(async () => {
  stage = await openFedStage('planted');
}, 120_000);
afterEach(async () => {
  await mend();
  mend = async () => {};
});
afterAll(async () => {
  await endChildren();
  await stage?.close();
});

async function findings(): Promise<string[]> {
  return differentKinds(await verifyStage(stage));
}

/** Keeps a key of Redis as it is, to be put back. */
async function keep(key: string): Promise<void> {
  const dump = await stage.redis.dumpBuffer(key);
  if (dump === null) throw new Error(`there is no ${key} to spoil`);
  mend = async () => {
    await stage.redis.restore(key, 0, dump, 'REPLACE');
  };
}

/** Changes one field of a buyer's state. */
async function spoilBuyer(change: (state: Buyer) => void, buyer = plainBuyer): Promise<void> {
  const key = keysOf('events', buyerPartition(buyer)).buyer(buyer);
  await keep(key);
  const state = decodeBuyer(buyer, (await stage.redis.getBuffer(key))!);
  change(state);
  await stage.redis.set(key, encodeBuyer(state));
}

/** Changes one field of the quick account's state. */
async function spoilAccount(change: (state: AccountState) => void): Promise<void> {
  const key = accountKeys().account('quick');
  await keep(key);
  const state = decodeAccount((await stage.redis.getBuffer(key))!);
  change(state);
  await stage.redis.set(key, encodeAccount(state));
}

/** To whom nothing came by a link, a user with parts, and one of the visitors. */
const plainBuyer = 'u:buyer-1';
const linkedUser = 'u:person-0';
const linkedVisitor = 'a:device-1';
const keysOf = (topic: 'events' | 'spend', partition: number) =>
  partitionKeys(stage.namespace, { topic, generation: 1, partition });
const buyerKeys = () => keysOf('events', buyerPartition(plainBuyer));
const accountKeys = () => keysOf('spend', accountPartition('quick'));

describe('a wrong value in Redis is found:', () => {
  it('the last time of a buyer', async () => {
    await spoilBuyer((state) => {
      state.lastMs += 1;
    });
    expect(await findings()).toEqual(['buyers']);
  });

  it('a buyer who is gone', async () => {
    await keep(buyerKeys().buyer(plainBuyer));
    await stage.redis.del(buyerKeys().buyer(plainBuyer));
    expect(await findings()).toEqual(['buyers', 'timers']);
  });

  it('a buyer whom nobody sent', async () => {
    const key = buyerKeys().buyer(plainBuyer);
    const stranger = buyerKeys().buyer('u:stranger');
    await stage.redis.copy(key, stranger);
    mend = async () => {
      await stage.redis.del(stranger);
    };
    expect(await findings()).toEqual(['buyers']);
  });

  it('a level of a funnel', async () => {
    await spoilBuyer(({ funnels }) => {
      funnels[0]!.counted -= 1;
    });
    expect(await findings()).toEqual(['levels']);
  });

  it('a decayed sum, by a millionth', async () => {
    await spoilBuyer(({ engagement }) => {
      engagement[0]!.sums[0]!.sum *= 1.000001;
    });
    expect(await findings()).toEqual(['engagement sums']);
  });

  it('a total of a behaviour', async () => {
    await spoilBuyer(({ totals }) => {
      totals[0]!.count += 1;
    });
    expect(await findings()).toEqual(['buyers']);
  });

  it('the id of a message, which a repeat would be known by', async () => {
    await spoilBuyer(({ ids }) => {
      ids[0]! += 1;
    });
    expect(await findings()).toEqual(['buyers']);
  });

  it('a stage', async () => {
    await spoilBuyer((state) => {
      state.stage = state.stage === 'new' ? 'mature' : 'new';
    });
    expect(await findings()).toEqual(['stages']);
  });

  it('a timer that is gone', async () => {
    await keep(buyerKeys().timers);
    expect(await stage.redis.zrem(buyerKeys().timers, plainBuyer)).toBe(1);
    expect(await findings()).toEqual(['timers']);
  });

  it('a timer that is too late', async () => {
    await keep(buyerKeys().timers);
    await stage.redis.zincrby(buyerKeys().timers, 1, plainBuyer);
    expect(await findings()).toEqual(['timers']);
  });

  it('a count in a window', async () => {
    const key = await hourWindow();
    await keep(key);
    const [cell, counts] = Object.entries(await stage.redis.hgetall(key))[0]!;
    await stage.redis.hset(key, cell, `9${counts}`);
    expect(await findings()).toEqual(['windows hours']);
  });

  it('a window that should be closed', async () => {
    const { windows, window } = buyerKeys();
    await keep(windows);
    const restore = mend;
    mend = async () => {
      await restore();
      await stage.redis.del(window('funnel:reach:1:m1'));
    };
    await stage.redis.sadd(windows, 'funnel:reach:1:m1');
    await stage.redis.hset(window('funnel:reach:1:m1'), 'DE|unknown|direct', '1,0,0,0');
    expect(await findings()).toEqual(['windows minutes']);
  });

  it('a trigger that waits no more', async () => {
    const keys = await triggersKeys();
    await keep(keys.triggers);
    const [id] = await stage.redis.hkeys(keys.triggers);
    await stage.redis.hdel(keys.triggers, id!);
    expect(await findings()).toEqual(['triggers pending']);
  });

  it('the offset of a head', async () => {
    await keep(buyerKeys().head);
    await stage.redis.hincrby(buyerKeys().head, 'offset', -1);
    expect(await findings()).toContain('heads');
  });

  it('the watermark of a head', async () => {
    await keep(buyerKeys().head);
    await stage.redis.hincrby(buyerKeys().head, 'watermark', 1);
    expect(await findings()).toEqual(['watermarks']);
  });

  it('something undelivered', async () => {
    const { outbox } = buyerKeys();
    mend = async () => {
      await stage.redis.del(outbox);
    };
    await stage.redis.hset(outbox, '7', pack([]));
    expect(await findings()).toEqual(['outboxes']);
  });

  it('a definition in force', async () => {
    await keep(accountKeys().definitions);
    const definitions = unpack((await stage.redis.getBuffer(accountKeys().definitions))!) as {
      revision: number;
    }[];
    definitions[0]!.revision += 1;
    await stage.redis.set(accountKeys().definitions, pack(definitions));
    expect(await findings()).toEqual(['definitions in force']);
  });

  it('a micro in an account', async () => {
    await spoilAccount((state) => {
      state.settledMicros += 1;
    });
    expect(await findings()).toEqual(['accounts']);
  });

  it('a lease that is held', async () => {
    await spoilAccount(({ leases }) => {
      leases[0]!.freedMicros += 1;
    });
    expect(await findings()).toEqual(['accounts', 'leases held']);
  });

  it('a notice that a lease remembers', async () => {
    await spoilAccount(({ leases }) => {
      leases[0]!.seen.unshift(1);
    });
    expect(await findings()).toEqual(['leases held']);
  });

  it('the multiplier that every bid is priced by', async () => {
    await spoilAccount(({ pacing }) => {
      pacing.multiplierMillionths += 1;
    });
    expect(await findings()).toEqual(['pacing']);
  });

  it('the plan of a day', async () => {
    await spoilAccount(({ pacing }) => {
      pacing.hourShares = pacing.hourShares.map(() => 0);
    });
    expect(await findings()).toEqual(['pacing']);
  });

  it('the memory of notices, without which a repeat settles again', async () => {
    await spoilAccount(({ memory }) => {
      expect(memory.current.length + memory.previous.length).toBeGreaterThan(0);
      memory.current = [];
      memory.previous = [];
    });
    expect(await findings()).toEqual(['notice memory']);
  });
});

/** The key of an hour that some partition holds. */
async function hourWindow(): Promise<string> {
  for (let partition = 0; partition < 12; partition += 1) {
    const { windows, window } = keysOf('events', partition);
    const name = (await stage.redis.smembers(windows)).find((each) => /:h\d+$/.test(each));
    if (name !== undefined) return window(name);
  }
  throw new Error('no hour is held');
}

/** The keys of a partition in which a trigger waits. */
async function triggersKeys() {
  for (let partition = 0; partition < 12; partition += 1) {
    const keys = keysOf('events', partition);
    if ((await stage.redis.hlen(keys.triggers)) > 0) return keys;
  }
  throw new Error('no trigger waits');
}

/** A change that a replacing row makes: everything that the table is ordered by stays. */
const changes: Record<string, { readonly set: string; readonly kind: string; readonly where?: string }> = {
  events: { set: `verdict = 'late'`, kind: 'events rows', where: `verdict = 'applied'` },
  links: { set: `user_id = 'somebody else'`, kind: 'links rows' },
  rejects: { set: `reason = 'because'`, kind: 'rejects rows' },
  transitions: { set: `to_stage = 'retained'`, kind: 'transitions rows', where: `to_stage != 'retained'` },
  opportunities: { set: `quality = quality + 0.001`, kind: 'opportunities rows' },
  exposures: { set: `variant = 'another'`, kind: 'exposures rows' },
  triggers: { set: `status = 'lost'`, kind: 'triggers rows' },
  spend: { set: `cost_micros = cost_micros + 1`, kind: 'spend rows' },
  leases: { set: `amount_micros = amount_micros + 1`, kind: 'leases rows' },
  identities: { set: `user = 'u:nobody'`, kind: 'identities rows' },
  adjustments: { set: `amount = amount + 1`, kind: 'adjustments rows' },
  definitions: { set: `why = 'no reason'`, kind: 'definitions rows' },
  funnel_hours: { set: `steps = arrayMap(x -> x + 1, steps)`, kind: 'funnel_hours rows' },
  north_star_days: { set: `visitors = visitors + 1`, kind: 'north_star_days rows' },
  campaign_hours: { set: `clicks = clicks + 1`, kind: 'campaign_hours rows' },
};

/** Those with a row's own offset in the log. */
const tablesOfRecords = Object.keys(changes).filter(
  (table) => !['rejects', 'funnel_hours', 'north_star_days', 'campaign_hours'].includes(table),
);

/** Takes one row (with all its repeats) out of a table; it can be mended. */
async function takeRow(table: string, where = '1'): Promise<void> {
  const [{ place } = { place: '' }] = await stage.rows<{ place: string }>(
    `SELECT sorting_key AS place FROM system.tables WHERE database = currentDatabase() AND name = '${table}'`,
  );
  const command = (query: string) => stage.clickhouse.command({ query });
  await command(`DROP TABLE IF EXISTS kept SYNC`);
  await command(`CREATE TABLE kept AS ${table}`);
  await command(`INSERT INTO kept SELECT * FROM ${table} FINAL WHERE ${where} ORDER BY ${place} LIMIT 1`);
  await command(`DELETE FROM ${table} WHERE (${place}) IN (SELECT ${place} FROM kept)`);
  mend = async () => {
    await command(`DELETE FROM ${table} WHERE (${place}) IN (SELECT ${place} FROM kept)`);
    await command(`INSERT INTO ${table} SELECT * FROM kept`);
    await command(`DROP TABLE kept SYNC`);
  };
}

describe('a wrong value of links in Redis is found:', () => {
  it('a part', async () => {
    await spoilBuyer(({ parts }) => {
      parts[1]!.lastMs += 1;
    }, linkedUser);
    expect(await findings()).toEqual(['parts']);
  });

  it('whose a behaviour is', async () => {
    await spoilBuyer(({ behaviours }) => {
      behaviours.find(({ part }) => part !== 0)!.part = 0;
    }, linkedUser);
    expect(await findings()).toEqual(['buyers']);
  });

  it('what a level needs', async () => {
    await spoilBuyer(({ funnels }) => {
      const linked = funnels.find(({ reached }) => reached.length > 0)!;
      linked.reached = linked.reached.slice(0, -1);
    }, linkedUser);
    expect(await findings()).toEqual(['linked levels']);
  });

  it('a link', async () => {
    await spoilBuyer(({ links }) => {
      links!.current!.sinceMs += 1;
    }, linkedVisitor);
    expect(await findings()).toEqual(['links']);
  });

  it('a position that was received', async () => {
    const { head } = keysOf('events', buyerPartition(linkedUser));
    await keep(head);
    const received = await stage.redis.hget(head, 'received');
    const spoilt = received!.replace(/\d+$/, (ordinal) => String(Number(ordinal) + 1));
    await stage.redis.hset(head, 'received', spoilt);
    expect(await findings()).toEqual(['received positions']);
  });
});

describe('a wrong row in ClickHouse is found:', () => {
  it.each(Object.keys(changes))('one missing in %s', async (table) => {
    await takeRow(table, changes[table]!.where);
    expect(await findings()).toContain(changes[table]!.kind);
  });

  it.each(Object.keys(changes))('one changed in %s', async (table) => {
    const { set, kind, where } = changes[table]!;
    await takeRow(table, where);
    const [column, expression] = set.split(/ = (.*)/s);
    const query = `INSERT INTO ${table} SELECT * REPLACE (${expression} AS ${column}) FROM kept`;
    await stage.clickhouse.command({ query });
    expect(await findings()).toContain(kind);
  });

  it('one that stands twice, under another key', async () => {
    await takeRow('events');
    await stage.clickhouse.command({ query: `INSERT INTO events SELECT * FROM kept` });
    await stage.clickhouse.command({
      query: `INSERT INTO events SELECT * REPLACE ('u:other' AS key) FROM kept`,
    });
    const restore = mend;
    mend = async () => {
      await stage.clickhouse.command({ query: `DELETE FROM events WHERE key = 'u:other'` });
      await restore();
    };
    expect(await findings()).toContain('events rows');
  });

  it.each(['funnel_hours', 'north_star_days', 'campaign_hours'])(
    'one of a position that was never reached in %s',
    async (table) => {
      await takeRow(table);
      const query = `INSERT INTO ${table} SELECT * REPLACE (version + 4194304 * 1000000 AS version) FROM kept`;
      await stage.clickhouse.command({ query });
      expect(await findings()).toEqual([`${table} rows`]);
    },
  );

  it.each(tablesOfRecords)('one of an offset that the log does not have in %s', async (table) => {
    const { kind } = changes[table]!;
    const beyond = 1_000_000;
    await takeRow(table);
    const restore = mend;
    mend = async () => {
      await stage.clickhouse.command({ query: `DELETE FROM ${table} WHERE offset >= ${beyond}` });
      await restore();
    };
    await stage.clickhouse.command({ query: `INSERT INTO ${table} SELECT * FROM kept` });
    const query = `INSERT INTO ${table} SELECT * REPLACE (offset + ${beyond} AS offset) FROM kept`;
    await stage.clickhouse.command({ query });
    expect(await findings()).toEqual([kind]);
  });
});

describe('flywheel verify', () => {
  const run = async (args: string[] = [], environment: Record<string, string> = {}) => {
    const child = startChild('verify', { ...stage.environment, ...environment }, args);
    const { code } = await child.ended;
    return { code, output: child.output(), errors: child.errors() };
  };

  it('exits 0 when nothing differs, and says how much it compared', async () => {
    const { code, output } = await run();
    expect(output).toContain('no difference');
    expect(output).toMatch(/\d+ {2}levels/);
    expect(code).toBe(0);
  });

  it('exits 1 at a difference and names it; --json has it too', async () => {
    await spoilBuyer((state) => {
      state.lastMs += 1;
    });
    const { code, output } = await run();
    expect(output).toContain(`buyers: buyer ${plainBuyer}`);
    expect(code).toBe(1);
    const machine = await run(['--json']);
    expect(JSON.parse(machine.output)).toMatchObject({
      differenceCount: 1,
      differences: [{ kind: 'buyers' }],
    });
    expect(machine.code).toBe(1);
  });

  it('exits 2 when it cannot be done', async () => {
    const { code, errors } = await run(['--namespace', 'never-made', '--wait', '1']);
    expect(errors).toContain('never-made');
    expect(code).toBe(2);
  });
});
