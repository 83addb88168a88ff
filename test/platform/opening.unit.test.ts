import { setImmediate as turn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { openOrClose } from '../../platform/opening.ts';

it('closes what is open, the last first, when it is told to end while it waits; what opens afterwards is closed at once', async () => {
  const closed: string[] = [];
  const ending = new AbortController();
  let goOn = (): void => {};
  const waiting = new Promise<void>((resolve) => (goOn = resolve));
  const opening = openOrClose(async (parts) => {
    parts.add(() => closed.push('first'));
    parts.add(() => closed.push('second'));
    await waiting;
    parts.add(() => closed.push('late'));
  }, ending.signal);
  ending.abort(new Error('SIGTERM'));
  await expect(opening).rejects.toThrow('SIGTERM');
  expect(closed).toEqual(['second', 'first']);
  goOn();
  await turn();
  expect(closed).toEqual(['second', 'first', 'late']);
});
