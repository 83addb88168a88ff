// A kill has met work where some was in hand, and repeated some where a process complains; not where one says that all is well.
import { expect, it } from 'vitest';
import { complaintsIn, verdictOf } from '../../loadtest/faults/kill-parts.ts';

const line = (level: string, message: string): string => `${JSON.stringify({ level, time: '', message })}\n`;

it('counts what is wrong, of all that is said', () => {
  expect(complaintsIn('')).toBe(0);
  expect(complaintsIn(line('info', 'leads the jobs') + line('info', 'taken: {"level":"error"}'))).toBe(0);
  const log = line('warn', 'Kafka: away') + line('info', 'ready') + line('error', 'events 3: away');
  expect(complaintsIn(log)).toBe(2);
});

it('a part that dies with nothing in hand shows nothing, however many complain', () => {
  expect(verdictOf({ lag: 0, unwritten: 0, reread: 40, looks: 1 }, 89)).toEqual({
    bit: false,
    repeated: true,
  });
  expect(verdictOf({ lag: 0, unwritten: 7, reread: 0, looks: 1 }, 0)).toEqual({ bit: true, repeated: false });
  expect(verdictOf({ lag: 2, unwritten: 0, reread: 0, looks: 3 }, 6)).toEqual({ bit: true, repeated: true });
});
