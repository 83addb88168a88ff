import { EventEmitter } from 'node:events';
import { expect, it } from 'vitest';
import { type Host, type ProcessWork, runProcess } from '../../cli/run-process.ts';

/** A process that notes what it says and how it ends. */
function hostOf() {
  const noted: string[] = [];
  const signals = new EventEmitter();
  const host: Host = {
    once: (signal, listener) => signals.once(signal, listener),
    stdout: { write: (text) => noted.push(text.trim()) },
    exit: (code) => noted.push(`exit ${code}`),
  };
  return { host, noted, signals };
}

const CLOSE_MS_MAX = 60_000;

it('ends with 0 on a signal, after it has closed', async () => {
  const { host, noted, signals } = hostOf();
  const start: ProcessWork['start'] = async () => ({
    ready: { ready: 'it' },
    close: async () => void noted.push('closed'),
  });
  const ended = runProcess({ start, onError: () => {}, closeMsMax: CLOSE_MS_MAX }, host);
  signals.emit('SIGTERM');
  await ended;
  expect(noted).toEqual(['{"ready":"it"}', 'closed', 'exit 0']);
});

it('closes and ends with 1 when it can no longer do its work, though that was while it started', async () => {
  const { host, noted } = hostOf();
  const start: ProcessWork['start'] = async (fatal) => {
    fatal(new Error('the Kafka producer failed for good'));
    return { ready: {}, close: async () => void noted.push('closed') };
  };
  const onError = (message: string): void => void noted.push(message);
  await runProcess({ start, onError, closeMsMax: CLOSE_MS_MAX }, host);
  expect(noted).toEqual(['the Kafka producer failed for good', '{}', 'closed', 'exit 1']);
});

it('ends with 0 where it is told to before it is ready', async () => {
  const { host, noted, signals } = hostOf();
  const start: ProcessWork['start'] = (_fatal, signal) =>
    new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  const ended = runProcess({ start, onError: () => {}, closeMsMax: CLOSE_MS_MAX }, host);
  signals.emit('SIGTERM');
  await ended;
  expect(noted).toEqual(['exit 0']);
});
