// Definitions in the log: who is first wins everywhere, and a publisher that dies halfway leaves nothing that a migration does not mend.
import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import type { DefinitionType } from '../../domain/definition.ts';
import type { DefinitionRecord } from '../../domain/record.ts';
import { canonicalHash } from '../../platform/canonical.ts';
import { openClickHouse } from '../../platform/clickhouse.ts';
import {
  type DefinitionChange,
  type DefinitionLog,
  openDefinitionLog,
} from '../../platform/definition-log.ts';
import { createPublisher, type Publication, type Publisher } from '../../platform/definition-publish.ts';
import { createProducer, type Producer } from '../../platform/kafka.ts';
import { openTopicAdmin } from '../../platform/kafka-topics.ts';
import { migrate } from '../../platform/migrate.ts';
import { type Namespace, namespaceOf, topicPartitions } from '../../platform/namespace.ts';
import { configOf, recordsOf } from './platform-support.ts';

const open: { close(): Promise<void> }[] = [];
let producer: Producer;
const folders: string[] = [];

beforeAll(async () => {
  producer = await createProducer({
    brokers: inject('kafkaBrokers'),
    clientId: 'definitions',
    deliveryTimeoutMs: 10_000,
  });
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.close()));
});
afterAll(async () => {
  await producer.close();
  for (const folder of folders) await rm(folder, { recursive: true });
});

/** A namespace with its topics alone. */
async function newNamespace(name: string): Promise<Namespace> {
  const namespace = namespaceOf(name);
  const admin = openTopicAdmin(inject('kafkaBrokers'));
  await admin.createMissing(namespace);
  await admin.close();
  return namespace;
}

async function newPublisher(namespace: Namespace): Promise<{ log: DefinitionLog; publisher: Publisher }> {
  const log = await openDefinitionLog({ brokers: inject('kafkaBrokers'), namespace });
  open.push(log);
  await log.caughtUp();
  return { log, publisher: createPublisher({ log, producer, namespace, nowMs: Date.now }) };
}

function publication(type: DefinitionType, id: string, document: unknown): Publication {
  return { type, id, document, by: 'test', why: 'to see' };
}

const account = (dailyBudgetMicros: number) => ({ name: 'a', currency: 'EUR', dailyBudgetMicros });

/** What each partition of `events` and `spend` holds, as `<type>/<id>@<revision>`. */
async function placed(namespace: Namespace): Promise<string[][]> {
  const partitions = (['events', 'spend'] as const).flatMap((topic) =>
    Array.from({ length: topicPartitions[topic] }, (_, partition) =>
      recordsOf(namespace.topics[topic], partition),
    ),
  );
  return (await Promise.all(partitions)).map((records) =>
    records.map((record) => {
      const { kind, type, id, revision } = JSON.parse(record.value!.toString()) as DefinitionRecord;
      expect(kind).toBe('definition');
      expect(record.key).toBeNull();
      return `${type}/${id}@${revision}`;
    }),
  );
}

