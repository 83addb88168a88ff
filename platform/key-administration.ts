// What can be done to the list of API keys: pure functions of the list, applied to the file by `changeHashedKeys`.
import { createApiKey, hashApiKey } from './api-keys.ts';
import type { HashedKey, KeyLimits, Scope } from './hashed-keys.ts';
import { PlatformError } from './platform-error.ts';

/** Of one name; at a rotation those that were refused longest are forgotten: they then count as unknown. */
export const KEYS_PER_NAME_MAX = 8;
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

export type KeyState = 'valid' | 'replaced' | 'expired' | 'revoked';

/** A replaced key is still valid: its overlap has not ended. */
export function stateOf(key: HashedKey, nowMs: number): KeyState {
  if (key.disabled === true) return 'revoked';
  if (key.expiresAt !== undefined && Date.parse(key.expiresAt) <= nowMs) return 'expired';
  return key.replacedBy === undefined ? 'valid' : 'replaced';
}

interface Made {
  /** Shown once, kept nowhere. */
  readonly plain: string;
  readonly made: HashedKey;
}

export interface Change<Result> {
  readonly keys: readonly HashedKey[];
  readonly result: Result;
}

function refused(message: string): PlatformError {
  return new PlatformError('KEYS_REFUSED', message);
}

function named(keys: readonly HashedKey[], name: string): readonly HashedKey[] {
  const found = keys.filter((key) => key.name === name);
  if (found.length > 0) return found;
  const names = [...new Set(keys.map((key) => key.name))].sort().join(', ');
  throw refused(`there is no key ${JSON.stringify(name)}; there are: ${names || 'none yet'}`);
}

export interface NewKey {
  readonly name: string;
  readonly scope: Scope;
  readonly expiresAtMs?: number | undefined;
  readonly limits?: KeyLimits | undefined;
}

function made({ name, scope, expiresAtMs, limits }: NewKey, nowMs: number): Made {
  const plain = createApiKey(scope);
  const iso = (ms: number): string => new Date(ms).toISOString();
  return {
    plain,
    made: {
      name,
      scope,
      sha256: hashApiKey(plain),
      createdAt: iso(nowMs),
      ...(expiresAtMs === undefined ? {} : { expiresAt: iso(expiresAtMs) }),
      ...(limits === undefined ? {} : { limits }),
    },
  };
}

function checkLimits(scope: Scope, limits: KeyLimits | undefined): void {
  if (scope === 'secret' && limits?.events !== undefined)
    throw refused('a limit of events is for write keys; limit the requests of a secret key');
}

export interface Created extends Made {
  /** All keys of the name before it. */
  readonly replaced: readonly HashedKey[];
}

/** @throws PlatformError KEYS_REFUSED for a name that is taken or none */
export function createKey(keys: readonly HashedKey[], wanted: NewKey, nowMs: number): Change<Created> {
  const { name, scope, expiresAtMs } = wanted;
  if (!NAME.test(name))
    throw refused(
      `${JSON.stringify(name)} is no name for a key: use up to 64 letters, digits, dots, dashes and underscores`,
    );
  const replaced = keys.filter((key) => key.name === name);
  if (replaced.some((key) => stateOf(key, nowMs) !== 'revoked'))
    throw refused(`there is a key ${JSON.stringify(name)} already: rotate it, or choose another name`);
  checkLimits(scope, wanted.limits);
  checkFuture(expiresAtMs, nowMs);
  const fresh = made(wanted, nowMs);
  return { keys: withinLimit([...keys, fresh.made], name, nowMs), result: { ...fresh, replaced } };
}

function checkFuture(expiresAtMs: number | undefined, nowMs: number): void {
  if (expiresAtMs !== undefined && expiresAtMs <= nowMs)
    throw refused(`a key cannot expire at ${new Date(expiresAtMs).toISOString()}, which is past`);
}

/** Forgets the oldest refused keys of a name beyond the limit. @throws PlatformError KEYS_REFUSED if so many are valid */
function withinLimit(keys: readonly HashedKey[], name: string, nowMs: number): readonly HashedKey[] {
  const own = keys.filter((key) => key.name === name);
  const surplus = own.length - KEYS_PER_NAME_MAX;
  if (surplus <= 0) return keys;
  const forgotten = own
    .filter((key) => ['expired', 'revoked'].includes(stateOf(key, nowMs)))
    .slice(0, surplus);
  if (forgotten.length < surplus)
    throw refused(
      `${KEYS_PER_NAME_MAX} keys of ${JSON.stringify(name)} are valid: wait until an overlap ends, or revoke those that were replaced`,
    );
  return keys.filter((key) => !forgotten.includes(key));
}

