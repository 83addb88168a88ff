// A lane: one Kafka partition's share of a feed, in order, one request in flight. Two in flight could overtake
// each other, and the order of arrival, which decides what is late, would be an accident.
import type { FeedItem } from '../../simulate/feed.ts';
import { BATCH_ITEMS_MAX, type Batch, LANE_ITEMS_MAX, nextBatch } from './batch.ts';

export interface FeedLane {
  /** Resolves when there is room again. @throws what sending failed with */
  push(item: FeedItem): Promise<void>;
  /** Sends what is left and resolves when all is acknowledged. @throws what sending failed with */
  end(): Promise<void>;
}

export interface FeedLaneOptions {
  readonly send: (batch: Batch) => Promise<void>;
  /** Waits for full requests; otherwise sends what is there. */
  readonly fill: boolean;
}

/** Items are sent in the order in which they were pushed. */
export function createFeedLane({ send, fill }: FeedLaneOptions): FeedLane {
  let waiting: FeedItem[] = [];
  let ending = false;
  let sending: Promise<void> | undefined;
  let failure: unknown;
  let room: (() => void) | undefined;

  const ready = (): boolean => waiting.length > 0 && (ending || !fill || waiting.length >= BATCH_ITEMS_MAX);
  const drain = async (): Promise<void> => {
    try {
      while (ready()) {
        const batch = nextBatch(waiting);
        waiting = waiting.slice(batch.items.length);
        room?.();
        await send(batch);
      }
    } catch (error) {
      failure = error;
      waiting = [];
      room?.();
    } finally {
      sending = undefined;
    }
  };
  const start = (): void => {
    if (sending === undefined && ready() && failure === undefined) sending = drain();
  };
  const check = (): void => {
    if (failure !== undefined) throw failure;
  };

  return {
    async push(item) {
      check();
      waiting.push(item);
      start();
      while (waiting.length >= LANE_ITEMS_MAX) {
        await new Promise<void>((resolve) => {
          room = resolve;
        });
      }
      check();
    },
    async end() {
      ending = true;
      start();
      await sending;
      check();
    },
  };
}
