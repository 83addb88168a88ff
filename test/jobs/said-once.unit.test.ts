import { expect, it } from 'vitest';
import { saidOnce } from '../../jobs/said-once.ts';

it('a warning that comes again and again is said once a minute, another one at once', () => {
  const said: string[] = [];
  let nowMs = 5;
  const warn = saidOnce(
    (message) => said.push(message),
    () => nowMs,
  );
  for (let times = 0; times < 100; times += 1) warn('no secret');
  warn('another');
  nowMs = 60_004;
  warn('no secret');
  expect(said).toEqual(['no secret', 'another']);
  nowMs = 60_005;
  warn('no secret');
  expect(said).toEqual(['no secret', 'another', 'no secret']);
});
