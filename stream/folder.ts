// One batch through the fold: decode ▶ load ▶ fold, some records at a time, until it is cut.

import { newBatch } from './batch.ts';
import { type Decoded, decode, type Message } from './decode.ts';
import type { Fold } from './fold-time.ts';
import type { Loader } from './loading.ts';
import type { MessageQueue } from './message-queue.ts';
import type { OwnerParts } from './owner-parts.ts';
import { type FoldOutcome, foldRecord } from './process.ts';
import { createTimerQueue } from './timers.ts';
import type { Work } from './work.ts';

/** Records that are decoded at a time: few enough to be garbage before the collector would have to copy them. */
const DECODED_MAX = 256;

interface BegunBatch {
  readonly fold: Fold;
  /** How many of the messages that wait, from the first on. */
  readonly count: number;
  readonly startedMs: number;
  /** When its first message was appended. */
  readonly oldestAppendMs: number;
}

export interface FoldedBatch extends BegunBatch {
  /** How many of these; the next batch begins with the others. */
  readonly folded: number;
  /** Offsets before them that held no record. */
  readonly skipped: number;
}

export interface Folder {
  /**
   * Folds the first of the messages that wait, none from offset `holdAt` on, and leaves them there. Undefined if it is called off
   * before its turn comes: then nothing is folded.
   * @param untilQuiet what is done beside the waiting ends here: nothing is changed before
   */
  fold(
    waiting: MessageQueue,
    holdAt: number | null,
    isCalledOff: () => boolean,
    untilQuiet: () => Promise<void>,
  ): Promise<FoldedBatch | undefined>;
}

type Ports = Pick<OwnerParts, 'limits' | 'bugs' | 'live' | 'turn' | 'gates'>;

export function createFolder(work: Work, loader: Loader, { limits, bugs, live, turn, gates }: Ports): Folder {
  function first(waiting: MessageQueue, holdAt: number | null): { count: number; bytes: number } {
    const { batchMax, batchBytesMax, batchKeysMax } = limits;
    const records = Math.min(batchMax, holdAt === null ? batchMax : holdAt - work.head.offset);
    return waiting.within({ records, bytes: batchBytesMax, keys: batchKeysMax });
  }

  function begin(waiting: MessageQueue, holdAt: number | null): BegunBatch {
    const startedMs = performance.now();
    const { count, bytes } = first(waiting, holdAt);
    const fold: Fold = {
      batch: newBatch(work.head.offset, count, bytes),
      timers: createTimerQueue([]),
      timersLeft: work.inForce.definitions.settings.timersPerCommit,
      looksAgain: false,
      bugs,
      live: live.begin(),
    };
    loader.begin();
    return { fold, count, startedMs, oldestAppendMs: waiting.peek()!.appendMs };
  }

  function next(fold: Fold, message: Message, decoded: Decoded): FoldOutcome {
    // Offsets in between hold no record, only markers of a transaction: they come to nothing.
    if (message.offset > work.head.offset) work.head.offset = message.offset;
    if (message.offset < work.head.offset) {
      const { topic, partition } = work.id;
      throw new Error(
        `${topic} ${partition}: expected offset ${work.head.offset}, the log gave ${message.offset}`,
      );
    }
    return foldRecord(work, fold, message, decoded);
  }

  /**
   * For each piece of a large batch, the keys that stand in no later piece: their states are done with, as a rule. One who comes once
   * in a batch, as most do, is an object for as long as its piece.
   */
  function lastInPiece(keys: readonly (string | null)[]): string[][] {
    const pieces = Array.from({ length: Math.ceil(keys.length / DECODED_MAX) }, (): string[] => []);
    const later = new Set<string>();
    for (let index = keys.length - 1; index >= 0; index -= 1) {
      const key = keys[index]!;
      if (key === null || later.has(key)) continue;
      later.add(key);
      pieces[Math.floor(index / DECODED_MAX)]!.push(key);
    }
    return pieces;
  }

  /** Folds some of the messages, until the batch is cut; returns how many. */
  async function foldSome(fold: Fold, messages: readonly Message[], holdAt: number | null): Promise<number> {
    const decoded = messages.map((message) => decode(work.id.topic, message));
    await loader.load(decoded, fold.timers);
    for (let index = 0; index < messages.length; index += 1) {
      const message = messages[index]!;
      if (holdAt !== null && message.offset >= holdAt) {
        work.head.offset = holdAt;
        return index;
      }
      const outcome = next(fold, message, decoded[index]!);
      if (outcome !== 'folded') return outcome === 'cut' ? index : index + 1;
    }
    return messages.length;
  }

  async function foldAll(
    waiting: MessageQueue,
    begun: BegunBatch,
    holdAt: number | null,
  ): Promise<FoldedBatch> {
    const { fold, count } = begun;
    loader.renewMaps();
    const lastKeys = count > DECODED_MAX ? lastInPiece(waiting.keys(count)) : [];
    let folded = 0;
    for (let from = 0; from === folded && from < count && !fold.looksAgain; from += DECODED_MAX) {
      if (from > 0) await turn();
      folded += await foldSome(fold, waiting.slice(from, Math.min(count, from + DECODED_MAX)), holdAt);
      for (const key of lastKeys[from / DECODED_MAX] ?? []) if (work.changed.has(key)) work.states.pack(key);
    }
    loader.learn(fold.timers, fold.looksAgain);
    if (folded > 0) {
      const [{ offset, appendMs }] = waiting.slice(folded - 1, folded) as [Message];
      work.head.last = { offset, appendMs };
    }
    return { ...begun, folded, skipped: work.head.offset - fold.batch.from - folded };
  }

  return {
    async fold(waiting, holdAt, isCalledOff, untilQuiet) {
      if (waiting.length <= DECODED_MAX) {
        await turn();
        await untilQuiet();
        return isCalledOff() ? undefined : foldAll(waiting, begin(waiting, holdAt), holdAt);
      }
      // Many records: their states come while another batch is folded.
      return gates.prepare(async () => {
        if (isCalledOff()) return undefined;
        const begun = begin(waiting, holdAt);
        await loader.fetch(waiting.keys(begun.count), begun.fold.timers);
        return gates.fold(async () => {
          // The one before is about to commit: its commit goes first.
          await turn();
          await untilQuiet();
          return isCalledOff() ? undefined : foldAll(waiting, begun, holdAt);
        });
      });
    },
  };
}
