// Bytes of everything in Redis but buyers: MessagePack with keys in one order, so that the same state gives the same bytes.
import { Packr, Unpackr } from 'msgpackr';
import type { AccountState } from '../domain/account.ts';
import { buyerSchemaVersion, StateSchemaError } from './buyer-codec.ts';

export const accountSchemaVersion = 1;
/** Rises with each of the schemas: a partition's head says it of everything beneath. */
export const stateSchemaVersion = buyerSchemaVersion + accountSchemaVersion - 1;

const packer = new Packr({ useRecords: false, moreTypes: false });
const unpacker = new Unpackr({ useRecords: false, moreTypes: false, mapsAsObjects: true });

/** MessagePack bytes of plain data (arrays, objects, numbers, strings, null). */
export function pack(value: unknown): Buffer {
  return Buffer.from(packer.pack(value));
}

export function unpack(bytes: Buffer): unknown {
  return unpacker.unpack(bytes);
}

/** Keys in one order at every level, so that the bytes do not depend on how the object came about. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.entries(value)
    .filter(([, inner]) => inner !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, inner]) => [name, sorted(inner)])
    .reduce<Record<string, unknown>>((object, [name, inner]) => {
      object[name as string] = inner;
      return object;
    }, {});
}

/** Canonical bytes of an account's state. */
export function encodeAccount(account: AccountState): Buffer {
  return pack([accountSchemaVersion, sorted(account)]);
}

/** @throws StateSchemaError for a blob of another schema version. */
export function decodeAccount(bytes: Buffer): AccountState {
  const [version, account] = unpack(bytes) as [number, AccountState];
  if (version !== accountSchemaVersion) throw new StateSchemaError('account', version, accountSchemaVersion);
  return account;
}
