// The receivers' signing secrets: a file of its own beside the keys, readable by its owner alone. They never stand in a
// definition, so neither in the log, in ClickHouse nor in git.
import { randomBytes } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { z } from 'zod';
import { PlatformError } from './platform-error.ts';
import { adviceOn, leftBehind, lockFile, writePrivate } from './private-file.ts';

/** Standard Webhooks: `whsec_` and the base64 of 24 to 64 random bytes. */
const secret = z.string().regex(/^whsec_[A-Za-z0-9+/]{32,88}={0,2}$/);
/** More than one while a secret is exchanged: each message is signed with all of them. */
const secretsFile = z.record(z.string(), z.array(secret).min(1).max(4));
type Secrets = z.infer<typeof secretsFile>;
const SECRET_BYTES = 32;

export interface WebhookSecrets {
  /** The signing keys of that name, the newest first; none if the file has none. The file is read again when it changed. */
  keysOf(name: string): Promise<readonly Buffer[]>;
}

/** @throws PlatformError SECRETS_UNREADABLE */
async function readSecrets(file: string): Promise<Secrets> {
  try {
    return secretsFile.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw new PlatformError(
      'SECRETS_UNREADABLE',
      `the webhook secrets in ${file} cannot be read: it must be JSON of lists of whsec_… by name`,
      { cause },
    );
  }
}

/** The file was not opened or not read: what stands in it is not known. */
function isOfSystem(error: unknown): boolean {
  return ((error as Error).cause as NodeJS.ErrnoException | undefined)?.code !== undefined;
}

/**
 * A file that cannot be read, such as one that somebody is writing, leaves the secrets that were read before.
 * @param warn told of it, once for each change of the file; and at first, of a file that is elsewhere
 */
export function openWebhookSecrets(file: string, warn: (message: string) => void): WebhookSecrets {
  let readAt = -1;
  let warnedAt: number | undefined;
  let secrets: Promise<Secrets> = Promise.resolve({});
  const former = leftBehind(file);
  if (former !== undefined)
    warn(`there are no webhook secrets at ${file}: ${adviceOn(former, 'JOBS_SECRETS_FILE')}`);
  async function readOrKeep(before: Promise<Secrets>, changedAt: number): Promise<Secrets> {
    try {
      return await readSecrets(file);
    } catch (error) {
      if (warnedAt !== changedAt)
        warn(`${(error as Error).message}; until it can, those from before go on signing`);
      warnedAt = changedAt;
      // What was no secrets is read again when it has changed; what could not be opened, at the next question.
      if (isOfSystem(error)) readAt = -1;
      return before;
    }
  }
  return {
    async keysOf(name) {
      const changedAt = await stat(file).then(
        ({ mtimeMs }) => mtimeMs,
        () => -1,
      );
      if (changedAt !== readAt) {
        readAt = changedAt;
        secrets = readOrKeep(secrets, changedAt);
      }
      const read = await secrets;
      const own = Object.hasOwn(read, name) ? read[name]! : [];
      return own.map((text) => Buffer.from(text.slice('whsec_'.length), 'base64'));
    },
  };
}

/**
 * Adds a fresh secret of that name in front; the one before it goes on signing too. Returns it, for the receiver.
 * @throws PlatformError SECRETS_UNREADABLE, KEYS_LOCKED
 */
export async function addWebhookSecret(file: string, name: string): Promise<string> {
  const unlock = await lockFile(file);
  try {
    const secrets = await readSecrets(file);
    const fresh = `whsec_${randomBytes(SECRET_BYTES).toString('base64')}`;
    const before = Object.hasOwn(secrets, name) ? secrets[name]! : [];
    await writePrivate(file, { ...secrets, [name]: [fresh, ...before].slice(0, 2) });
    return fresh;
  } finally {
    await unlock();
  }
}
