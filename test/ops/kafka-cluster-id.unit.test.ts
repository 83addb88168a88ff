// One start in 64 failed: Kafka's tool took a cluster id with a leading dash for an option.
import { expect, it } from 'vitest';
import { newClusterId } from '../../ops/local/kafka.ts';

it('never begins with a dash', () => {
  const draws = [Buffer.alloc(16, 0xf8), Buffer.alloc(16, 0xfb), Buffer.alloc(16, 1)];
  expect(draws[0]!.toString('base64url')).toMatch(/^-/);
  expect(newClusterId(() => draws.shift()!)).toBe(Buffer.alloc(16, 1).toString('base64url'));
  expect(draws).toHaveLength(0);
});
