// What the stream tells, as it comes by Redis Pub/Sub: a connection of its own while somebody looks, and the latest events
// for viewers who come back.
import type { LiveEvent } from '../../domain/live.ts';
import { liveChannel } from '../../platform/keys.ts';
import type { LiveMessage } from '../../platform/live.ts';
import { duplicateOf, type RedisClient } from '../../platform/redis.ts';
import type { Dependencies } from '../dependencies.ts';

/** Held for viewers who come back. */
const RECENT_MAX = 1_000;

export interface Missed {
  readonly events: readonly LiveEvent[];
  /** Others that the stream left out meanwhile. */
  readonly skipped: number;
}

interface Held {
  readonly event: LiveEvent;
  readonly cameMs: number;
  /** How many the stream had left out when it came. */
  readonly skippedBefore: number;
}

export interface Subscription {
  /** Resolves when it listens. @throws the client's error; then it does not */
  open(): Promise<void>;
  /** It was open, and now its connection is away: nothing comes. */
  isBroken(): boolean;
  /** What came behind the event of this id; undefined if that is not held, or came before `fromMs` (monotonic). */
  since(id: string, fromMs: number): Missed | undefined;
  close(): void;
}

export interface Told {
  /** A message, after its events are held. */
  take(message: LiveMessage): void;
  /** The connection broke, said once until it listens again: what is told from now on does not come, and what was held is no whole any more. */
  lost(): void;
  /** It listens again. */
  back(): void;
}

export function createSubscription(
  { redis, namespace, log, clock }: Pick<Dependencies, 'redis' | 'namespace' | 'log' | 'clock'>,
  told: Told,
): Subscription {
  const channel = liveChannel(namespace);
  let connection: Promise<RedisClient> | undefined;
  /** How often it was let go: a connection of before that comes about late is none of those that are heeded. */
  let closings = 0;
  let listening: RedisClient | undefined;
  let broken = false;
  let recent: Held[] = [];
  /** By all messages together. */
  let skipped = 0;

  /** One that is closed by us breaks too, and nobody is to hear of it. Each vain attempt to come back closes as well. */
  function heedBreaks(own: RedisClient): void {
    own.on('close', () => {
      if (listening !== own || broken) return;
      broken = true;
      recent = [];
      told.lost();
    });
    own.on('ready', () => {
      if (listening !== own || !broken) return;
      broken = false;
      told.back();
    });
  }

  async function connect(): Promise<RedisClient> {
    const before = closings;
    const own = duplicateOf(redis);
    own.on('error', (error: Error) => log.warn(`live: ${error.message}`));
    own.on('message', (_channel: string, text: string) => {
      // What cannot be shown must not end the process that answers everything else.
      try {
        const message = JSON.parse(text) as LiveMessage;
        const cameMs = clock.monotonicMs();
        skipped += message.skipped;
        const held = message.events.map((event): Held => ({ event, cameMs, skippedBefore: skipped }));
        recent = [...recent, ...held].slice(-RECENT_MAX);
        told.take(message);
      } catch (error) {
        log.warn(`live: what the stream told could not be shown: ${(error as Error).stack ?? String(error)}`);
      }
    });
    try {
      await own.subscribe(channel);
      if (before === closings) {
        listening = own;
        heedBreaks(own);
      }
      return own;
    } catch (error) {
      own.disconnect();
      throw error;
    }
  }

  function close(): void {
    closings += 1;
    void connection?.then((own) => own.disconnect()).catch(() => {});
    connection = undefined;
    listening = undefined;
    broken = false;
    recent = [];
  }

  return {
    async open() {
      connection ??= connect();
      const opened = connection;
      try {
        await opened;
      } catch (error) {
        // Else another has taken its place.
        if (connection === opened) close();
        throw error;
      }
    },
    isBroken: () => broken,
    since(id, fromMs) {
      const at = recent.findLastIndex(({ event }) => event.id === id);
      if (at === -1 || recent[at]!.cameMs < fromMs) return undefined;
      const events = recent.slice(at + 1).map(({ event }) => event);
      return { events, skipped: skipped - recent[at]!.skippedBefore };
    },
    close,
  };
}
