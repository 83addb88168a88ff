// What a viewer of the live debugger gets, as server-sent events (HTML standard, section 9.2).
import type { LiveEvent, LiveInterest } from '../../domain/live.ts';
import { isoOrNull } from '../answer.ts';

/** What a client waits before it comes back by itself. */
const RETRY_MS = 1_000;

function frame(event: string, data: unknown, id?: string): string {
  // JSON has no line breaks of its own, so that one `data:` line holds it.
  return `${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}

export const heartbeatFrame = ': still here\n\n';

/**
 * The first event: what is watched as it was understood, so that a mistyped key is not just silence.
 * @param unknown what of it is not known here, in words
 * @param resumed null if the client did not say what it had last
 */
export function openFrame(
  watching: LiveInterest,
  resumed: boolean | null,
  unknown: readonly string[] = [],
): string {
  const note =
    resumed === false
      ? 'live only: what came since your Last-Event-ID is not held here, or not all of it'
      : 'live only: what was before is in ClickHouse';
  return `retry: ${RETRY_MS}\n${frame('open', {
    watching,
    resumed,
    ...(resumed === true ? {} : { note }),
    ...(unknown.length === 0 ? {} : { unknown }),
  })}`;
}

/** Every stream process looks now, and what it tells comes here. */
export const readyFrame = frame('ready', {});

export function droppedFrame(count: number, by: 'reader' | 'stream'): string {
  const why =
    by === 'reader' ? 'you read too slowly' : 'there was more than the stream shows in a second: filter';
  return frame('dropped', { count, by, why });
}

/** Nobody knows how many; `ready` follows when nothing is missed any more. */
export const gapFrame = frame('dropped', {
  count: null,
  by: 'connection',
  why: 'serve lost its connection to Redis: what comes until it is ready again is not shown',
});

export function eventFrame({ timeMs, receivedMs, watermarkMs, ...event }: LiveEvent): string {
  const data = {
    ...event,
    time: isoOrNull(timeMs),
    receivedAt: isoOrNull(receivedMs),
    watermark: isoOrNull(watermarkMs),
  };
  return frame('event', data, event.id);
}
