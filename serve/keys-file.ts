// The keys of this process follow the file of hashed keys: a change is in force within a second, a broken file changes nothing.
import { stat } from 'node:fs/promises';
import { Counter, Gauge, type Registry } from 'prom-client';
import { type HashedKeys, readHashedKeys } from '../platform/hashed-keys.ts';
import { type ApiKeys, apiKeys } from './authentication.ts';
import type { ServeLog } from './dependencies.ts';

/** Asked, not notified: that works for renamed files, links and mounted secrets alike. */
const CHECK_MS = 500;

export interface KeysFile {
  readonly keys: ApiKeys;
  close(): void;
}

interface Ports {
  readonly registry: Registry;
  readonly log: ServeLog;
}

function keysFileMetrics(registry: Registry) {
  const registers = [registry];
  return {
    reloads: new Counter({
      name: 'flywheel_keys_file_reloads_total',
      help: 'Changes of the keys file that were taken, and those that were refused because it could not be read.',
      labelNames: ['outcome'],
      registers,
    }),
    broken: new Gauge({
      name: 'flywheel_keys_file_broken',
      help: '1 while the keys file cannot be read: the keys that it had before are in force.',
      registers,
    }),
  };
}

/** What a file's change cannot leave as it was; '' for one that is not there. */
async function versionOf(file: string): Promise<string> {
  try {
    const { ino, size, mtimeNs, ctimeNs } = await stat(file, { bigint: true });
    return [ino, size, mtimeNs, ctimeNs].join('/');
  } catch {
    return '';
  }
}

/**
 * @param initial what `readHashedKeys` gave at start
 * @param version of the file before it was read, so that no change in between is missed
 */
function follow(file: string, initial: HashedKeys, version: string, { registry, log }: Ports): KeysFile {
  const metrics = keysFileMetrics(registry);
  let current = apiKeys(initial);
  let known = version;
  /** Why the file cannot be read, as it was last said; null when it can. */
  let fault: string | null = null;
  let isClosed = false;

  async function check(): Promise<void> {
    const found = await versionOf(file);
    // A file that is being written is asked again, even if its time does not tell that it went on.
    if (found === known && fault === null) return;
    try {
      current = apiKeys(await readHashedKeys(file));
      metrics.reloads.inc({ outcome: 'taken' });
      log.info('the API keys have changed', { file });
      fault = null;
    } catch (error) {
      const { message } = error as Error;
      if (message !== fault || found !== known) {
        metrics.reloads.inc({ outcome: 'refused' });
        log.error('the API keys cannot be read; those before stay in force', { file, error: message });
      }
      fault = message;
    }
    known = found;
    metrics.broken.set(fault === null ? 0 : 1);
  }

  function again(): void {
    if (!isClosed) setTimeout(() => void check().finally(again), CHECK_MS).unref();
  }
  again();
  return {
    keys: { find: (key) => current.find(key), all: () => current.all() },
    close: () => {
      isClosed = true;
    },
  };
}

/** @throws PlatformError KEYS_UNREADABLE: without keys nobody could be told from anybody */
export async function openKeysFile(
  file: string,
  ports: Ports,
): Promise<KeysFile & { readonly initial: HashedKeys }> {
  const version = await versionOf(file);
  const initial = await readHashedKeys(file);
  return { ...follow(file, initial, version, ports), initial };
}
