// A kill has met work in hand where a process complains of it, and not where one says that all is well.
import { expect, it } from 'vitest';
import { complaintsIn } from '../../loadtest/faults/kill-parts.ts';

const line = (level: string, message: string): string => `${JSON.stringify({ level, time: '', message })}\n`;

it('counts what is wrong, of all that is said', () => {
  expect(complaintsIn('')).toBe(0);
  expect(complaintsIn(line('info', 'leads the jobs') + line('info', 'taken: {"level":"error"}'))).toBe(0);
  const log = line('warn', 'Kafka: away') + line('info', 'ready') + line('error', 'events 3: away');
  expect(complaintsIn(log)).toBe(2);
});
