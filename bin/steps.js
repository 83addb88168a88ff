// Numbered steps with elapsed and expected time, and child processes whose output goes to a log file.

import { spawn } from 'node:child_process';
import { createWriteStream, mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const PROJECT = fileURLToPath(new URL('..', import.meta.url));
export const STATE = path.join(PROJECT, '.flywheel');
export const LOGS = path.join(STATE, 'logs');

const TAIL_LINES = 20;
const STATUS_EVERY_MS = 1000;
const HEARTBEAT_EVERY_MS = 30_000;

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/** A failure that is told to the user as it is, without a stack trace. */
export class StepError extends Error {}

/**
 * Shows steps as they run; several may run at once.
 * @param {number} total how many steps the whole command has
 */
export function createSteps(total) {
  /** @type {Map<string, number>} */
  const active = new Map();
  let number = 0;
  let lastHeartbeat = performance.now();

  const status = () => {
    if (active.size === 0) return;
    const parts = [...active].map(
      ([name, startedAt]) => `${name} ${duration(performance.now() - startedAt)}`,
    );
    if (process.stdout.isTTY) {
      process.stdout.write(`\r\x1b[2K      ${parts.join(' · ')}`);
    } else if (performance.now() - lastHeartbeat > HEARTBEAT_EVERY_MS) {
      lastHeartbeat = performance.now();
      process.stdout.write(`      still at it: ${parts.join(' · ')}\n`);
    }
  };
  const print = (line) => {
    if (process.stdout.isTTY) process.stdout.write('\r\x1b[2K');
    process.stdout.write(`${line}\n`);
  };

  return {
    /** How many steps have begun. */
    count: () => number,
    /**
     * @param {string} name
     * @param {number} expectedSeconds shown beforehand
     * @param {() => Promise<string | void>} work resolves with a remark on how it went
     */
    async run(name, expectedSeconds, work) {
      number += 1;
      const label = `[${number}/${total}] ${name}`;
      print(`${label} (about ${duration(expectedSeconds * 1000)})`);
      const startedAt = performance.now();
      active.set(name, startedAt);
      const timer = setInterval(status, STATUS_EVERY_MS);
      try {
        const remark = await work();
        print(`${label}: ${remark ?? 'done'} after ${duration(performance.now() - startedAt)}`);
      } finally {
        clearInterval(timer);
        active.delete(name);
      }
    },
  };
}

/** @param {number} ms */
export function duration(ms) {
  const seconds = ms / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 100) return `${Math.round(seconds)} s`;
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

/**
 * Runs a command with its output in `.flywheel/logs/<log>.log`; rejects with the log's tail when it fails. A log that cannot be written
 * is told of, and the command goes on to its end without it: it must not be left alone in the middle of its work.
 * @param {string} log
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ env?: Record<string, string> }} [options]
 * @returns {Promise<void>}
 */
export function runLogged(log, command, args, options = {}) {
  const file = path.join(LOGS, `${log}.log`);
  try {
    mkdirSync(LOGS, { recursive: true });
  } catch (error) {
    return Promise.reject(new StepError(`${relative(file)} cannot be written: ${error.message}`));
  }
  const stream = createWriteStream(file);
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: PROJECT,
      env: { ...process.env, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const letGo = onSignals((signal) => {
      child.kill(signal);
      sayStopped(signal);
      setImmediate(() => process.exit(130));
    });
    let unwritten;
    stream.on('error', (error) => {
      unwritten ??= error;
      // Read on all the same: nobody who writes into a full pipe comes to an end.
      for (const output of [child.stdout, child.stderr]) output.unpipe(stream).resume();
    });
    child.stdout.pipe(stream, { end: false });
    child.stderr.pipe(stream, { end: false });
    child.on('error', (error) => reject(new StepError(`${command} cannot be started: ${error.message}`)));
    child.on('close', (code, signal) => {
      letGo();
      // It is told of a fault of the last write before 'error' is.
      stream.end((fault) => {
        unwritten ??= fault;
        const noLog = unwritten ? `${relative(file)} cannot be written: ${unwritten.message}` : undefined;
        if (code === 0) {
          if (noLog !== undefined) process.stderr.write(`${noLog}\n`);
          resolve();
          return;
        }
        const ending = signal === null ? `failed with code ${code}` : `was ended by ${signal}`;
        const why = noLog ?? `The last lines of ${relative(file)}:\n${tail(file)}`;
        reject(new StepError(`${command} ${args.join(' ')} ${ending}. ${why}`));
      });
    });
  });
}

/**
 * Runs Node with this terminal; resolves with its exit code.
 * @param {readonly string[]} args
 * @returns {Promise<number>}
 */
export function runForeground(args) {
  const child = spawn(process.execPath, args, { cwd: PROJECT, stdio: 'inherit' });
  // In a terminal Ctrl-C reaches the child by itself; it shuts down in order, and this process waits for it.
  const letGo = onSignals((signal) => {
    if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code) => {
      letGo();
      resolve(code ?? 1);
    });
  });
}

let saidStopped = false;

/** Once, though several steps may run at a time. */
function sayStopped(signal) {
  if (saidStopped) return;
  saidStopped = true;
  process.stdout.write(
    `\nStopped by ${signal}: what is done is kept, the next start goes on with the rest.\n`,
  );
}

/** A child ends with this process, also when only this process gets the signal. Returns how to stop listening. */
function onSignals(listener) {
  for (const signal of SIGNALS) process.on(signal, listener);
  return () => {
    for (const signal of SIGNALS) process.off(signal, listener);
  };
}

function relative(file) {
  return path.relative(process.cwd(), file);
}

function tail(file) {
  return readFileSync(file, 'utf8')
    .trimEnd()
    .split('\n')
    .slice(-TAIL_LINES)
    .map((line) => `  ${line}`)
    .join('\n');
}
