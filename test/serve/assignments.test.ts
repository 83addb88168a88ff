// OFREP 0.3 over the real parts: shapes and codes of the protocol, stickiness from state, exposures in the log.
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { assign, namespaceBucket } from '../../domain/experiment-assignment.ts';
import { buyerPartition } from '../../platform/keys.ts';
import { PlatformError } from '../../platform/platform-error.ts';
import { type Answering, answering, secret, writeOnly } from './answering.ts';

const W = Date.UTC(2026, 0, 15);
/** A record may be a while on its way to the log of a busy machine. */
const ARRIVES = { timeout: 20_000, interval: 100 };
const experiment = {
  name: 'A short form',
  status: 'running',
  variations: [
    { key: 'control', value: { fields: 9 }, weight: 0.5 },
    { key: 'short', value: { fields: 4 }, weight: 0.5 },
  ],
  fallback: 'control',
};

let here: Answering;
beforeAll(async () => {
  here = await answering('assignments');
});
afterAll(() => here?.close());

async function evaluate(flag: string, body: unknown, headers: Record<string, string> = secret) {
  const payload = typeof body === 'string' ? body : JSON.stringify(body);
  const url = `/ofrep/v1/evaluate/flags${flag === '' ? '' : `/${flag}`}`;
  const response = await here.app.inject({
    method: 'POST',
    url,
    headers: { ...headers, 'content-type': 'application/json' },
    payload,
  });
  return {
    status: response.statusCode,
    body: response.body === '' ? null : response.json(),
    headers: response.headers,
  };
}

async function exposuresOf(key: string) {
  const log = await here.logOf('events', buyerPartition(key));
  return log.filter((entry) => entry.key === key).map((entry) => entry.record);
}

