// The period that a query asks for: what JavaScript would guess is no time.
import { expect, it } from 'vitest';
import { periodOf } from '../../serve/reports/period.ts';

const nowMs = Date.UTC(2026, 2, 15);

it('reads days and times of ISO 8601, and as UTC where no offset is given', () => {
  expect(periodOf({ from: '2026-02-28', to: '2026-03-01T12:30:00' }, nowMs)).toEqual({
    fromMs: Date.UTC(2026, 1, 28),
    toMs: Date.UTC(2026, 2, 1, 12, 30),
  });
  expect(periodOf({ from: '2026-03-01T12:30:00.250+02:00' }, nowMs)).toEqual({
    fromMs: Date.UTC(2026, 2, 1, 10, 30, 0, 250),
    toMs: nowMs,
  });
});

// 30 February was read as 2 March, and 5 as a day in 2001.
it.each([
  '2026-02-30',
  '2026-02-30T00:00:00.000Z',
  '2025-02-29',
  '2026-04-31T12:00:00+02:00',
  '2026-13-01',
  '5',
  'May 2026',
])('takes %s for none', (text) => {
  expect(() => periodOf({ from: text }, nowMs)).toThrow('from must be a time by ISO 8601');
  expect(() => periodOf({ to: text }, nowMs)).toThrow('to must be a time by ISO 8601');
});
