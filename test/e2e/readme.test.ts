// The README's examples are run as they stand there: each fenced block marked `sh example`, in order, in one shell's
// environment, against a real `stream` and `serve`.
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ensureApiKeys } from '../../platform/api-keys.ts';
import { endChildren, startChild } from './support/child.ts';
import { openStage, type Stage } from './support/stage.ts';

const run = promisify(execFile);
const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
const examples = [...readme.matchAll(/```sh example\n([\s\S]*?)```/g)].map(([, block]) => block!.trim());

let stage: Stage;
let environment: NodeJS.ProcessEnv;

beforeAll(async () => {
  stage = await openStage('readme');
  const keys = await ensureApiKeys({
    plainFile: path.join(stage.dir, 'keys.json'),
    hashedFile: path.join(stage.dir, 'keys.hashed.json'),
  });
  const serve = startChild('serve', stage.environment);
  const stream = startChild('stream', stage.environment);
  const jobs = startChild('jobs', stage.environment);
  const [{ url }] = await Promise.all([serve.ready, stream.ready, jobs.ready]);
  environment = {
    ...process.env,
    ...stage.environment,
    FLYWHEEL_URL: String(url),
    WRITE_KEY: keys.write,
    SECRET_KEY: keys.secret,
  };
});

afterAll(async () => {
  await endChildren();
  await stage.close();
});

async function answer(example: string): Promise<Record<string, unknown>> {
  const { stdout } = await run('bash', ['-c', example], { env: environment });
  if (stdout.startsWith('retry:')) return { events: stdout };
  if (stdout.startsWith('whsec_')) return { secret: stdout };
  const body = JSON.parse(stdout) as Record<string, unknown>;
  if (example.includes('/v1/reports/campaigns') && (body.rows as unknown[]).length === 0)
    throw new Error('the spend that was reported is not there yet');
  return body;
}

/** An example may ask for what an example before it has sent: it is there within a moment. */
async function answerSoon(example: string): Promise<Record<string, unknown>> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await answer(example);
    } catch (error) {
      if (attempt === 40) throw error;
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }
}

/** The example that has this in it, and what its answer must hold. */
const expected: Record<string, (body: Record<string, unknown>) => void> = {
  'flywheel status': (body) => {
    expect(body).toMatchObject({ healthy: true, faults: [] });
    expect(body.partitions).toHaveLength(17);
    expect(body.accounts).toContainEqual(expect.objectContaining({ account: 'display-europe' }));
  },
  '/v1/track': (body) => expect(body).toMatchObject({ success: true, accepted: 1, rejected: [] }),
  '/v1/batch': (body) => {
    expect(body).toMatchObject({ success: true, accepted: 2 });
    expect(body.rejected).toEqual([expect.objectContaining({ index: 2 })]);
  },
  '/v1/events/live': (body) => expect(body.events).toMatch(/event: open\n.*event: ready\n/s),
  '/v1/sources"': (body) =>
    expect(body.sources).toContainEqual(expect.objectContaining({ source: 'write', alerts: [] })),
  '/v1/sources/write': (body) =>
    expect(body).toMatchObject({
      source: 'write',
      schema: expect.anything(),
      rejectReasons: expect.anything(),
    }),
  '/v1/spend': (body) => expect(body).toMatchObject({ success: true, accepted: 1 }),
  '/v1/buyers/u:': (body) => expect(body).toMatchObject({ key: 'u:buyer-42' }),
  '/v1/identify': (body) => expect(body).toMatchObject({ success: true, accepted: 1 }),
  '/v1/links/$LINK"': (body) =>
    expect(body).toMatchObject({
      visitor: 'a:visitor-1',
      user: 'u:buyer-42',
      status: 'active',
      revocable: true,
    }),
  '/revoke': (body) => expect(body).toMatchObject({ user: 'u:buyer-42', visitorSpeaksAgain: true }),
  '/v1/group': (body) => expect(body).toMatchObject({ success: true, accepted: 1 }),
  '/v1/buyers/c:': (body) => expect(body).toMatchObject({ key: 'c:acme', lifecycle: { stage: null } }),
  '/v1/reports/identity': (body) => expect(body).toMatchObject({ links: { made: expect.any(Number) } }),
  '/ofrep/': (body) => expect(body).toMatchObject({ key: 'inquiry-form' }),
  '/v1/exposures': (body) => expect(body).toEqual({ success: true, accepted: 1, rejected: [] }),
  '/v1/bids': (body) => expect(JSON.stringify(body)).toContain('reason'),
  '/budget': (body) => expect(JSON.stringify(body)).toContain('search-portfolio'),
  '/v1/triggers': (body) => expect(body).toHaveProperty('triggers'),
  '/definitions/receiver/crm': (body) => expect(body).toMatchObject({ revision: 1, type: 'receiver' }),
  '/v1/deliveries': (body) => expect(body).toEqual({ deliveries: [], truncated: false }),
  '/v1/rolling/': (body) => expect(body).toHaveProperty('asOf'),
  'deliveries secret': (body) => expect(body.secret).toMatch(/^whsec_\S+\n$/),
  '/v1/reports/campaigns': (body) =>
    expect(body.rows).toEqual([
      expect.objectContaining({ campaign: 'search-machinery', impressions: 12_000, costMicros: 148_200_000 }),
    ]),
  '/v1/reports/': (body) => expect(Object.keys(body).length).toBeGreaterThan(0),
  '/v1/definitions/funnel/sourcing"': (body) =>
    expect(body).toMatchObject({ type: 'funnel', id: 'sourcing' }),
  'if-none-match: *': (body) => expect(body).toMatchObject({ revision: 1, author: 'ana@example.com' }),
  'if-match: $ETAG': (body) => expect(body).toMatchObject({ revision: 2 }),
  '/preview': (body) => expect(body).toMatchObject({ answerable: true, revision: 2 }),
  'export definitions': (body) => expect(body.written).toBeGreaterThan(20),
  'import definitions': (body) => expect(body).toMatchObject({ applied: false, changes: [] }),
  'backfill quick-order': (body) =>
    expect(body.backfills).toEqual([expect.objectContaining({ funnel: 'quick-order', revision: 2 })]),
  'keys create': (body) =>
    expect(body).toMatchObject({ name: 'shop', key: expect.stringMatching(/^wk_/), state: 'valid' }),
  'keys rotate': (body) => expect(body).toMatchObject({ name: 'shop', before: { state: 'replaced' } }),
  'keys limit': (body) =>
    expect(body).toMatchObject({ limits: { events: { perSecond: 2_000, burst: 4_000 } } }),
  'keys list': (body) => expect(body.keys).toHaveLength(4),
  '/diff': (body) => expect(body.patch).toEqual([expect.objectContaining({ op: 'replace' })]),
};

describe('the README', () => {
  it('has an example for every capability', () => {
    for (const route of Object.keys(expected)) {
      expect(
        examples.filter((example) => example.includes(route)),
        route,
      ).not.toHaveLength(0);
    }
  });

  it.each(examples.map((example) => [example.slice(0, 90).replaceAll('\n', ' '), example]))(
    '%s',
    async (_, example) => {
      const body = await answerSoon(example);
      const routes = Object.keys(expected).filter((route) => example.includes(route));
      expect(routes).not.toHaveLength(0);
      for (const route of routes) expected[route]!(body);
    },
  );
});
