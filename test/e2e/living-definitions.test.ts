// Definitions that change while everything runs: two `serve`s, one `stream`, no restart. Who was first wins, what is in force
// is the same everywhere, and the log says so when Redis does not.
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { median } from '../../loadtest/measured.ts';
import { ensureApiKeys } from '../../platform/api-keys.ts';
import { decodeBuyer } from '../../platform/buyer-codec.ts';
import { canonicalHash } from '../../platform/canonical.ts';
import { buyerPartition, partitionKeys } from '../../platform/keys.ts';
import { type Child, endChildren, startChild } from './support/child.ts';
import {
  type DefinitionsClient,
  definitionsClient,
  partitionsInForce,
  partitionsWith,
} from './support/definitions-client.ts';
import { keptKeys, restoreKeys, stateOf } from './support/snapshot.ts';
import { openStage, type Stage } from './support/stage.ts';
import { expectVerified } from './support/whole.ts';

const PARTITIONS = 16;
/** A change is in force everywhere so long after it was sent, at the most. */
const EVERYWHERE_MS_MAX = 1_000;
let stage: Stage;
let stream: Child;
let keys: { write: string; secret: string };
let urls: string[];
let ana: DefinitionsClient;
let ben: DefinitionsClient;

beforeAll(async () => {
  stage = await openStage('living');
  const plainFile = path.join(stage.dir, 'keys.json');
  keys = await ensureApiKeys({ plainFile, hashedFile: stage.config.serveKeysFile });
  stream = startChild('stream', stage.environment);
  const serves = [startChild('serve', stage.environment), startChild('serve', stage.environment)];
  urls = (await Promise.all(serves.map((serve) => serve.ready))).map(({ url }) => String(url));
  await stream.ready;
  ana = definitionsClient(urls[0]!, keys.secret);
  ben = definitionsClient(urls[1]!, keys.secret);
});
afterAll(async () => {
  await endChildren();
  await stage?.close();
});

const funnel = (windowMs: number, steps = ['visit', 'order']) => ({ name: 'f', steps, windowMs });
let sent = 0;

async function track(userId: string, ...events: string[]): Promise<void> {
  const batch = events.map((event) => {
    sent += 1;
    return { type: 'track', event, userId, messageId: `living-${sent}` };
  });
  const response = await fetch(`${urls[0]}/v1/batch`, {
    method: 'POST',
    headers: { authorization: `Bearer ${keys.write}`, 'content-type': 'application/json' },
    body: JSON.stringify({ batch }),
  });
  expect(await response.json()).toMatchObject({ accepted: events.length });
}

/** The buyer as the stream keeps it. */
async function buyerOf(key: string) {
  const partition = buyerPartition(key);
  const bytes = await stage.redis.getBuffer(
    partitionKeys(stage.namespace, { topic: 'events', generation: 1, partition }).buyer(key),
  );
  return bytes === null ? null : decodeBuyer(key, bytes);
}

async function levelIn(key: string, id: string): Promise<{ revision: number; level: number } | undefined> {
  const progress = (await buyerOf(key))?.funnels.find((each) => each.id === id);
  return progress === undefined ? undefined : { revision: progress.revision, level: progress.counted };
}

