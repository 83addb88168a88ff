// Definitions as files: exported, changed, planned and imported while the engine runs.
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startChild } from './support/child.ts';
import type { DefinitionsClient } from './support/definitions-client.ts';
import {
  endLiving,
  funnelOf,
  type LivingEngine,
  SAMPLE_ORDERED,
  startLiving,
} from './support/living-engine.ts';
import type { Stage } from './support/stage.ts';
import { expectVerified } from './support/whole.ts';

let engine: LivingEngine;
let stage: Stage;
let ana: DefinitionsClient;

beforeAll(async () => {
  engine = await startLiving('files', 1);
  stage = engine.stage;
  ana = engine.clients[0]!;
  const { body, tag } = await ana.get('behaviours/default');
  const rules = [...body.document.rules, SAMPLE_ORDERED];
  const made = [
    await ana.put('behaviours/default', { rules }, tag),
    await ana.put('funnel/samples', funnelOf(1_000_000, ['view', 'sample'])),
    await ana.put('funnel/contested', funnelOf(1)),
  ];
  expect(made.map(({ status }) => status)).toEqual([200, 201, 201]);
});
afterAll(() => endLiving(engine));

describe('files', () => {
  /** Runs a command to its end; its last line of JSON, and what it told people. */
  async function command(name: string, ...args: string[]) {
    const environment = {
      ...stage.environment,
      FLYWHEEL_URL: engine.urls[0]!,
      SECRET_KEY: engine.keys.secret,
    };
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
    await write(fileOf(folder, 'funnel/added'), funnelOf(5_000));
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
    await engine.track('imported', 'Product Viewed', 'Sample Ordered');
    await expect
      .poll(() => engine.levelIn('u:imported', 'samples'), { timeout: 20_000 })
      .toEqual({ revision: 2, level: 2 });
  });

  it('are refused as a whole when any of them is wrong, or when somebody was faster', async () => {
    const folder = path.join(stage.dir, 'wrong');
    await command('export', folder);
    await write(fileOf(folder, 'funnel/added'), funnelOf(6_000));
    await write(fileOf(folder, 'funnel/wrong'), { ...funnelOf(1), steps: ['visit', 'nonsense'], extra: 1 });
    await rm(fileOf(folder, 'account/mail-partners'));
    const refused = await command('import', folder, '--yes', '--reason', 'merged');
    expect(refused.code).toBe(1);
    expect(refused.said).toContain('funnel/wrong: extra: there is no such field');
    await write(fileOf(folder, 'funnel/wrong'), { ...funnelOf(1), steps: ['visit', 'nonsense'] });
    const dangling = await command('import', folder, '--yes', '--reason', 'merged');
    expect(dangling.said).toContain('funnel wrong: no rule of the behaviours maps an event to nonsense');
    expect(dangling.said).toContain('campaign mail-return: there is no account mail-partners');
    expect((await ana.get('funnel/added')).body.document.windowMs).toBe(5_000);

    const body = { definitions: [{ type: 'funnel', id: 'added', document: funnelOf(7_000) }] };
    const plan = await ana.request('POST', 'import?plan=true', body);
    expect(plan).toMatchObject({ status: 200, body: { changes: [{ action: 'change', revision: 2 }] } });
    expect((await ana.request('POST', 'import', body)).status).toBe(428);
    await ana.put('funnel/between', funnelOf(1));
    expect(await ana.request('POST', 'import', body, { 'if-match': plan.tag })).toMatchObject({
      status: 412,
    });
    const none = { definitions: [], withdrawOthers: true };
    expect(await ana.request('POST', 'import?plan=true', none)).toMatchObject({ status: 422 });
  });

  it('leave a state that says the same to the oracle', async () => {
    await stage.untilDrained();
    await expectVerified(stage);
  });
});
