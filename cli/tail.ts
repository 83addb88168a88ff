// `flywheel tail`: the live debugger in a terminal, until Ctrl-C. It comes back by itself when it is cut off.
import type { Command } from 'commander';
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import { type LiveInterest, liveVerdicts } from '../domain/live.ts';
import { readConfig } from '../platform/config.ts';
import { PlatformError } from '../platform/platform-error.ts';
import { problemIn, unreachable } from './ask-serve.ts';
import { type ServeOptions, serveOf } from './secret-key.ts';
import { eventLine, type ShownEvent } from './tail-line.ts';

const RECONNECT_MS_MIN = 500;
const RECONNECT_MS_MAX = 10_000;
const GRACE_MS = 2_000;

interface TailOptions extends ServeOptions {
  readonly key?: string;
  readonly source?: string;
  readonly verdict?: LiveInterest['verdict'];
  readonly json?: true;
  readonly seconds?: string;
}

interface Tail {
  readonly address: string;
  readonly secretKey: string;
  readonly json: boolean;
  /** The last event shown, to go on behind it. */
  lastId: string | undefined;
  /** What serve says that it shows, a filter each; undefined before it has answered for the first time. */
  watching: readonly string[] | undefined;
}

function addressOf(url: string, { key, source, verdict, seconds }: TailOptions): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries({ key, source, verdict, seconds }))
    if (value !== undefined) query.set(name, value);
  return `${url}/v1/events/live?${query}`;
}

/** 0 for what is no number: serve says what is wrong with it. */
function secondsOf(text: string): number {
  return Math.max(0, Number(text) || 0);
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

function show(tail: Tail, { event, data, id }: EventSourceMessage): void {
  switch (event) {
    case 'open': {
      const { watching, resumed, unknown } = JSON.parse(data) as {
        watching: Readonly<Record<string, string>>;
        resumed: boolean | null;
        unknown?: readonly string[];
      };
      tail.watching = Object.entries(watching).map(([what, value]) => `${what} ${value}`);
      for (const what of unknown ?? []) say(what);
      if (resumed === false) say('what came meanwhile is lost: it is live only');
      break;
    }
    case 'ready':
      say(`watching ${tail.watching?.join(', ') || 'everything'}; Ctrl-C ends it`);
      break;
    case 'dropped': {
      const { count, why } = JSON.parse(data) as { count: number | null; why: string };
      say(`${count ?? 'some'} left out: ${why}`);
      break;
    }
    case 'event':
      tail.lastId = id;
      process.stdout.write(
        `${tail.json ? data : eventLine(JSON.parse(data) as ShownEvent, process.stdout.isTTY === true)}\n`,
      );
      break;
  }
}

/** @throws PlatformError for an answer that coming back would not change, and if serve cannot be reached at first */
async function follow(tail: Tail, signal: AbortSignal): Promise<void> {
  const response = await fetch(tail.address, {
    headers: {
      authorization: `Bearer ${tail.secretKey}`,
      ...(tail.lastId === undefined ? {} : { 'last-event-id': tail.lastId }),
    },
    signal,
  }).catch((cause: unknown) => {
    if (signal.aborted || tail.watching !== undefined) throw cause;
    throw unreachable(new URL(tail.address).origin, cause);
  });
  if (!response.ok) {
    const body = await response.text();
    const detail = problemIn(body).detail ?? body;
    if (response.status >= 500) throw new Error(detail);
    throw new PlatformError('SERVE_REFUSED', `serve refuses: ${detail}`);
  }
  const parser = createParser({ onEvent: (message) => show(tail, message) });
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) parser.feed(chunk);
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

async function tailUntil(tail: Tail, once: boolean, signal: AbortSignal): Promise<void> {
  let waitMs = RECONNECT_MS_MIN;
  while (!signal.aborted) {
    try {
      await follow(tail, signal);
      if (once) return;
      waitMs = RECONNECT_MS_MIN;
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof PlatformError) throw error;
      say(`cut off: ${(error as Error).message}; trying again`);
      waitMs = Math.min(waitMs * 2, RECONNECT_MS_MAX);
    }
    await pause(waitMs, signal);
  }
}

async function run(options: TailOptions): Promise<void> {
  const { url, secretKey } = await serveOf(readConfig(), options);
  const stop = new AbortController();
  // Serve ends it in time; what is cut off then is not taken up again.
  if (options.seconds !== undefined)
    setTimeout(() => stop.abort(), secondsOf(options.seconds) * 1_000 + GRACE_MS).unref();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop.abort());
  const tail: Tail = {
    address: addressOf(url, options),
    secretKey,
    json: options.json === true,
    lastId: undefined,
    watching: undefined,
  };
  await tailUntil(tail, options.seconds !== undefined, stop.signal);
}

export function register(program: Command): void {
  const command = program.command('tail');
  command
    .description('show each event as it happens: verdict, reason, buyer, what it changed; until Ctrl-C')
    .option('--key <key>', 'only this buyer: u:<userId>, a:<anonymousId> or a user id')
    .option('--source <name>', 'only what came by this write key')
    .addOption(command.createOption('--verdict <verdict>', 'only these').choices(liveVerdicts))
    .option('--json', 'one JSON document a line')
    .option('--seconds <n>', 'end after so long')
    .option('--url <url>', 'address of serve (default: FLYWHEEL_URL, or SERVE_HOST and SERVE_PORT)')
    .option('--keys-file <file>', 'holds the secret key (default: SECRET_KEY, or keys.json in FLYWHEEL_DIR)')
    .action(run);
}
