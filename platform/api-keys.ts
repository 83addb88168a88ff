// API keys: made once, shown to the user, kept by `serve` as hashes only.
import { createHash, randomBytes } from 'node:crypto';
import { chmod, readFile } from 'node:fs/promises';
import { z } from 'zod';
import { changeHashedKeys, type HashedKey, readHashedKeysIfAny, type Scope } from './hashed-keys.ts';
import { PlatformError } from './platform-error.ts';
import { writePrivate } from './private-file.ts';

/** 192 bits: a plain hash keeps such a key, it cannot be guessed back. */
const KEY_BYTES = 24;
const OWNER_ONLY = 0o600;

const prefixes: Readonly<Record<Scope, string>> = { write: 'wk_', secret: 'sk_' };

const apiKeyPair = z.object({
  /** May send data in. */
  write: z.string().regex(/^wk_[A-Za-z0-9_-]{32}$/),
  /** May do everything. */
  secret: z.string().regex(/^sk_[A-Za-z0-9_-]{32}$/),
});
export type ApiKeyPair = z.infer<typeof apiKeyPair>;

export interface ApiKeyFiles {
  /** The plain keys, for their user. */
  readonly plainFile: string;
  /** Names, scopes and hashes, for `serve`. */
  readonly hashedFile: string;
}

/** A fresh key, random. */
export function createApiKey(scope: Scope): string {
  return prefixes[scope] + randomBytes(KEY_BYTES).toString('base64url');
}

/** SHA-256, hex. */
export function hashApiKey(key: string): string {
  return createHash('sha256').update(key).digest('hex');
}

/**
 * Returns the keys in the plain file, or makes some; what the hashed file says of them (limits, expiry) stays, and where it
 * has them not they take the places of `write` and `secret`. Both files are readable by their owner only.
 * @throws PlatformError KEYS_UNREADABLE if a file is there and holds no keys, KEYS_REFUSED if `serve` would refuse them
 */
export async function ensureApiKeys(
  { plainFile, hashedFile }: ApiKeyFiles,
  nowMs = Date.now(),
): Promise<ApiKeyPair> {
  const kept = await readApiKeys(plainFile);
  const pair = kept ?? { write: createApiKey('write'), secret: createApiKey('secret') };
  if (kept === undefined) await writePrivate(plainFile, pair);
  else await chmod(plainFile, OWNER_ONLY);
  const ours = (['write', 'secret'] as const).map((scope) => ({
    name: scope,
    scope,
    sha256: hashApiKey(pair[scope]),
    createdAt: new Date(nowMs).toISOString(),
  }));
  const withOurs = (keys: readonly HashedKey[]): readonly HashedKey[] =>
    ours.reduce((all, own) => withKey(all, own, plainFile, nowMs), keys);
  const before = (await readHashedKeysIfAny(hashedFile))?.keys;
  if (before === undefined || withOurs(before) !== before)
    await changeHashedKeys(hashedFile, (keys) => ({ keys: withOurs(keys), result: undefined }));
  return pair;
}

/** The keys with this one among them; it replaces those of its name, unless it is known. */
function withKey(
  keys: readonly HashedKey[],
  own: HashedKey,
  plainFile: string,
  nowMs: number,
): readonly HashedKey[] {
  const known = keys.find(({ sha256 }) => sha256 === own.sha256);
  if (known === undefined) return [...keys.filter(({ name }) => name !== own.name), own];
  const isExpired = known.expiresAt !== undefined && Date.parse(known.expiresAt) <= nowMs;
  if (!isExpired && known.disabled !== true) return keys;
  const isRevoked = known.disabled === true;
  const renewing = isRevoked ? `create ${known.name} --scope ${known.scope}` : `rotate ${known.name}`;
  throw new PlatformError(
    'KEYS_REFUSED',
    `the ${own.name} key in ${plainFile} ${isRevoked ? 'was revoked' : `expired at ${known.expiresAt}`}: ` +
      `\`npx flywheel keys ${renewing}\` makes another and puts it there`,
  );
}

/** Puts a key that replaces others, given by their hashes, into the plain file, if one of them stands there. Says whether it did. */
export async function replacePlainKey(
  plainFile: string,
  replaced: readonly string[],
  key: string,
): Promise<boolean> {
  const pair = await readApiKeys(plainFile);
  const scope = (['write', 'secret'] as const).find(
    (each) => pair !== undefined && replaced.includes(hashApiKey(pair[each])),
  );
  if (scope === undefined) return false;
  await writePrivate(plainFile, { ...pair, [scope]: key });
  return true;
}

/** The pair in the plain file; undefined if there is none. @throws PlatformError KEYS_UNREADABLE */
export async function readApiKeys(file: string): Promise<ApiKeyPair | undefined> {
  try {
    return apiKeyPair.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    const advice = `${file} holds no API keys: mend it, or remove it to get new ones`;
    throw new PlatformError('KEYS_UNREADABLE', advice, { cause });
  }
}