describe('publishing', () => {
  test('answers when every partition has it, and everybody who follows sees it', async () => {
    const namespace = await newNamespace('contract-publish');
    const { log, publisher } = await newPublisher(namespace);
    const { log: other } = await newPublisher(namespace);
    const seen: DefinitionChange[] = [];
    other.onChange((change) => seen.push(change));

    const first = await publisher.publish(publication('account', 'a', account(1)));
    expect(first).toMatchObject({ outcome: 'published', revision: 1 });
    expect(await placed(namespace)).toEqual(Array.from({ length: 16 }, () => ['account/a@1']));
    expect(await publisher.publish(publication('account', 'a', account(1)))).toEqual({
      ...first,
      outcome: 'unchanged',
    });
    const second = await publisher.publish(publication('account', 'a', account(2)));
    expect(second).toMatchObject({ outcome: 'published', revision: 2 });

    const inForce = log.find<{ dailyBudgetMicros: number; leaseTtlMs: number }>('account', 'a')!;
    expect(inForce).toMatchObject({ id: 'a', revision: 2, hash: canonicalHash(inForce.document) });
    expect(inForce.document).toMatchObject({ dailyBudgetMicros: 2, leaseTtlMs: 60_000 });
    const records = await recordsOf(namespace.topics.events, 3);
    expect((JSON.parse(records[1]!.value!.toString()) as DefinitionRecord).previousHash).toBe(
      'hash' in first ? first.hash : '',
    );
    await expect.poll(() => seen.map(({ inForce: now }) => now?.revision)).toEqual([1, 2]);
    expect(other.list('account')).toEqual(log.list('account'));
  });

  test('every reason why not, and nothing is written', async () => {
    const namespace = await newNamespace('contract-invalid');
    const { publisher } = await newPublisher(namespace);
    const campaign = { name: 'c', accountId: 'none', channel: 'search' };
    expect(await publisher.publish(publication('campaign', 'c', campaign))).toEqual({
      outcome: 'invalid',
      reasons: ['campaign c: there is no account none', 'campaign c: there is no score opportunity'],
    });
    expect(await publisher.publish(publication('funnel', 'f', { steps: 1, extra: 2 }))).toMatchObject({
      outcome: 'invalid',
      reasons: [
        expect.stringContaining('name'),
        expect.stringContaining('steps'),
        expect.stringContaining('windowMs'),
        'extra: there is no such field',
      ],
    });
    expect(await publisher.publish(publication('account', 'a', null))).toMatchObject({ outcome: 'absent' });
    expect(await recordsOf(namespace.topics.definitions, 0)).toEqual([]);
  });

  test('what others need can not be withdrawn; what nobody needs can, and come back', async () => {
    const namespace = await newNamespace('contract-withdraw');
    const { log, publisher } = await newPublisher(namespace);
    const score = { name: 's', horizonMs: 1, halfLifeMs: 60_000, intercept: 0, engagement: {} };
    await publisher.publish(publication('score', 'opportunity', score));
    await publisher.publish(publication('account', 'a', account(1)));
    await publisher.publish(publication('campaign', 'c', { name: 'c', accountId: 'a', channel: 'search' }));
    expect(await publisher.publish(publication('account', 'a', null))).toEqual({
      outcome: 'referred',
      reasons: ['campaign c: there is no account a'],
      by: [{ type: 'campaign', id: 'c', field: 'accountId' }],
    });
    const rules = ['seen', 'asked'].map((behaviour) => ({ kind: 'track', event: behaviour, behaviour }));
    await publisher.publish(publication('behaviours', 'extra', { rules }));
    const funnel = { name: 'f', steps: ['seen', 'asked'], windowMs: 1_000 };
    expect(await publisher.publish(publication('funnel', 'f', funnel))).toMatchObject({
      outcome: 'published',
    });
    expect(await publisher.publish(publication('behaviours', 'extra', null))).toMatchObject({
      outcome: 'referred',
      reasons: [expect.stringContaining('seen'), expect.stringContaining('asked')],
      by: [{ type: 'funnel', id: 'f', field: 'steps' }],
    });
    expect(await publisher.publish(publication('campaign', 'c', null))).toEqual({
      outcome: 'needed',
      reasons: ['campaign c: it is active; set its status to paused first'],
    });
    const paused = { name: 'c', accountId: 'a', channel: 'search', status: 'paused' };
    await publisher.publish(publication('campaign', 'c', paused));
    expect(await publisher.publish(publication('campaign', 'c', null))).toMatchObject({
      outcome: 'published',
      revision: 3,
    });
    expect(log.find('campaign', 'c')).toBeUndefined();
    expect(log.list('campaign')).toEqual([]);
    expect(log.listSaid('campaign')).toMatchObject([
      { id: 'c', revision: 3, isWithdrawn: true, document: paused },
    ]);
    expect(log.listSaid('account')).toEqual(log.list('account'));
    expect(
      await publisher.publish(publication('campaign', 'c', { name: 'c', accountId: 'a', channel: 'mail' })),
    ).toMatchObject({ outcome: 'published', revision: 4 });
    expect(
      await publisher.publish(publication('account', 'a', { ...account(1), currency: 'USD' })),
    ).toMatchObject({ outcome: 'invalid', reasons: [expect.stringContaining('currency')] });
  });

  test('of concurrent changes to one definition exactly one wins, for everybody the same', async () => {
    const namespace = await newNamespace('contract-race');
    const publishers = await Promise.all(Array.from({ length: 4 }, () => newPublisher(namespace)));
    for (let round = 1; round <= 5; round++) {
      await expect
        .poll(() => publishers.map(({ log }) => log.revisionOf('account', 'a')?.record.revision ?? 0))
        .toEqual([round - 1, round - 1, round - 1, round - 1]);
      const outcomes = await Promise.all(
        publishers.map(({ publisher }, index) =>
          publisher.publish(publication('account', 'a', account(round * 100 + index))),
        ),
      );
      const kinds = outcomes.map(({ outcome }) => outcome).sort();
      expect(kinds).toEqual(['conflict', 'conflict', 'conflict', 'published']);
      const winner = outcomes.findIndex(({ outcome }) => outcome === 'published');
      for (const { log } of publishers) {
        await expect
          .poll(() => log.find('account', 'a'))
          .toMatchObject({
            revision: round,
            document: { dailyBudgetMicros: round * 100 + winner },
          });
      }
    }
    expect(await placed(namespace)).toEqual(
      Array.from({ length: 16 }, () => [1, 2, 3, 4, 5].map((revision) => `account/a@${revision}`)),
    );
  });

  test('two who say the same at the same time are both told that it holds', async () => {
    const namespace = await newNamespace('contract-same');
    const publishers = await Promise.all([newPublisher(namespace), newPublisher(namespace)]);
    const outcomes = await Promise.all(
      publishers.map(({ publisher }) => publisher.publish(publication('account', 'a', account(1)))),
    );
    expect(outcomes.map(({ outcome }) => outcome).sort()).toEqual(['published', 'unchanged']);
  });

  test('whoever would replace whatever there is does so, also where another was first', async () => {
    const namespace = await newNamespace('contract-whatever');
    const publishers = await Promise.all(Array.from({ length: 3 }, () => newPublisher(namespace)));
    await publishers[0]!.publisher.publish(publication('account', 'a', account(1)));
    const revisions = () =>
      publishers.map(({ log }) => log.revisionOf('account', 'a')?.record.revision).join();
    await expect.poll(revisions).toBe('1,1,1');
    const race = async (documents: readonly object[], precondition: Publication['precondition']) => {
      const racing = publishers.map(({ publisher }, index) =>
        publisher.publish({ ...publication('account', 'a', documents[index]), precondition }),
      );
      return (await Promise.all(racing)).map(({ outcome }) => outcome).sort();
    };
    const whatever: Publication['precondition'] = (current) => current !== undefined;
    const same = [2, 2, 2].map(account);
    expect(await race(same, whatever)).toEqual(['published', 'unchanged', 'unchanged']);
    await expect.poll(revisions).toBe('2,2,2');
    expect(await race([3, 4, 5].map(account), whatever)).toEqual(['published', 'published', 'published']);
    await expect.poll(revisions).toBe('5,5,5');
    const seen: Publication['precondition'] = (current) => current?.revision === 5;
    expect(await race([6, 6, 6].map(account), seen)).toEqual(['conflict', 'conflict', 'published']);
  });

  test('what every partition has had once is known; what a publisher has appended and died is not, until it is completed', async () => {
    const namespace = await newNamespace('contract-known');
    const { log, publisher } = await newPublisher(namespace);
    const dying = createPublisher({
      ...{ log, producer, namespace, nowMs: Date.now },
      failpoint: (name) => {
        if (name === 'definition-appended') throw new Error('it dies');
      },
    });
    const revisions = () => [log.find('account', 'a'), log.findKnown('account', 'a')].map((a) => a?.revision);
    await expect(dying.publish(publication('account', 'a', account(1)))).rejects.toThrow('it dies');
    await expect.poll(revisions).toEqual([1, undefined]);
    // Every partition gets the withdrawal, and none what was withdrawn.
    await expect(dying.publish(publication('account', 'a', null))).rejects.toThrow('it dies');
    await expect.poll(() => log.revisionOf('account', 'a')?.record.revision).toBe(2);
    await publisher.placeMissing();
    await expect(dying.publish(publication('account', 'a', account(1)))).rejects.toThrow('it dies');
    await expect.poll(revisions).toEqual([3, undefined]);
    await publisher.placeMissing();
    expect(revisions()).toEqual([3, 3]);
    await expect(dying.publish(publication('account', 'a', account(2)))).rejects.toThrow('it dies');
    await expect.poll(revisions).toEqual([4, 4]);
    const { log: later } = await newPublisher(namespace);
    expect(later.findKnown('account', 'a')).toMatchObject({
      revision: 4,
      document: { dailyBudgetMicros: 2 },
    });
  });

  test('garbage in the topic changes nothing and stops nobody', async () => {
    const namespace = await newNamespace('contract-garbage');
    const forged = {
      kind: 'definition',
      type: 'account',
      id: 'a',
      revision: 7,
      hash: 'f'.repeat(64),
      previousHash: 'e'.repeat(64),
      document: account(9),
      by: 'nobody',
      why: '',
      at: Date.now(),
    };
    for (const value of [
      'no JSON',
      '',
      '[]',
      JSON.stringify(forged),
      JSON.stringify({ kind: 'definitionPlaced' }),
    ]) {
      await producer.send(namespace.topics.definitions, 0, null, value);
    }
    const { log, publisher } = await newPublisher(namespace);
    expect(log.list('account')).toEqual([]);
    expect(await publisher.publish(publication('account', 'a', account(1)))).toMatchObject({
      outcome: 'published',
      revision: 1,
    });
  });
});

