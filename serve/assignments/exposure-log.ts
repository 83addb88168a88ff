// Exposures on their way into the log: behind the answer, acknowledged, bounded. The same exposure is not written
// again and again; a repeat would do no harm, because the first one counts and message ids repeat with it (`exposures_once`).
import { createHash } from 'node:crypto';
import type { ExposureRecord } from '../../domain/buyer-record.ts';
import { RecentKeys } from '../recent-keys.ts';
import type { ExposureToLog } from './evaluate.ts';

/** Exposures that wait for Kafka's word at once. Beyond, the answer is given, and the loss counted and logged. */
const PENDING_MAX = 10_000;
/** Exposures that are remembered as written. */
const REMEMBERED_MAX = 200_000;
/** How long a shutdown waits for what is on its way. */
const CLOSE_WAIT_MS = 10_000;

export interface ExposureLogPorts {
  /** Appends to `events` under the buyer's key; settles when Kafka has it, or never will. */
  append(record: ExposureRecord): Promise<void>;
  nowMs(): number;
  /** An exposure that will not be in the log, with the reason. */
  lost(record: ExposureRecord, reason: 'full' | 'failed', cause?: unknown): void;
}

/** The same for the same exposure, whoever writes it: repeats are one by message id. */
export function exposureMessageId(exposure: ExposureToLog): string {
  const parts = [exposure.key, exposure.experiment, String(exposure.revision), exposure.variant];
  return `exposure-${createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 40)}`;
}

/** Opened with the plugin, closed with the server. */
export class ExposureLog {
  readonly #ports: ExposureLogPorts;
  readonly #written = new RecentKeys(REMEMBERED_MAX);
  readonly #pending = new Set<Promise<void>>();

  constructor(ports: ExposureLogPorts) {
    this.#ports = ports;
  }

  get pendingCount(): number {
    return this.#pending.size;
  }

  /** Takes an exposure unless it was written before; never waits, never throws. */
  take(exposure: ExposureToLog): void {
    const { key, experiment, revision, variant, reason } = exposure;
    // What most evaluations are is a repeat: they shall not cost a hash.
    const name = JSON.stringify([key, experiment, revision, variant]);
    if (!this.#written.add(name)) return;
    const messageId = exposureMessageId(exposure);
    const timestamp = this.#ports.nowMs();
    const record: ExposureRecord = {
      kind: 'exposure',
      messageId,
      key,
      experiment,
      revision,
      variant,
      reason,
      timestamp,
    };
    if (this.#pending.size >= PENDING_MAX) {
      this.#written.delete(name);
      this.#ports.lost(record, 'full');
      return;
    }
    const sent = this.#ports
      .append(record)
      .catch((cause: unknown) => {
        // Forgotten, so that the next evaluation tries again.
        this.#written.delete(name);
        this.#ports.lost(record, 'failed', cause);
      })
      .finally(() => this.#pending.delete(sent));
    this.#pending.add(sent);
  }

  /** Waits, up to a limit, until Kafka has answered for everything that was taken. */
  async close(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, CLOSE_WAIT_MS);
    });
    await Promise.race([Promise.all(this.#pending), limit]);
    clearTimeout(timer);
  }
}
