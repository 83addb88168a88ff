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

export function keysFileMetrics(registry: Registry) {
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
  let timer: NodeJS.Timeout | undefined;

  function taken(hashed: HashedKeys): void {
    current = apiKeys(hashed);
    fault = null;
    metrics.broken.set(0);
    metrics.reloads.inc({ outcome: 'taken' });
    log.info('the API keys have changed', { file });
  }

  function refused(message: string, isOther: boolean): void {
    metrics.broken.set(1);
    if (message === fault && !isOther) return;
    fault = message;
    metrics.reloads.inc({ outcome: 'refused' });
    log.error('the API keys cannot be read; those before stay in force', { file, error: message });
  }

  async function check(): Promise<void> {
    const found = await versionOf(file);
    // A file that cannot be read is asked again, even if its time does not tell that somebody goes on writing it.
    if (found === known && fault === null) return;
    const read = await readHashedKeys(file).catch((error: Error) => error);
    if (timer === undefined) return;
    if (read instanceof Error) refused(read.message, found !== known);
    else taken(read);
    known = found;
  }

  function again(): void {
    timer = setTimeout(() => {
      void check().finally(() => {
        if (timer !== undefined) again();
      });
    }, CHECK_MS).unref();
  }
  again();
  return {
    keys: { find: (key) => current.find(key), all: () => current.all() },
    close: () => {
      clearTimeout(timer);
      timer = undefined;
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