describe('migrating', () => {
  const script = fileURLToPath(new URL('./migrate-process.ts', import.meta.url));

  async function folderWith(files: Record<string, unknown>): Promise<string> {
    const folder = await mkdtemp(path.join(tmpdir(), 'flywheel-migrate-'));
    folders.push(folder);
    for (const [name, document] of Object.entries(files)) {
      await mkdir(path.dirname(path.join(folder, name)), { recursive: true });
      await writeFile(path.join(folder, name), JSON.stringify(document));
    }
    return folder;
  }

  /** Runs a migration that kills itself; asserts that it did. */
  function migrateAndDie(namespace: string, folder: string, failpoint: string): void {
    const { signal, stderr } = spawnSync(process.execPath, ['--import', 'tsx', script, folder], {
      encoding: 'utf8',
      env: {
        ...process.env,
        FLYWHEEL_NAMESPACE: namespace,
        KAFKA_BROKERS: inject('kafkaBrokers'),
        REDIS_URL: inject('redisUrl'),
        CLICKHOUSE_URL: inject('clickhouseUrl'),
        FLYWHEEL_FAILPOINT: failpoint,
      },
    });
    expect({ signal, stderr }).toMatchObject({ signal: 'SIGKILL' });
  }

  test('makes everything, says so, and a second time has nothing to do', async () => {
    const config = configOf('contract-migrate');
    const lines: string[] = [];
    const first = await migrate({ config, print: (line) => lines.push(line) });
    expect(first.topics).toHaveLength(Object.keys(topicPartitions).length);
    expect(first.generations).toEqual({ events: 1, spend: 1, rejected: 1 });
    expect(first.migrations[0]).toBe('001_tables.sql');
    expect(first.definitions).toContain('settings/default');
    expect(lines).toHaveLength(4);
    const again = await migrate({ config });
    expect(again).toEqual({ topics: [], generations: first.generations, migrations: [], definitions: [] });
    const client = openClickHouse({ url: config.clickhouseUrl, database: 'flywheel_contract_migrate' });
    const tables = await (await client.query({ query: 'SHOW TABLES', format: 'JSONCompactEachRow' })).json<
      [string]
    >();
    await client.close();
    expect(tables.flat()).toEqual(
      expect.arrayContaining(['events', 'rejects', 'funnel_hours', 'migrations']),
    );
  });

  test('publishes what differs from the files, but leaves alone what somebody has changed since', async () => {
    const config = configOf('contract-files');
    const folder = await folderWith({ 'account/a.json': account(1), 'account/b.json': account(1) });
    await migrate({ config, definitionsDir: folder });
    const { log, publisher } = await newPublisher(namespaceOf(config.namespace));
    await publisher.publish(publication('account', 'b', account(5)));
    await writeFile(path.join(folder, 'account/a.json'), JSON.stringify(account(2)));
    await writeFile(path.join(folder, 'account/b.json'), JSON.stringify(account(3)));
    const lines: string[] = [];
    const migrated = await migrate({ config, definitionsDir: folder, print: (line) => lines.push(line) });
    expect(migrated.definitions).toEqual(['account/a']);
    expect(lines).toContain('definitions: account/b stays at revision 2 by test');
    await expect
      .poll(() => log.find('account', 'a'))
      .toMatchObject({ revision: 2, document: { dailyBudgetMicros: 2 } });
    expect(log.find('account', 'b')).toMatchObject({ revision: 2, document: { dailyBudgetMicros: 5 } });
  });

  // A rule that became stricter held a whole migration up, although nothing was to be published.
  test('a file may go on to say what is in force though a rule has become stricter; whatever else is wrong is told at once', async () => {
    const config = configOf('contract-files-old');
    const old = { ...account(1), bidLifeMs: 500 };
    const folder = await folderWith({ 'account/a.json': { ...account(1), bidLifeMs: 60_000 } });
    await migrate({ config, definitionsDir: folder });
    const { log, publisher } = await newPublisher(namespaceOf(config.namespace));
    const inForce = log.find<object>('account', 'a')!.document;
    const document = { ...inForce, bidLifeMs: 500 };
    // As a version published it that had no such rule.
    await publisher.publishChecked({ ...publication('account', 'a', document), by: 'flywheel migrate' });
    await writeFile(path.join(folder, 'account/a.json'), JSON.stringify(old));
    expect(await migrate({ config, definitionsDir: folder })).toMatchObject({ definitions: [] });
    await writeFile(path.join(folder, 'account/a.json'), JSON.stringify({ ...old, dailyBudgetMicros: 2 }));
    for (const name of ['b', 'c'])
      await writeFile(path.join(folder, `account/${name}.json`), JSON.stringify({ ...old, name }));
    const failure = (await migrate({ config, definitionsDir: folder }).catch(
      (error: Error) => error,
    )) as Error;
    expect(failure.message).toMatch(/account\/b: bidLifeMs.*account\/c: bidLifeMs/s);
    expect(failure.message).not.toContain('account/a');
    expect(log.find('account', 'a')).toMatchObject({ document: { dailyBudgetMicros: 1 } });
  });

  test('for files that are refused no table is made', async () => {
    const config = configOf('contract-files-refused');
    const folder = await folderWith({ 'account/a.json': { ...account(1), bidLifeMs: 500 } });
    const lines: string[] = [];
    const migrating = migrate({ config, definitionsDir: folder, print: (line) => lines.push(line) });
    await expect(migrating).rejects.toMatchObject({
      code: 'DEFINITION_INVALID',
      message: expect.stringContaining('account/a: bidLifeMs'),
    });
    expect(lines).toEqual([expect.stringMatching(/^topics: /), expect.stringMatching(/^generations: /)]);
    const client = openClickHouse({ url: config.clickhouseUrl, database: 'default' });
    const query = `SHOW DATABASES LIKE '${namespaceOf(config.namespace).database}'`;
    const answer = await client.query({ query, format: 'JSONCompactEachRow' });
    expect(await answer.json()).toEqual([]);
    await client.close();
  });

  test('what no revision may change is refused of all files at once, before anything of them is published', async () => {
    const config = configOf('contract-files-forbidden');
    const folder = await folderWith({
      'account/a.json': account(1),
      'account/b.json': account(1),
      'account/c.json': account(1),
    });
    await migrate({ config, definitionsDir: folder });
    const { log } = await newPublisher(namespaceOf(config.namespace));
    await writeFile(path.join(folder, 'account/a.json'), JSON.stringify(account(2)));
    for (const name of ['b', 'c'])
      await writeFile(
        path.join(folder, `account/${name}.json`),
        JSON.stringify({ ...account(1), currency: 'JPY' }),
      );
    const lines: string[] = [];
    const migrating = migrate({ config, definitionsDir: folder, print: (line) => lines.push(line) });
    await expect(migrating).rejects.toMatchObject({
      code: 'DEFINITION_INVALID',
      message: expect.stringMatching(/account\/b: currency.*account\/c: currency/s),
    });
    expect(lines).toEqual([expect.stringMatching(/^topics: /), expect.stringMatching(/^generations: /)]);
    expect(log.historyOf('account', 'a')).toHaveLength(1);
  });

  test('files that need each other change together', async () => {
    const config = configOf('contract-files-together');
    const write = (behaviour: string) => ({
      'behaviours/default.json': {
        rules: ['view', behaviour].map((name) => ({ kind: 'track', event: name, behaviour: name })),
      },
      'funnel/f.json': { name: 'f', steps: ['view', behaviour], windowMs: 60_000 },
    });
    const folder = await folderWith(write('before'));
    await migrate({ config, definitionsDir: folder });
    for (const [name, document] of Object.entries(write('after')))
      await writeFile(path.join(folder, name), JSON.stringify(document));
    const both = await Promise.all([1, 2].map(() => migrate({ config, definitionsDir: folder })));
    const published = both.flatMap(({ definitions }) => definitions);
    expect(published.sort()).toEqual(['behaviours/default', 'funnel/f']);
    expect(await migrate({ config, definitionsDir: folder })).toMatchObject({ definitions: [] });
  });

  test('killed after the definition was appended, before any partition had it: the next migration completes it', async () => {
    const config = configOf('contract-heal');
    const namespace = namespaceOf(config.namespace);
    const folder = await folderWith({ 'account/a.json': account(1), 'account/b.json': account(1) });
    migrateAndDie(config.namespace, folder, 'definition-appended:2');
    expect(await placed(namespace)).toEqual(Array.from({ length: 16 }, () => ['account/a@1']));

    const lines: string[] = [];
    const healed = await migrate({ config, definitionsDir: folder, print: (line) => lines.push(line) });
    expect(lines).toContain('definitions: 1 that had not reached every partition were completed');
    expect(healed.definitions).toEqual([]);
    const expected = Array.from({ length: 16 }, () => ['account/a@1', 'account/b@1']);
    expect(await placed(namespace)).toEqual(expected);
    await migrate({ config, definitionsDir: folder });
    expect(await placed(namespace)).toEqual(expected);
  });

  test('killed after the partitions had it, before that was noted: it comes again, with the same revision', async () => {
    const config = configOf('contract-repeat');
    const folder = await folderWith({ 'account/a.json': account(1) });
    migrateAndDie(config.namespace, folder, 'definition-placed');
    await migrate({ config, definitionsDir: folder });
    await migrate({ config, definitionsDir: folder });
    expect(await placed(namespaceOf(config.namespace))).toEqual(
      Array.from({ length: 16 }, () => ['account/a@1', 'account/a@1']),
    );
  });

  test('a SQL file that was changed after it was applied is refused', async () => {
    const config = configOf('contract-changed');
    const folder = await folderWith({});
    await migrate({ config, definitionsDir: folder });
    const client = openClickHouse({ url: config.clickhouseUrl, database: 'flywheel_contract_changed' });
    await client.insert({
      table: 'migrations',
      values: [{ name: '001_tables.sql', checksum: 'another' }],
      format: 'JSONEachRow',
    });
    await client.close();
    await expect(migrate({ config, definitionsDir: folder })).rejects.toMatchObject({
      code: 'MIGRATION_CHANGED',
      message: expect.stringContaining('sql/001_tables.sql'),
    });
  });

  test('wrong files: nothing is made at all', async () => {
    const config = configOf('contract-wrong');
    const folder = await folderWith({ 'campaign/c.json': { name: 'c', accountId: 'none', channel: 'x' } });
    await expect(migrate({ config, definitionsDir: folder })).rejects.toMatchObject({
      code: 'DEFINITION_INVALID',
    });
    const admin = openTopicAdmin(config.kafkaBrokers);
    await expect(admin.describe([namespaceOf(config.namespace).topics.events])).rejects.toMatchObject({
      code: 'TOPIC_MISSING',
    });
    await admin.close();
  });
});