export interface Rotation {
  readonly name: string;
  /** How long the keys before stay valid; never longer than they would have been. */
  readonly overlapMs: number;
  /** Of the new key; `undefined`: as long after now as the key before had been given, `null`: never. */
  readonly expiresAtMs?: number | null | undefined;
}

export interface Rotated extends Created {
  /** The last of them. */
  readonly before: HashedKey;
}

/** A new key of the same name, scope and limits; it takes the place of all before. @throws PlatformError KEYS_REFUSED */
export function rotateKey(keys: readonly HashedKey[], rotation: Rotation, nowMs: number): Change<Rotated> {
  const { name, overlapMs } = rotation;
  const own = named(keys, name);
  const before = own.findLast((key) => key.replacedBy === undefined && key.disabled !== true);
  if (before === undefined) throw refused(`the key ${JSON.stringify(name)} was revoked: create it anew`);
  const { scope, limits } = before;
  const expiresAtMs =
    rotation.expiresAtMs === undefined ? nextExpiryMs(before, nowMs) : (rotation.expiresAtMs ?? undefined);
  checkFuture(expiresAtMs, nowMs);
  const fresh = made({ name, scope, limits, expiresAtMs }, nowMs);
  const ended = (key: HashedKey): HashedKey => {
    const ownEndMs = key.expiresAt === undefined ? Number.POSITIVE_INFINITY : Date.parse(key.expiresAt);
    return {
      ...key,
      expiresAt: new Date(Math.min(ownEndMs, nowMs + overlapMs)).toISOString(),
      replacedBy: key.replacedBy ?? fresh.made.sha256,
    };
  };
  // All of them: what an earlier rotation replaced may be in its overlap still, and is not to outlive this one's.
  const isBefore = (key: HashedKey): boolean => own.includes(key) && key.disabled !== true;
  const all = [...keys.map((key) => (isBefore(key) ? ended(key) : key)), fresh.made];
  return { keys: withinLimit(all, name, nowMs), result: { ...fresh, replaced: own, before: ended(before) } };
}

/** Who is to change keys every 90 days gets a key for 90 days again. */
function nextExpiryMs({ createdAt, expiresAt }: HashedKey, nowMs: number): number | undefined {
  if (createdAt === undefined || expiresAt === undefined) return undefined;
  return nowMs + Date.parse(expiresAt) - Date.parse(createdAt);
}

/**
 * Refuses every key of the name from now on, or only those that were replaced (ends an overlap).
 * @throws PlatformError KEYS_REFUSED for an unknown name, and where nothing is left to revoke
 */
export function revokeKey(
  keys: readonly HashedKey[],
  { name, onlyReplaced }: { readonly name: string; readonly onlyReplaced: boolean },
): Change<number> {
  const revoked = named(keys, name).filter(
    (key) => key.disabled !== true && (!onlyReplaced || key.replacedBy !== undefined),
  );
  if (revoked.length === 0)
    throw refused(
      `${onlyReplaced ? 'no replaced key' : 'no key'} of ${JSON.stringify(name)} is left to revoke`,
    );
  return {
    keys: keys.map((key) => (revoked.includes(key) ? { ...key, disabled: true } : key)),
    result: revoked.length,
  };
}

/** Sets the limits of all keys of the name that can call; none for `undefined`. @throws PlatformError KEYS_REFUSED */
export function limitKey(
  keys: readonly HashedKey[],
  { name, limits }: { readonly name: string; readonly limits: KeyLimits | undefined },
): Change<undefined> {
  // A name may have been revoked and created anew with another scope.
  const own = named(keys, name).filter((key) => key.disabled !== true);
  if (own.length === 0) throw refused(`the key ${JSON.stringify(name)} was revoked: create it anew`);
  for (const { scope } of own) checkLimits(scope, limits);
  const limited = ({ limits: _before, ...key }: HashedKey): HashedKey =>
    limits === undefined ? key : { ...key, limits };
  return { keys: keys.map((key) => (own.includes(key) ? limited(key) : key)), result: undefined };
}
