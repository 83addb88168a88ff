// Who calls with which key, and what became of it. Labels are bounded: names come from the keys file, and only so many of them.
import { Counter, Gauge, type Registry } from 'prom-client';
import type { ApiKeys } from './authentication.ts';
import type { ServeClock } from './dependencies.ts';

/** Further names are counted together. */
const LABELLED_NAMES_MAX = 200;
const OTHER = 'other';
const EXPIRES_SOON_MS = 7 * 24 * 60 * 60 * 1_000;

export type KeyOutcome =
  | 'accepted'
  | 'limited'
  | 'forbidden'
  | 'expired'
  | 'revoked'
  /** A key that is not ours; counted without a name, as those below. */
  | 'unknown'
  | 'missing';

export interface KeyMetrics {
  /** @param name null where no key of ours was presented */
  count(name: string | null, outcome: KeyOutcome): void;
  limited(name: string | null, limit: 'requests' | 'events' | 'address'): void;
}

interface Ports {
  readonly registry: Registry;
  readonly keys: ApiKeys;
  readonly clock: ServeClock;
}

/** Remembers the first names and calls all others the same. */
function boundedLabel(): (name: string | null) => string {
  const labelled = new Set<string>();
  return (name) => {
    if (name === null) return '';
    if (labelled.has(name)) return name;
    if (labelled.size === LABELLED_NAMES_MAX) return OTHER;
    labelled.add(name);
    return name;
  };
}

export function keyMetrics({ registry, keys, clock }: Ports): KeyMetrics {
  const label = boundedLabel();
  const registers = [registry];
  const requests = new Counter({
    name: 'flywheel_key_requests_total',
    help: 'Requests to routes that need a key, by its name and what became of them; no name: no key of ours.',
    labelNames: ['key', 'outcome'],
    registers,
  });
  const limited = new Counter({
    name: 'flywheel_key_limited_total',
    help: 'Requests answered 429, by the name of the key and the limit (requests, events, address).',
    labelNames: ['key', 'limit'],
    registers,
  });
  new Gauge({
    name: 'flywheel_key_expires_in_seconds',
    help: 'Time until a key expires, for those with at most 7 days left; replaced: another one is there already.',
    labelNames: ['key', 'replaced'],
    registers,
    collect() {
      this.reset();
      const nowMs = clock.nowMs();
      const soon = [...keys.all()]
        .filter(({ isRevoked, expiresAtMs }) => !isRevoked && expiresAtMs > nowMs)
        .filter(({ expiresAtMs }) => expiresAtMs - nowMs <= EXPIRES_SOON_MS)
        // The last one set stays: of several with the same labels, the one that ends first.
        .sort((a, b) => b.expiresAtMs - a.expiresAtMs);
      for (const { name, isReplaced, expiresAtMs } of soon) {
        this.set({ key: label(name), replaced: String(isReplaced) }, (expiresAtMs - nowMs) / 1_000);
      }
    },
  });
  return {
    count: (name, outcome) => requests.inc({ key: label(name), outcome }),
    limited: (name, limit) => limited.inc({ key: label(name), limit }),
  };
}