async function counterOf(name: string): Promise<number> {
  const text = (await here.app.inject({ url: '/metrics' })).body;
  const lines = text.split('\n').filter((line) => line.startsWith(name));
  return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

describe('one flag', () => {
  it('answers the hash’s variation with value, reason and the definition’s version, and logs the exposure', async () => {
    const inForce = here.definitions.set('experiment', 'form', experiment, 3);
    const { status, body } = await evaluate('form', { context: { targetingKey: 'buyer-1' } });
    const rules = inForce.document as Parameters<typeof assign>[0]['document'];
    const expected = assign({ id: 'form', document: rules }, { key: 'buyer-1', attributes: {} });
    const variation = experiment.variations[expected.variationIndex]!;
    expect(status).toBe(200);
    expect(body).toEqual({
      key: 'form',
      reason: 'SPLIT',
      variant: variation.key,
      value: variation.value,
      metadata: {
        experiment: 'A short form',
        revision: 3,
        hash: inForce.hash,
        detail: 'split',
        inExperiment: true,
        bucket: expected.bucket,
      },
    });
    await vi.waitFor(async () => expect(await exposuresOf('u:buyer-1')).toHaveLength(1), ARRIVES);
    const [record] = await exposuresOf('u:buyer-1');
    expect(record).toMatchObject({
      kind: 'exposure',
      key: 'u:buyer-1',
      experiment: 'form',
      revision: 3,
      variant: variation.key,
      reason: 'split',
      timestamp: here.clock.nowMs,
    });
  });

  it('logs the same exposure once, however often it is asked', async () => {
    here.definitions.set('experiment', 'once', experiment);
    for (let count = 0; count < 5; count += 1) {
      await evaluate('once', { context: { targetingKey: 'u:buyer-2' } });
    }
    await evaluate('once', { context: { targetingKey: 'buyer-2' } });
    await vi.waitFor(async () => expect(await exposuresOf('u:buyer-2')).not.toHaveLength(0), ARRIVES);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(await exposuresOf('u:buyer-2')).toHaveLength(1);
  });

  it('keeps to the first exposure over the user’s and the visitor’s key, and counts crossovers', async () => {
    here.definitions.set('experiment', 'sticky', { ...experiment, coverage: 0 });
    const exposed = (variant: string, timeMs: number, messageId: string) => ({
      exposures: [{ experiment: 'sticky', variant, timeMs, messageId }],
    });
    await here.setBuyer('u:buyer-3', exposed('control', W, 'b'), W);
    await here.setBuyer('a:device-3', exposed('short', W, 'a'), W);
    const before = await counterOf('flywheel_assignment_crossovers_total');
    const alone = await evaluate('sticky', { context: { targetingKey: 'buyer-3' } });
    expect(alone.body).toMatchObject({ variant: 'control', reason: 'SPLIT', metadata: { detail: 'sticky' } });
    const both = await evaluate('sticky', { context: { targetingKey: 'buyer-3', anonymousId: 'device-3' } });
    expect(both.body).toMatchObject({ variant: 'short', value: { fields: 4 } });
    expect(await counterOf('flywheel_assignment_crossovers_total')).toBe(before + 1);
    // The visitor's exposure is the user's now: that is news for the log; what the state knows already is none.
    await vi.waitFor(async () => expect(await exposuresOf('u:buyer-3')).toHaveLength(1), ARRIVES);
    expect((await exposuresOf('u:buyer-3'))[0]).toMatchObject({ variant: 'short', reason: 'sticky' });
  });

  it('leaves who keeps a variant of one experiment out of the others of its namespace', async () => {
    const key = ['b1', 'b2', 'b3', 'b4', 'b5', 'b6', 'b7'].find((id) => namespaceBucket(id, 'page') >= 0.5)!;
    const half = (from: number) => ({ ...experiment, namespace: { id: 'page', from, to: from + 0.5 } });
    here.definitions.set('experiment', 'half-0', half(0));
    here.definitions.set('experiment', 'half-1', half(0.5));
    const exposures = [{ experiment: 'half-0', variant: 'short', timeMs: W, messageId: 'm' }];
    await here.setBuyer('a:device-12', { exposures }, W);
    const context = { targetingKey: key, anonymousId: 'device-12' };
    const both = [await evaluate('half-0', { context }), await evaluate('half-1', { context })];
    expect(both.map(({ body }) => [body.variant, body.metadata.detail])).toEqual([
      ['short', 'sticky'],
      ['control', 'outsideNamespace'],
    ]);
    const { body } = await evaluate('', { context });
    for (const one of both) expect(body.flags).toContainEqual(one.body);
  });

  it('gives the fallback, and logs nothing, to those who are not in the experiment', async () => {
    const targeting = [{ attribute: 'country', operator: 'equals', value: 'DE' }];
    here.definitions.set('experiment', 'targeted', { ...experiment, targeting });
    here.definitions.set('experiment', 'stopped', { ...experiment, status: 'stopped' });
    here.definitions.set('experiment', 'draft', { ...experiment, status: 'draft' });
    here.definitions.set('experiment', 'uncovered', { ...experiment, coverage: 0 });
    const answers = [];
    for (const flag of ['targeted', 'stopped', 'draft', 'uncovered']) {
      const { body } = await evaluate(flag, { context: { targetingKey: 'buyer-4' } });
      answers.push([body.variant, body.reason, body.metadata.detail]);
    }
    expect(answers).toEqual([
      ['control', 'STATIC', 'notTargeted'],
      ['control', 'DISABLED', 'stopped'],
      ['control', 'DISABLED', 'draft'],
      ['control', 'STATIC', 'notCovered'],
    ]);
    expect(await exposuresOf('u:buyer-4')).toEqual([]);
  });

  // Exposures of a trial were logged, and as the first one stays, whoever came by then had the variant for good.
  it('gives a forced variant for as long as it is forced, to who was not exposed before, and logs nothing of it', async () => {
    const weighted = {
      ...experiment,
      variations: [
        { key: 'control', value: { fields: 9 }, weight: 1 },
        { key: 'short', value: { fields: 4 }, weight: 0 },
      ],
    };
    const exposures = [{ experiment: 'tried', variant: 'control', timeMs: W, messageId: 'm' }];
    await here.setBuyer('u:buyer-9', { exposures }, W);
    const look = async (): Promise<unknown[][]> => {
      const answers = [];
      for (const targetingKey of ['buyer-8', 'buyer-9']) {
        const { body } = await evaluate('tried', { context: { targetingKey } });
        answers.push([body.variant, body.reason, body.metadata.detail, body.metadata.inExperiment]);
      }
      return answers;
    };
    here.definitions.set('experiment', 'tried', { ...weighted, forced: 'short' });
    expect(await look()).toEqual([
      ['short', 'TARGETING_MATCH', 'forced', false],
      ['control', 'SPLIT', 'sticky', true],
    ]);
    here.definitions.set('experiment', 'tried', weighted);
    expect(await look()).toEqual([
      ['control', 'SPLIT', 'split', true],
      ['control', 'SPLIT', 'sticky', true],
    ]);
    // One topic, in order: what had been logged of the trial would stand before it.
    await vi.waitFor(async () => expect(await exposuresOf('u:buyer-8')).not.toEqual([]), ARRIVES);
    expect(await exposuresOf('u:buyer-8')).toMatchObject([{ variant: 'control', reason: 'split' }]);
    expect(await exposuresOf('u:buyer-9')).toEqual([]);
  });

  it('targets by what the state knows of the buyer, and by what the caller says over it', async () => {
    const targeting = [{ attribute: 'country', operator: 'equals', value: 'DE' }];
    here.definitions.set('experiment', 'known', { ...experiment, targeting });
    await here.setBuyer('u:buyer-5', { country: { value: 'DE', timeMs: W, messageId: 'm' } }, W);
    const known = await evaluate('known', { context: { targetingKey: 'buyer-5' } });
    expect(known.body.metadata.inExperiment).toBe(true);
    const said = await evaluate('known', { context: { targetingKey: 'buyer-5', country: 'FR' } });
    expect(said.body.metadata.detail).toBe('notTargeted');
  });

  it('deals out anew by another seed only to who was not exposed before', async () => {
    const exposures = [{ experiment: 'dealt', variant: 'short', timeMs: W, messageId: 'm' }];
    await here.setBuyer('u:buyer-10', { exposures }, W);
    const dealt = async (targetingKey: string, seed?: string) => {
      here.definitions.set('experiment', 'dealt', { ...experiment, ...(seed === undefined ? {} : { seed }) });
      const { body } = await evaluate('dealt', { context: { targetingKey } });
      return [body.variant, body.metadata.detail, body.metadata.bucket];
    };
    for (const seed of [undefined, 'one', 'two', 'three'])
      expect(await dealt('buyer-10', seed)).toEqual(['short', 'sticky', undefined]);
    const buckets = [await dealt('buyer-11'), await dealt('buyer-11', 'one')].map((answer) => answer[2]);
    expect(new Set(buckets).size).toBe(2);
  });

  it('does not stick to a variant that the experiment no longer has', async () => {
    here.definitions.set('experiment', 'changed', experiment);
    const exposures = [{ experiment: 'changed', variant: 'gone', timeMs: W, messageId: 'm' }];
    await here.setBuyer('u:buyer-6', { exposures }, W);
    const { body } = await evaluate('changed', { context: { targetingKey: 'buyer-6' } });
    expect(body.metadata.detail).toBe('split');
  });

  it('leaves the value out where the code’s default holds', async () => {
    const variations = [
      { key: 'control', weight: 1, value: null },
      { key: 'other', weight: 0, value: 1 },
    ];
    here.definitions.set('experiment', 'default', { ...experiment, variations });
    const { body } = await evaluate('default', { context: { targetingKey: 'buyer-7' } });
    expect(body.variant).toBe('control');
    expect(body).not.toHaveProperty('value');
  });

  it.each([
    ['{', 400, { key: 'form', errorCode: 'PARSE_ERROR' }],
    ['', 400, { key: 'form', errorCode: 'PARSE_ERROR' }],
    [[], 400, { key: 'form', errorCode: 'PARSE_ERROR' }],
    [{}, 400, { key: 'form', errorCode: 'INVALID_CONTEXT' }],
    [{ context: 'buyer-1' }, 400, { key: 'form', errorCode: 'INVALID_CONTEXT' }],
    [{ context: {} }, 400, { key: 'form', errorCode: 'TARGETING_KEY_MISSING' }],
    [{ context: { targetingKey: '' } }, 400, { key: 'form', errorCode: 'TARGETING_KEY_MISSING' }],
    [{ context: { targetingKey: 7 } }, 400, { key: 'form', errorCode: 'INVALID_CONTEXT' }],
    [{ context: { targetingKey: 'u:' } }, 400, { key: 'form', errorCode: 'INVALID_CONTEXT' }],
    [{ context: { targetingKey: 'x'.repeat(257) } }, 400, { key: 'form', errorCode: 'INVALID_CONTEXT' }],
  ])('answers %j with %i %j', async (body, status, expected) => {
    const answer = await evaluate('form', body);
    expect(answer.status).toBe(status);
    expect(answer.body).toEqual({ ...expected, errorDetails: expect.any(String) });
  });

  it('answers an unknown flag with 404 in the protocol’s shape', async () => {
    const { status, body } = await evaluate('nothing', { context: { targetingKey: 'b' } });
    expect(status).toBe(404);
    expect(body).toEqual({ key: 'nothing', errorCode: 'FLAG_NOT_FOUND', errorDetails: expect.any(String) });
  });

  it('takes the write key of a browser too, and no request without a key', async () => {
    const body = { context: { targetingKey: 'b' } };
    expect((await evaluate('form', body, {})).status).toBe(401);
    expect((await evaluate('form', body, writeOnly)).body).toEqual((await evaluate('form', body)).body);
  });
});

describe('all flags', () => {
  it('answers each experiment as the single route does, with an ETag that holds until something changes', async () => {
    const body = { context: { targetingKey: 'buyer-8' } };
    const all = await evaluate('', body);
    expect(all.status).toBe(200);
    const one = await evaluate('form', body);
    expect(all.body.flags).toContainEqual(one.body);
    expect(all.body.flags.map((flag: { key: string }) => flag.key)).toEqual(
      [...all.body.flags.map((flag: { key: string }) => flag.key)].sort(),
    );
    const { etag } = all.headers;
    const again = await evaluate('', body, { ...secret, 'if-none-match': String(etag) });
    expect([again.status, again.body, again.headers.etag]).toEqual([304, null, etag]);
    const strong = String(etag).replace('W/', '');
    const among = await evaluate('', body, { ...secret, 'if-none-match': `${strong}, "other"` });
    expect(among.status).toBe(304);
    here.definitions.set('experiment', 'form', { ...experiment, status: 'stopped' }, 4);
    const changed = await evaluate('', body, { ...secret, 'if-none-match': String(etag) });
    expect(changed.status).toBe(200);
  });

  it.each([
    ['{', 'PARSE_ERROR'],
    [{ context: null }, 'INVALID_CONTEXT'],
    [{ context: { plan: 'free' } }, 'TARGETING_KEY_MISSING'],
  ])('answers %j with 400 %s', async (body, errorCode) => {
    const answer = await evaluate('', body);
    expect(answer.status).toBe(400);
    expect(answer.body).toEqual({ errorCode, errorDetails: expect.any(String) });
  });

  it('answers for a flag that cannot be evaluated among those that can', async () => {
    const variations = [
      { key: 'control', value: [1, 2], weight: 1 },
      { key: 'other', value: true, weight: 0 },
    ];
    here.definitions.set('experiment', 'list', { ...experiment, variations });
    const { body } = await evaluate('', { context: { targetingKey: 'buyer-9' } });
    expect(body.flags.find((flag: { key: string }) => flag.key === 'list')).toEqual({
      key: 'list',
      errorCode: 'GENERAL',
      errorDetails: expect.any(String),
    });
  });
});

describe('when Kafka refuses', () => {
  it('still answers, counts and logs what was lost, and tries again with the next evaluation', async () => {
    let refuse = true;
    const refusing = await answering('assignments-refused', {
      wrap: (dependencies) => ({
        ...dependencies,
        producer: {
          ...dependencies.producer,
          send: async (...message) => {
            if (refuse) throw new PlatformError('KAFKA_QUEUE_FULL', 'full');
            return dependencies.producer.send(...message);
          },
        },
      }),
    });
    try {
      refusing.definitions.set('experiment', 'form', experiment);
      const ask = () =>
        refusing.app.inject({
          method: 'POST',
          url: '/ofrep/v1/evaluate/flags/form',
          headers: secret,
          payload: { context: { targetingKey: 'buyer-1' } },
        });
      expect((await ask()).statusCode).toBe(200);
      await vi.waitFor(() => expect(refusing.logged).toHaveLength(1));
      expect(refusing.logged[0]!.message).toBe('exposures did not get into the log');
      const metrics = (await refusing.app.inject({ url: '/metrics' })).body;
      expect(metrics).toContain('flywheel_exposures_lost_total{reason="failed"} 1');
      refuse = false;
      expect((await ask()).statusCode).toBe(200);
      await vi.waitFor(
        async () => expect(await refusing.logOf('events', buyerPartition('u:buyer-1'))).toHaveLength(1),
        ARRIVES,
      );
    } finally {
      await refusing.close();
    }
  });
});
