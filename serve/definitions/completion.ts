// A publisher that died may have left a revision that some partitions lack: every `serve` completes it after a while.
import type { DefinitionLog } from '../../platform/definition-log.ts';
import type { Publisher } from '../../platform/definition-publish.ts';

/** A publisher that lives has placed its revision by then. */
const PATIENCE_MS = 5_000;
const LOOK_MS = 1_000;

export interface CompletionPorts {
  readonly log: Pick<DefinitionLog, 'isCaughtUp' | 'unplaced'>;
  readonly publisher: Pick<Publisher, 'placeMissing'>;
  /** Milliseconds that never go back. */
  readonly monotonicMs: () => number;
  readonly onWarning: (message: string) => void;
}

/** Completes what has been incomplete for five seconds. Several at once do no harm: partitions drop what they have. */
export function completer({ log, publisher, monotonicMs, onWarning }: CompletionPorts): () => Promise<void> {
  /** When each revision was first seen to be incomplete. */
  let seen = new Map<string, number>();
  return async () => {
    if (!log.isCaughtUp()) return;
    const nowMs = monotonicMs();
    const nameOf = ({ record }: { record: { type: string; id: string; revision: number } }): string =>
      `${record.type}/${record.id}@${record.revision}`;
    seen = new Map(log.unplaced().map((each) => [nameOf(each), seen.get(nameOf(each)) ?? nowMs]));
    const due = [...seen].filter(([, sinceMs]) => nowMs - sinceMs >= PATIENCE_MS).map(([name]) => name);
    if (due.length === 0) return;
    try {
      await publisher.placeMissing((revision) => due.includes(nameOf(revision)));
      onWarning(`definitions that had not reached every partition were completed: ${due.join(', ')}`);
    } catch (error) {
      onWarning(`completing ${due.join(', ')} failed and is tried again: ${(error as Error).message}`);
    }
  };
}

/** Looks every second, one look at a time. Returns the way to stop. */
export function keepComplete(ports: CompletionPorts): () => Promise<void> {
  const complete = completer(ports);
  let timer: NodeJS.Timeout | undefined;
  let closed = false;
  let looking = Promise.resolve();
  const next = (): void => {
    timer = setTimeout(() => {
      looking = complete().finally(() => {
        if (!closed) next();
      });
    }, LOOK_MS);
  };
  next();
  return async () => {
    closed = true;
    clearTimeout(timer);
    await looking;
  };
}
