// The file of hashed API keys that every `serve` reads: its shape, and changes to it that neither tear it nor lose each other.
import { hkdfSync } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { PlatformError } from './platform-error.ts';
import { adviceOn, leftBehind, lockFile, writePrivate } from './private-file.ts';

/** Names become labels of metrics and `source` of records. */
export const KEY_NAMES_MAX = 1_000;
const KEYS_MAX = 10_000;

export const PER_SECOND_MAX = 1_000_000;
export const BURST_MAX = 10_000_000;
const rate = z.strictObject({
  perSecond: z.int().min(1).max(PER_SECOND_MAX),
  burst: z.int().min(1).max(BURST_MAX),
});
const keyLimits = z.strictObject({
  requests: rate.optional(),
  /** Messages that collect takes, each one of a batch; write keys only. */
  events: rate.optional(),
});
export type KeyLimits = z.infer<typeof keyLimits>;

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const time = z.iso.datetime({ offset: true });

/** Strict: a misspelt `expiresAt` must not make a key that never expires. */
const hashedKey = z
  .strictObject({
    /** Shared by a key and those that it replaced. */
    name: z.string().min(1).max(64),
    scope: z.enum(['write', 'secret']),
    sha256,
    createdAt: time.optional(),
    /** From then on it is refused. */
    expiresAt: time.optional(),
    limits: keyLimits.optional(),
    /** Revoked. */
    disabled: z.boolean().optional(),
    /** The hash of the key that took its place. */
    replacedBy: sha256.optional(),
  })
  .refine(({ scope, limits }) => scope === 'write' || limits?.events === undefined, {
    message: 'limits.events are for write keys',
  });
export type HashedKey = z.infer<typeof hashedKey>;
export type Scope = HashedKey['scope'];

/** What else somebody has put beside the keys stays there. */
const hashedKeys = z
  .looseObject({
    keys: z.array(hashedKey).min(1).max(KEYS_MAX),
    /** Hex; signs notice addresses. Without it, one is derived from the first secret key's hash. */
    noticeSecret: z
      .string()
      .regex(/^[0-9a-f]{32,128}$/)
      .optional(),
  })
  .refine(({ keys }) => new Set(keys.map((key) => key.sha256)).size === keys.length, {
    message: 'a hash stands there twice',
  })
  .refine(({ keys }) => new Set(keys.map(({ name }) => name)).size <= KEY_NAMES_MAX, {
    message: `there are more than ${KEY_NAMES_MAX} names`,
  });
export type HashedKeys = z.infer<typeof hashedKeys>;

function unreadable(file: string, cause: unknown): PlatformError {
  if ((cause as NodeJS.ErrnoException).code === 'ENOENT') {
    const former = leftBehind(file);
    const advice =
      former === undefined
        ? '`flywheel keys create NAME --scope secret` makes the first'
        : adviceOn(former, 'SERVE_KEYS_FILE');
    return new PlatformError('KEYS_UNREADABLE', `there are no API keys at ${file}: ${advice}`, { cause });
  }
  const why = cause instanceof z.ZodError ? z.prettifyError(cause) : (cause as Error).message;
  return new PlatformError('KEYS_UNREADABLE', `the API keys in ${file} cannot be read: ${why}`, { cause });
}

/** @throws PlatformError KEYS_UNREADABLE saying what is wrong and where */
export async function readHashedKeys(file: string): Promise<HashedKeys> {
  try {
    return hashedKeys.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch (cause) {
    throw unreadable(file, cause);
  }
}

/** Undefined where there is no file. @throws PlatformError KEYS_UNREADABLE */
export async function readHashedKeysIfAny(file: string): Promise<HashedKeys | undefined> {
  try {
    return await readHashedKeys(file);
  } catch (error) {
    const { cause } = error as PlatformError;
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Every process with the same keys file signs alike. */
export function noticeSecretOf(hashed: HashedKeys): Buffer {
  if (hashed.noticeSecret !== undefined) return Buffer.from(hashed.noticeSecret, 'hex');
  const first = hashed.keys.find((key) => key.scope === 'secret') ?? hashed.keys[0]!;
  return Buffer.from(
    hkdfSync('sha256', Buffer.from(first.sha256, 'hex'), '', 'flywheel notice addresses', 32),
  );
}

/**
 * Changes the file, one process at a time: what `change` returns is there whole, durable and private, or not at all.
 * A missing file is none with no keys. The notice secret is written down with the first change, because it would
 * otherwise follow the first key, and addresses in bids that are still out would no longer be ours.
 * @param change a pure function of the keys; what it throws leaves the file as it is
 * @throws PlatformError KEYS_UNREADABLE, KEYS_LOCKED; KEYS_REFUSED for keys that no `serve` would take, such as too many
 */
export async function changeHashedKeys<Result>(
  file: string,
  change: (keys: readonly HashedKey[]) => { readonly keys: readonly HashedKey[]; readonly result: Result },
): Promise<Result> {
  const unlock = await lockFile(file);
  try {
    const before = await readHashedKeysIfAny(file);
    const { keys, result } = change(before?.keys ?? []);
    const after = hashedKeys.safeParse({ ...before, keys });
    if (!after.success)
      throw new PlatformError('KEYS_REFUSED', `${file} cannot hold that: ${z.prettifyError(after.error)}`, {
        cause: after.error,
      });
    const noticeSecret = noticeSecretOf(before ?? after.data).toString('hex');
    await writePrivate(file, { ...after.data, noticeSecret });
    return result;
  } finally {
    await unlock();
  }
}
