// The receivers' signing secrets: a file of its own beside the keys, readable by its owner alone. They never stand in a
// definition, so neither in the log, in ClickHouse nor in git.
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { PlatformError } from './platform-error.ts';

/** Standard Webhooks: `whsec_` and the base64 of 24 to 64 random bytes. */
const secret = z.string().regex(/^whsec_[A-Za-z0-9+/]{32,88}={0,2}$/);
/** More than one while a secret is exchanged: each message is signed with all of them. */
const secretsFile = z.record(z.string(), z.array(secret).min(1).max(4));
const SECRET_BYTES = 32;

export interface WebhookSecrets {
  /** The signing keys of that name, the newest first; none if the file has none. The file is read again when it changed. */
  keysOf(name: string): Promise<readonly Buffer[]>;
}

/** @throws PlatformError SECRETS_UNREADABLE */
async function readSecrets(file: string): Promise<Record<string, string[]>> {
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

export function openWebhookSecrets(file: string): WebhookSecrets {
  let readAt = -1;
  let secrets: Record<string, string[]> = {};
  return {
    async keysOf(name) {
      const changedAt = await stat(file).then(
        ({ mtimeMs }) => mtimeMs,
        () => -1,
      );
      if (changedAt !== readAt) {
        secrets = await readSecrets(file);
        readAt = changedAt;
      }
      const own = Object.hasOwn(secrets, name) ? secrets[name]! : [];
      return own.map((text) => Buffer.from(text.slice('whsec_'.length), 'base64'));
    },
  };
}

/** Adds a fresh secret of that name in front; the one before it goes on signing too. Returns it, for the receiver. */
export async function addWebhookSecret(file: string, name: string): Promise<string> {
  const secrets = await readSecrets(file);
  const fresh = `whsec_${randomBytes(SECRET_BYTES).toString('base64')}`;
  secrets[name] = [fresh, ...(secrets[name] ?? [])].slice(0, 2);
  await mkdir(path.dirname(path.resolve(file)), { recursive: true });
  await writeFile(`${file}.new`, `${JSON.stringify(secrets, null, 2)}\n`, { mode: 0o600 });
  await rename(`${file}.new`, file);
  return fresh;
}