describe('a change', () => {
  it('is answered when every partition has it, with who and why, and is in force in stream and serve', async () => {
    const behaviours = await ana.get('behaviours/default');
    const rules = [
      ...behaviours.body.document.rules,
      { kind: 'track', event: 'Sample Ordered', behaviour: 'sample' },
    ];
    const changed = await ana.put('behaviours/default', { rules }, behaviours.tag);
    expect(changed).toMatchObject({ status: 200, body: { revision: 2, author: 'ana', reason: 'to see' } });
    const made = await ana.put('funnel/samples', funnel(1_000_000, ['view', 'sample']));
    expect(made.status).toBe(201);
    expect(await partitionsWith(stage, 'behaviours/default', 2)).toBe(PARTITIONS);
    expect(await partitionsWith(stage, 'funnel/samples', 1)).toBe(PARTITIONS);

    await track('living', 'Product Viewed', 'Sample Ordered');
    await expect
      .poll(() => levelIn('u:living', 'samples'), { timeout: 20_000 })
      .toEqual({ revision: 1, level: 2 });
    await expect.poll(() => ben.get('funnel/samples')).toMatchObject({ status: 200, tag: made.tag });
    await stage.untilDrained();
    const trail = await stage.rows(
      `SELECT changed_by, why, count() AS partitions FROM definitions FINAL WHERE type = 'funnel' AND id = 'samples' GROUP BY changed_by, why`,
    );
    expect(trail).toEqual([{ changed_by: 'ana', why: 'to see', partitions: PARTITIONS }]);
  });

  it('of a segment changes at once who is in the experiment', async () => {
    const segment = (country: string) => ({
      name: 's',
      conditions: [{ attribute: 'country', operator: 'equals', value: country }],
    });
    const experiment = {
      name: 'for some',
      status: 'running',
      variations: [
        { key: 'old', value: false, weight: 0 },
        { key: 'new', value: true, weight: 1 },
      ],
      targeting: [{ segment: 'some' }],
      fallback: 'old',
    };
    expect(await ana.put('experiment/for-some', experiment)).toMatchObject({
      status: 422,
      body: { reasons: ['experiment for-some: there is no segment some'] },
    });
    const some = await ana.put('segment/some', segment('US'));
    expect((await ana.put('experiment/for-some', experiment)).status).toBe(201);
    const variantIn = async (country: string): Promise<string> => {
      const response = await fetch(`${urls[1]}/ofrep/v1/evaluate/flags/for-some`, {
        method: 'POST',
        headers: { authorization: `Bearer ${keys.secret}`, 'content-type': 'application/json' },
        body: JSON.stringify({ context: { targetingKey: `nobody-${country}`, country } }),
      });
      return ((await response.json()) as { variant: string }).variant;
    };
    await expect.poll(() => variantIn('US')).toBe('new');
    expect(await variantIn('DE')).toBe('old');
    expect((await ana.put('segment/some', segment('DE'), some.tag)).status).toBe(200);
    await expect.poll(() => variantIn('DE')).toBe('new');
    expect(
      await ana.request('DELETE', 'segment/some?reason=unused', undefined, { 'if-match': '*' }),
    ).toMatchObject({
      status: 409,
      body: { referrers: [{ type: 'experiment', id: 'for-some', field: 'targeting' }] },
    });
  });

  it('is in force everywhere within a second of being sent: in every partition and at every serve', async () => {
    const shown = (value: number) => ({
      name: 'which number is shown',
      status: 'running',
      variations: [
        { key: 'all', value, weight: 1 },
        { key: 'none', value: -1, weight: 0 },
      ],
      fallback: 'all',
    });
    const valueAt = async (url: string): Promise<unknown> => {
      const response = await fetch(`${url}/ofrep/v1/evaluate/flags/shown`, {
        method: 'POST',
        headers: { authorization: `Bearer ${keys.secret}`, 'content-type': 'application/json' },
        body: JSON.stringify({ context: { targetingKey: 'nobody-in-particular' } }),
      });
      return ((await response.json()) as { value?: unknown }).value;
    };
    /** When it was first so, looked at until it is. */
    const seenMs = async (isSo: () => Promise<boolean>): Promise<number> => {
      const endMs = performance.now() + 10 * EVERYWHERE_MS_MAX;
      while (!(await isSo())) {
        if (performance.now() > endMs) return Number.POSITIVE_INFINITY;
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      return performance.now();
    };
    const made = await ana.put('experiment/shown', shown(0));
    expect(made.status).toBe(201);
    let { tag } = made;
    const measured: Record<string, number>[] = [];
    for (let change = 1; change <= 6; change += 1) {
      // Not always at the same moment of anybody's rounds.
      await new Promise((resolve) => setTimeout(resolve, 1_000 + change * 170));
      const sentMs = performance.now();
      const put = ana.put('experiment/shown', shown(change), tag).then((reply) => {
        expect(reply.status).toBe(200);
        tag = reply.tag;
        return performance.now();
      });
      const [answered, partitions, ...serves] = await Promise.all([
        put,
        seenMs(async () => (await partitionsInForce(stage, 'experiment/shown', change + 1)) === PARTITIONS),
        ...urls.map((url) => seenMs(async () => (await valueAt(url)) === change)),
      ]);
      measured.push({
        answeredMs: answered - sentMs,
        partitionsMs: partitions - sentMs,
        editedServeMs: serves[0]! - sentMs,
        otherServeMs: serves[1]! - sentMs,
        afterAnswerMs: Math.max(partitions, ...serves) - answered,
      });
    }
    for (const one of measured) {
      const figures = Object.entries(one).map(([name, ms]) => `${name} ${Math.round(ms)}`);
      process.stderr.write(`in force: ${figures.join(', ')}\n`);
    }
    // The median: what the engine itself waits for is in every one of them, a pause of a busy machine in a few.
    for (const name of Object.keys(measured[0]!)) {
      const middle = median(measured.map((one) => one[name]!));
      expect(middle, name).toBeLessThanOrEqual(EVERYWHERE_MS_MAX);
    }
  });

  it('that withdraws what is at work, or what the engine works by, is refused with what to do instead', async () => {
    const withdraw = async (name: string) => {
      const reply = await ana.request('DELETE', `${name}?reason=unused`, undefined, { 'if-match': '*' });
      return [reply.status, reply.body?.code, reply.body?.detail];
    };
    for (const type of ['settings', 'behaviours', 'lifecycle', 'opportunity']) {
      expect(await withdraw(`${type}/default`)).toEqual([
        409,
        'definition_needed',
        expect.stringContaining('change it instead of withdrawing it'),
      ]);
    }
    expect(await withdraw('campaign/mail-return')).toEqual([
      409,
      'definition_needed',
      'It was not withdrawn: campaign mail-return: it is active; set its status to paused first.',
    ]);
    const { body, tag } = await ana.get('experiment/for-some');
    expect((await withdraw('experiment/for-some'))[2]).toContain('set its status to stopped first');
    expect((await ana.put('experiment/for-some', { ...body.document, status: 'stopped' }, tag)).status).toBe(
      200,
    );
    expect((await withdraw('experiment/for-some'))[0]).toBe(204);
  });

  it('is refused with every reason, and nothing is written', async () => {
    const before = await stage.log(stage.namespace.topics.definitions);
    const refused = await ana.put('campaign/wrong', {
      name: 7,
      accountId: 'nobody',
      channel: 'search',
      scoreId: 'none',
      bugdet: 1,
    });
    expect(refused).toMatchObject({ status: 422, body: { code: 'invalid_definition' } });
    expect(refused.body.reasons).toEqual([
      expect.stringContaining('name'),
      'bugdet: there is no such field',
      'campaign wrong: there is no account nobody',
      'campaign wrong: there is no score none',
    ]);
    expect(await ana.request('PUT', 'funnel/x', { document: funnel(1) })).toMatchObject({ status: 428 });
    expect(await ana.put('funnel/none', funnel(1), '"1-0"')).toMatchObject({
      status: 412,
      body: { detail: expect.stringContaining('send If-None-Match: * to make it') },
    });
    const samples = await ana.get('funnel/samples');
    expect(await ana.put('funnel/samples', funnel(1), '"1"')).toMatchObject({
      status: 412,
      tag: samples.tag,
      body: {
        detail: expect.stringContaining(`If-Match takes the ETag that GET gave, which is now ${samples.tag}`),
        etag: samples.tag,
      },
    });
    expect(await ana.put('funnel/samples', funnel(1))).toMatchObject({ status: 412 });
    expect(await ana.request('DELETE', 'funnel/none', undefined, { 'if-match': '*' })).toMatchObject({
      status: 404,
    });
    const unexplained = { status: 422, body: { code: 'reason_required' } };
    const { document } = samples.body;
    const ifMatch = { 'if-match': samples.tag };
    expect(await ana.request('PUT', 'funnel/samples', { document, reason: ' ' }, ifMatch)).toMatchObject(
      unexplained,
    );
    expect(await ana.request('DELETE', 'funnel/samples', undefined, ifMatch)).toMatchObject(unexplained);
    const rules = [{ kind: 'page', behaviour: 'visit' }];
    const unmapped = await ana.put('behaviours/default', { rules }, '*');
    expect(unmapped.body.reasons).toContain(
      'funnel sourcing: no rule of the behaviours maps an event to order',
    );
    expect(await stage.log(stage.namespace.topics.definitions)).toHaveLength(before.length);
  });

  it('of two editors at once is made for exactly one, at whichever serve they are', async () => {
    const { tag } = await ana.put('funnel/contested', funnel(1));
    await expect.poll(async () => (await ben.get('funnel/contested')).tag).toBe(tag);
    let seen = tag;
    for (let round = 0; round < 5; round += 1) {
      const replies = await Promise.all(
        [ana, ben, ana, ben].map((client, index) =>
          client.put('funnel/contested', funnel(round * 10 + index + 2), seen),
        ),
      );
      expect(replies.map(({ status }) => status).sort()).toEqual([200, 412, 412, 412]);
      const winner = replies.findIndex(({ status }) => status === 200);
      seen = replies[winner]!.tag;
      for (const client of [ana, ben])
        await expect
          .poll(() => client.get('funnel/contested'))
          .toMatchObject({
            tag: seen,
            body: { revision: round + 2, document: { windowMs: round * 10 + winner + 2 } },
          });
    }
  });

  it('back to what was before has a revision of its own and the same hash; history and diff tell it', async () => {
    const first = await ana.put('funnel/back', funnel(1_000));
    const second = await ana.put('funnel/back', funnel(2_000), first.tag);
    const third = await ana.put('funnel/back', funnel(1_000), second.tag);
    expect(third.body).toMatchObject({ revision: 3, hash: first.body.hash });
    // Who saw only the first A has not seen what happened since.
    expect((await ana.put('funnel/back', funnel(3_000), first.tag)).status).toBe(412);
    const removed = await ana.request('DELETE', 'funnel/back?author=ben&reason=unused', undefined, {
      'if-match': third.tag,
    });
    expect([removed.status, (await ana.get('funnel/back')).status]).toEqual([204, 404]);
    const { body } = await ana.get('funnel/back/history');
    expect(
      body.revisions.map((each: Record<string, unknown>) => [each.revision, each.author, each.reason]),
    ).toEqual([
      [4, 'ben', 'unused'],
      [3, 'ana', 'to see'],
      [2, 'ana', 'to see'],
      [1, 'ana', 'to see'],
    ]);
    expect((await ana.get('funnel/back/diff?from=1&to=2')).body.patch).toEqual([
      { op: 'replace', path: '/windowMs', value: 2_000, was: 1_000 },
    ]);
    expect((await ana.get('funnel/back/diff?from=1&to=3')).body.patch).toEqual([]);
    expect((await ana.get('funnel/back/diff?from=0&to=1')).body.patch).toEqual([
      { op: 'replace', path: '', value: { ...funnel(1_000), mode: 'default' }, was: null },
    ]);
    expect((await ana.get('funnel/back/diff?to=9')).body).toMatchObject({ code: 'unknown_revision' });
    expect((await ana.put('funnel/back', funnel(4_000))).body.revision).toBe(5);
  });
});

describe('files', () => {
  /** Runs a command to its end; its last line of JSON, and what it told people. */
  async function command(name: string, ...args: string[]) {
    const environment = { ...stage.environment, FLYWHEEL_URL: urls[1]!, SECRET_KEY: keys.secret };
    const child = startChild(name, environment, ['definitions', ...args]);
    const { code } = await child.ended;
    const line = child.output().trim();
    return { code, said: child.errors(), body: line === '' ? null : JSON.parse(line) };
  }
  const fileOf = (folder: string, name: string) => path.join(folder, `${name}.json`);
  const read = async (file: string) => JSON.parse(await readFile(file, 'utf8'));
  const write = (file: string, document: unknown) => writeFile(file, JSON.stringify(document));

  it('that were exported change nothing; changed ones are planned first, and applied as planned', async () => {
    const folder = path.join(stage.dir, 'files');
    const first = await command('export', folder);
    expect(first.code, first.said).toBe(0);
    expect(first.body.written).toBeGreaterThan(20);
    expect((await command('import', folder, '--plan')).body).toMatchObject({ applied: false, changes: [] });

    // A behaviour gets another name wherever it stands: no order of single changes could do that.
    const rename = (behaviour: string) => (behaviour === 'sample' ? 'trial' : behaviour);
    const rules = (await read(fileOf(folder, 'behaviours/default'))).rules as { behaviour: string }[];
    const renamed = rules.map((rule) => ({ ...rule, behaviour: rename(rule.behaviour) }));
    await write(fileOf(folder, 'behaviours/default'), { rules: renamed });
    const samples = await read(fileOf(folder, 'funnel/samples'));
    await write(fileOf(folder, 'funnel/samples'), { ...samples, steps: samples.steps.map(rename) });
    await write(fileOf(folder, 'funnel/added'), funnel(5_000));
    await rm(fileOf(folder, 'funnel/contested'));

    const unexplained = await command('import', folder, '--yes');
    expect([unexplained.code, unexplained.said]).toEqual([1, expect.stringContaining('--reason')]);
    const asked = await command('import', folder, '--reason', 'merged');
    expect([asked.code, asked.body.applied]).toEqual([1, false]);
    expect(asked.said).toContain('~ /steps/1: "sample" → "trial"');
    expect(asked.said).toContain('1 to create, 2 to change, 1 to withdraw');
    expect((await ana.get('funnel/added')).status).toBe(404);

    const applied = await command('import', folder, '--yes', '--author', 'git', '--reason', 'merged');
    expect(applied.code, applied.said).toBe(0);
    expect(
      applied.body.changes.map((each: Record<string, unknown>) => `${each.action} ${each.type}/${each.id}`),
    ).toEqual([
      'change behaviours/default',
      'create funnel/added',
      'change funnel/samples',
      'withdraw funnel/contested',
    ]);
    await expect
      .poll(async () => (await ana.get('funnel/samples')).body)
      .toMatchObject({ author: 'git', reason: 'merged', document: { steps: ['view', 'trial'] } });
    await expect.poll(async () => (await ana.get('funnel/contested')).status).toBe(404);
    await track('imported', 'Product Viewed', 'Sample Ordered');
    await expect
      .poll(() => levelIn('u:imported', 'samples'), { timeout: 20_000 })
      .toEqual({ revision: 2, level: 2 });
  });

  it('are refused as a whole when any of them is wrong, or when somebody was faster', async () => {
    const folder = path.join(stage.dir, 'wrong');
    await command('export', folder);
    await write(fileOf(folder, 'funnel/added'), funnel(6_000));
    await write(fileOf(folder, 'funnel/wrong'), { ...funnel(1), steps: ['visit', 'nonsense'], extra: 1 });
    await rm(fileOf(folder, 'account/mail-partners'));
    const refused = await command('import', folder, '--yes', '--reason', 'merged');
    expect(refused.code).toBe(1);
    expect(refused.said).toContain('funnel/wrong: extra: there is no such field');
    await write(fileOf(folder, 'funnel/wrong'), { ...funnel(1), steps: ['visit', 'nonsense'] });
    const dangling = await command('import', folder, '--yes', '--reason', 'merged');
    expect(dangling.said).toContain('funnel wrong: no rule of the behaviours maps an event to nonsense');
    expect(dangling.said).toContain('campaign mail-return: there is no account mail-partners');
    expect((await ana.get('funnel/added')).body.document.windowMs).toBe(5_000);

    const body = { definitions: [{ type: 'funnel', id: 'added', document: funnel(7_000) }] };
    const plan = await ana.request('POST', 'import?plan=true', body);
    expect(plan).toMatchObject({ status: 200, body: { changes: [{ action: 'change', revision: 2 }] } });
    expect((await ana.request('POST', 'import', body)).status).toBe(428);
    await ana.put('funnel/between', funnel(1));
    expect(await ana.request('POST', 'import', body, { 'if-match': plan.tag })).toMatchObject({
      status: 412,
    });
    const none = { definitions: [], withdrawOthers: true };
    expect(await ana.request('POST', 'import?plan=true', none)).toMatchObject({ status: 422 });
  });
});

describe('the log', () => {
  it('has a revision whose publisher died completed by a serve', async () => {
    const document = { ...funnel(1_000), mode: 'default' };
    const record = {
      kind: 'definition',
      type: 'funnel',
      id: 'orphan',
      revision: 1,
      hash: canonicalHash(document),
      previousHash: null,
      document,
      by: 'who died',
      why: '',
      at: Date.now(),
    };
    await stage.producer.send(stage.namespace.topics.definitions, 0, 'funnel/orphan', JSON.stringify(record));
    await expect
      .poll(() => partitionsWith(stage, 'funnel/orphan', 1), { timeout: 30_000, interval: 500 })
      .toBe(PARTITIONS);
  });

  it('is right when Redis was rolled back: the same definitions, the same state', async () => {
    await track('rolled-back', 'Product Viewed');
    await stage.untilDrained();
    const older = await keptKeys(stage);

    const samples = await ana.get('funnel/samples');
    await ana.put('funnel/samples', funnel(50_000, ['view', 'trial']), samples.tag);
    await ana.put('funnel/since', funnel(60_000, ['view', 'trial']));
    await track('rolled-back', 'Product Viewed', 'Sample Ordered');
    await stage.untilDrained();
    const expected = await stateOf(stage);
    const definitions = (await ana.get('funnel')).body;

    stream.signal('SIGKILL');
    await stream.ended;
    await restoreKeys(stage, older);
    expect(await stateOf(stage)).not.toEqual(expected);
    stream = startChild('stream', stage.environment);
    await stream.ready;
    await stage.untilDrained();
    expect(await stateOf(stage)).toEqual(expected);
    expect((await ana.get('funnel')).body).toEqual(definitions);
    // And a change goes on from there.
    const since = await ben.get('funnel/since');
    expect((await ben.put('funnel/since', funnel(70_000, ['view', 'trial']), since.tag)).status).toBe(200);
    expect(await levelIn('u:rolled-back', 'since')).toMatchObject({ revision: 1, level: 2 });
  });

  it('says the same to the oracle', async () => {
    await stage.untilDrained();
    await expectVerified(stage);
  });
});
