// Who was shown a variant keeps it: of a variant that was taken out, over links that may be revoked, and among experiments of
// one namespace.
import { describe, expect, it } from 'vitest';
import { type Buyer, type BuyerPart, newBuyer, newHistory } from '../../domain/buyer.ts';
import { namespaceBucket } from '../../domain/experiment-assignment.ts';
import { experiment as experimentSchema } from '../../domain/experiment-definition.ts';
import { evaluate } from '../../serve/assignments/evaluate.ts';
import { type ExperimentInForce, experimentsHeld } from '../../serve/assignments/past-exposures.ts';

const variations = ['control', 'short'].map((key) => ({ key, value: key, weight: 0.5 }));

function experiment(id: string, change: object = {}): ExperimentInForce {
  const document = { name: id, status: 'running', variations, fallback: 'control', ...change };
  return { id, revision: 1, hash: 'hash', document: experimentSchema.parse(document) };
}

function exposed(experiment: string, variant: string, timeMs: number) {
  return { experiment, variant, timeMs, messageId: `${experiment}-${timeMs}` };
}

function buyer(key: string, exposures: Buyer['exposures'], parts: BuyerPart[] = []): Buyer {
  return { ...newBuyer(key), exposures, parts };
}

function part(number: number, exposures: Buyer['exposures']): BuyerPart {
  const link = number === 0 ? '' : 'a link';
  return { ...newHistory(), number, link, visitor: '', mergedMs: 0, ended: false, exposures };
}

/** Evaluates one of `all` for the buyer of `hashKey`, of whom this is known. */
function look(
  id: string,
  all: readonly ExperimentInForce[],
  known: readonly (Buyer | null)[],
  hashKey = 'x',
) {
  const find = (wanted: string) => all.find((each) => each.id === wanted);
  const held = experimentsHeld(known, find);
  const subject = { key: `u:${hashKey}`, hashKey, attributes: {}, known, held, segmentOf: () => undefined };
  const { answer, exposure } = evaluate(find(id)!, subject);
  if ('errorCode' in answer) throw new Error(answer.errorDetails);
  const { detail, inExperiment } = answer.metadata;
  return { variant: answer.variant, detail, inExperiment, exposure };
}

describe('what came by a link', () => {
  const form = [experiment('form')];
  const shown = exposed('form', 'short', 1);

  it('is logged as the user’s own, who keeps it when the link is revoked', () => {
    const linked = buyer('u:x', [shown], [part(0, []), part(1, [shown])]);
    expect(look('form', form, [linked])).toMatchObject({
      variant: 'short',
      detail: 'sticky',
      exposure: { key: 'u:x', variant: 'short', reason: 'sticky' },
    });
  });

  it('is no news once the user’s own part has it', () => {
    const own = exposed('form', 'short', 2);
    const linked = buyer('u:x', [shown], [part(0, [own]), part(1, [shown])]);
    expect(look('form', form, [linked])).toMatchObject({ variant: 'short', exposure: null });
    expect(look('form', form, [buyer('u:x', [shown])]).exposure).toBeNull();
  });
});

describe('a variant that the experiment no longer has', () => {
  it('does not hide the user’s own behind the visitor’s', () => {
    const gone = exposed('form', 'gone', 1);
    const own = exposed('form', 'short', 5);
    const linked = buyer('u:x', [gone], [part(0, [own]), part(1, [gone])]);
    expect(look('form', [experiment('form')], [linked])).toMatchObject({
      variant: 'short',
      detail: 'sticky',
      exposure: null,
    });
  });

  it('does not hide a later one that it has', () => {
    const weighted = experiment('form', {
      variations: [
        { key: 'control', value: 1, weight: 1 },
        { key: 'short', value: 2, weight: 0 },
      ],
    });
    const user = buyer('u:x', [exposed('form', 'short', 5)]);
    const visitor = buyer('a:d', [exposed('form', 'gone', 1)]);
    expect(look('form', [weighted], [user, visitor])).toMatchObject({
      variant: 'short',
      detail: 'sticky',
      exposure: null,
    });
  });
});

describe('experiments of a namespace', () => {
  const first = experiment('first', { namespace: { id: 'page', from: 0, to: 0.5 } });
  const second = experiment('second', { namespace: { id: 'page', from: 0.5, to: 1 } });
  const all = [first, second];
  /** An id that is hashed into the second's part. */
  const id = Array.from({ length: 100 }, (_, n) => `b${n}`).find(
    (key) => namespaceBucket(key, 'page') >= 0.5,
  )!;
  const inBoth = [exposed('first', 'short', 1), exposed('second', 'short', 2)];

  it('stay apart for who keeps a variant of one and is hashed into the other', () => {
    const known = [buyer(`u:${id}`, inBoth.slice(0, 1))];
    expect(look('second', all, [null], id)).toMatchObject({ detail: 'split', inExperiment: true });
    expect(look('first', all, known, id)).toMatchObject({ variant: 'short', detail: 'sticky' });
    expect(look('second', all, known, id)).toEqual({
      variant: 'control',
      detail: 'outsideNamespace',
      inExperiment: false,
      exposure: null,
    });
  });

  it('count what any of the caller’s keys was shown', () => {
    const known = [null, buyer('a:d', inBoth.slice(0, 1))];
    expect(look('second', all, known, id).detail).toBe('outsideNamespace');
  });

  it('give a buyer of two to that of the earlier exposure, in whatever order they are asked', () => {
    for (const known of [[buyer('u:x', inBoth)], [buyer('u:x', inBoth.slice(1)), buyer('a:d', inBoth)]]) {
      expect(look('second', all, known, id).detail).toBe('outsideNamespace');
      expect(look('first', all, known, id)).toMatchObject({ variant: 'short', detail: 'sticky' });
    }
  });

  it('give a buyer to the same one also where both exposures came at one time, as one message', () => {
    const both = inBoth.map((each) => ({ ...each, timeMs: 1, messageId: 'm' }));
    for (const known of [[buyer('u:x', both)], [buyer('u:x', both.toReversed())]])
      expect(all.map((each) => look(each.id, all, known, id).detail)).toEqual(['sticky', 'outsideNamespace']);
  });

  it('are not kept away by one that is itself kept away', () => {
    const third = experiment('third', { namespace: { id: 'page', from: 0, to: 0.4 } });
    const known = [buyer('u:x', [...inBoth, exposed('third', 'short', 3)])];
    expect(look('third', [...all, third], known, id).detail).toBe('sticky');
    expect(look('second', [...all, third], known, id).detail).toBe('outsideNamespace');
  });

  it.each([
    ['has ended', { ...first, document: { ...first.document, status: 'stopped' as const } }],
    [
      'no longer has the variant',
      experiment('first', {
        namespace: first.document.namespace,
        variations: [
          { key: 'control', value: 1, weight: 0.5 },
          { key: 'other', value: 2, weight: 0.5 },
        ],
      }),
    ],
    ['has a part that overlaps', experiment('first', { namespace: { id: 'page', from: 0, to: 0.6 } })],
    [
      'has a part of another namespace',
      experiment('first', { namespace: { id: 'other', from: 0, to: 0.5 } }),
    ],
    ['has no namespace', experiment('first')],
  ])('are free where the other %s', (_, other) => {
    expect(look('second', [other, second], [buyer('u:x', inBoth.slice(0, 1))], id).detail).toBe('split');
    expect(look('second', [other, second], [buyer('u:x', inBoth)], id).detail).toBe('sticky');
  });

  it('are free where the other was withdrawn', () => {
    expect(look('second', [second], [buyer('u:x', inBoth.slice(0, 1))], id).detail).toBe('split');
  });
});
