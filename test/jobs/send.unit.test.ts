// Attempts that are under way at once.
import { getEventListeners } from 'node:events';
import { expect, it } from 'vitest';
import type { publicLookup } from '../../jobs/address.ts';
import { createSender } from '../../jobs/send.ts';

// Each attempt listens to the end of the turn: the eleventh at once was told to be a leak, in the log of every engine of many receivers.
it('may be more than ten on the signal of one turn, and leave nothing on it', async () => {
  const lookup = ((_name, _options, done) => done(new Error('there is no such name'), [])) as ReturnType<
    typeof publicLookup
  >;
  const sender = createSender({ allowedHosts: [], lookup });
  const warnings: string[] = [];
  const note = ({ message }: Error): void => void warnings.push(message);
  process.on('warning', note);
  const turn = new AbortController();
  const signal = AbortSignal.any([turn.signal]);
  const attempt = {
    ...{ url: 'https://receiver.example', headers: {}, body: '{}', timeoutMs: 5_000 },
    ...{ mayStart: () => true, signal },
  };
  const answers = await Promise.all(Array.from({ length: 24 }, () => sender.send(attempt)));
  await sender.close();
  process.off('warning', note);
  expect(new Set(answers.map(({ detail }) => detail))).toEqual(new Set(['there is no such name']));
  expect(warnings).toEqual([]);
  expect(getEventListeners(signal, 'abort')).toEqual([]);
});
