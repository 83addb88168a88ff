// Times that commands are given: what JavaScript would guess is no time.
import { expect, it } from 'vitest';
import { isoTimeMs, parseIsoTime } from '../../cli/iso-time.ts';

it('reads days and times of ISO 8601', () => {
  expect(isoTimeMs('2027-01-31')).toBe(Date.UTC(2027, 0, 31));
  expect(isoTimeMs('2027-01-31T12:30:00Z')).toBe(Date.UTC(2027, 0, 31, 12, 30));
  expect(isoTimeMs('2027-01-31T12:30:00.250+02:00')).toBe(Date.UTC(2027, 0, 31, 10, 30, 0, 250));
  // Whatever zone the machine is in.
  expect(isoTimeMs('2027-01-31T12:30')).toBe(Date.UTC(2027, 0, 31, 12, 30));
});

it.each([
  '-5',
  '12.5',
  '2027',
  '1',
  'yesterday',
  '',
  '2026-13-45',
  '31.01.2027',
  '2027-01-31 or so',
  '2026-02-30',
])('takes %j for none', (text) => {
  expect(isoTimeMs(text)).toBeUndefined();
  expect(() => parseIsoTime(text)).toThrow('must be an ISO 8601 time');
});
