// One viewer of the live debugger: a stream of frames with a bounded queue. A slow reader loses the oldest, and is told.
import { Readable } from 'node:stream';
import { type LiveEvent, type LiveInterest, wants } from '../../domain/live.ts';
import { droppedFrame, eventFrame, heartbeatFrame } from './frame.ts';

/** Events that wait for a reader, beside what the connection itself buffers. */
export const QUEUE_MAX = 1_000;
const BUFFER_BYTES = 64 * 1024;
/** Once its stream is over, a viewer who takes nothing for so long is cut off: it would hold its place as long as its connection. */
export const END_MS_MAX = 10_000;

export interface Viewer {
  readonly interest: LiveInterest;
  readonly body: Readable;
  /** Shows the event if the viewer wants it. */
  show(event: LiveEvent): void;
  /** A frame of our own, such as `ready`. */
  say(frame: string): void;
  heartbeat(): void;
  /** Ends behind what is queued, or when nothing of that is taken. */
  end(): void;
}

/** @param limit after so many events the stream ends */
export function openViewer(interest: LiveInterest, limit: number): Viewer {
  let queue: string[] = [];
  let dropped = 0;
  let left = limit;
  let ended = false;
  let wanting = false;
  let cutOff: NodeJS.Timeout | undefined;
  /** Of the body, when `cutOff` began. */
  let untaken = 0;

  function flush(): void {
    if (wanting && dropped > 0) {
      wanting = body.push(droppedFrame(dropped, 'reader'));
      dropped = 0;
    }
    let sent = 0;
    while (wanting && sent < queue.length) {
      wanting = body.push(queue[sent]);
      sent += 1;
    }
    queue = sent === queue.length ? [] : queue.slice(sent);
    if (ended && queue.length === 0 && !body.readableEnded && !body.destroyed) body.push(null);
  }

  const body = new Readable({
    highWaterMark: BUFFER_BYTES,
    read() {
      wanting = true;
      flush();
      if (cutOff !== undefined) waitAgain();
    },
  });

  function waitAgain(): void {
    untaken = body.readableLength;
    cutOff?.refresh();
  }

  /** Once the queue is empty the body asks for no more: only what is left of it says that something was taken. */
  function cutOffIfStill(): void {
    if (body.readableLength < untaken) waitAgain();
    else body.destroy();
  }

  function add(frame: string): void {
    if (ended || body.destroyed) return;
    if (queue.length >= QUEUE_MAX) {
      queue.shift();
      dropped += 1;
    }
    queue.push(frame);
    flush();
  }

  return {
    interest,
    body,
    show(event) {
      if (ended || !wants(interest, event)) return;
      add(eventFrame(event));
      left -= 1;
      if (left === 0) this.end();
    },
    say: add,
    heartbeat() {
      if (queue.length === 0) add(heartbeatFrame);
    },
    end() {
      if (ended || body.destroyed) return;
      ended = true;
      cutOff = setTimeout(cutOffIfStill, END_MS_MAX).unref();
      body.once('close', () => clearTimeout(cutOff));
      flush();
      untaken = body.readableLength;
    },
  };
}
