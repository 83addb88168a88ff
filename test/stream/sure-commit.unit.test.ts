// A commit's outcome is known in the end: an answer that was lost is read back, another's nonce is a fence, an outage is waited out.
import { expect, it } from 'vitest';
import { partitionKeys } from '../../platform/keys.ts';
import { namespaceOf } from '../../platform/namespace.ts';
import { emptyHead } from '../../stream/state.ts';
import { commitUntilKnown, untilReplicated } from '../../stream/sure-commit.ts';

const CONNECTION = 'this one';
const head = { ...emptyHead(), nonce: 'mine', seq: 4 };

function ports(replies: (string | Error)[], stored: [nonce: string, seq: string], waitReplicas = 0) {
  const failures: string[] = [];
  const asked: string[] = [];
  const next = async (): Promise<unknown> => {
    const reply = replies.shift();
    if (reply instanceof Error) throw reply;
    return reply;
  };
  const made = {
    redis: {
      stream: CONNECTION,
      eval() {
        asked.push('eval');
        return next();
      },
      call() {
        asked.push('call');
        return next();
      },
      hmget: async () => stored,
    },
    keys: partitionKeys(namespaceOf('sure'), { topic: 'events', generation: 1, partition: 0 }),
    observer: { failed: (error: Error) => failures.push(error.message) },
    limits: { waitReplicas },
  };
  return { failures, asked, ports: made as unknown as Parameters<typeof commitUntilKnown>[0] };
}

const commit = (given: ReturnType<typeof ports>, isStopped = (): boolean => false) =>
  commitUntilKnown(given.ports, head, Buffer.from(''), isStopped);

it('is made when the script says so', async () => {
  expect(await commit(ports(['OK'], ['', '']))).toBe('OK');
});

it('was made if the head has our nonce and the next seq: only the answer was lost', async () => {
  const lost = ports([new Error('connection lost'), 'FENCED'], ['mine', '5']);
  expect(await commit(lost)).toBe('OK');
  expect(lost.failures).toEqual(['connection lost']);
});

it.each([
  ['another', '5'],
  ['mine', '4'],
  ['mine', '6'],
] as [string, string][])('is fenced if the head has %s and %s', async (nonce, seq) => {
  expect(await commit(ports(['FENCED'], [nonce, seq]))).toBe('FENCED');
});

it('is given up with the outage’s error when the owner is stopped', async () => {
  await expect(commit(ports([new Error('Redis is away')], ['', '']), () => true)).rejects.toThrow(
    'Redis is away',
  );
});

const committed = { nonce: 'mine', seq: 5 };

it('is not let out before as many replicas have it as are asked for', async () => {
  const late = ports(['0', '1', '2'], ['', ''], 2);
  expect(await untilReplicated(late.ports, committed, CONNECTION, () => false)).toBe('OK');
  expect(late.failures).toEqual([
    '0 of 2 replicas have the commit: waiting',
    '1 of 2 replicas have the commit: waiting',
  ]);
  const stopped = untilReplicated(ports(['1'], ['', ''], 2).ports, committed, CONNECTION, () => true);
  await expect(stopped).rejects.toThrow('stopped');
  expect(await untilReplicated(ports([], ['', '']).ports, committed, CONNECTION, () => false)).toBe('OK');
});

it('is asked for anew on a new connection, which has written nothing of its own, and may lead to who does not have it', async () => {
  const kept = ports(['OK', '2'], ['', ''], 2);
  expect(await untilReplicated(kept.ports, committed, 'the one before', () => false)).toBe('OK');
  expect(kept.asked).toEqual(['eval', 'call']);
  const lost = ports(['FENCED'], ['', ''], 2);
  expect(await untilReplicated(lost.ports, committed, 'the one before', () => false)).toBe('FENCED');
});
