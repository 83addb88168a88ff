// One way to write a JSON value: so that equal documents have equal bytes and an equal hash, whoever wrote them.
import { createHash } from 'node:crypto';
import { PlatformError } from './platform-error.ts';

/**
 * JSON without white space, keys sorted by their UTF-8 bytes. Members that are undefined are left out, as JSON does.
 * @throws PlatformError NOT_CANONICAL for what has no single JSON form: NaN, infinities, -0, functions, dates, cycles
 */
export function canonicalJson(value: unknown): string {
  return write(value, '$', 0);
}

/** SHA-256 of the canonical JSON, hex. */
export function canonicalHash(value: unknown): string {
  return createHash('sha256').update(canonicalJson(value), 'utf8').digest('hex');
}

/** Compares as the UTF-8 bytes do, which differs from UTF-16 order beyond the basic plane. */
export function compareUtf8(left: string, right: string): number {
  return Buffer.compare(Buffer.from(left, 'utf8'), Buffer.from(right, 'utf8'));
}

const DEPTH_MAX = 200;

function write(value: unknown, path: string, depth: number): string {
  if (depth > DEPTH_MAX) throw notCanonical(path, `is nested deeper than ${DEPTH_MAX}`);
  if (value === null || typeof value === 'boolean') return String(value);
  if (typeof value === 'string') return JSON.stringify(value.toWellFormed());
  if (typeof value === 'number') return writeNumber(value, path);
  if (Array.isArray(value)) {
    return `[${value.map((item, index) => write(item, `${path}[${index}]`, depth + 1)).join(',')}]`;
  }
  if (!isPlainObject(value)) throw notCanonical(path, 'is neither JSON nor a plain object');
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([left], [right]) => compareUtf8(left, right))
    .map(
      ([name, member]) =>
        `${JSON.stringify(name.toWellFormed())}:${write(member, `${path}.${name}`, depth + 1)}`,
    );
  return `{${members.join(',')}}`;
}

function writeNumber(value: number, path: string): string {
  if (!Number.isFinite(value)) throw notCanonical(path, `is ${value}`);
  if (Object.is(value, -0)) throw notCanonical(path, 'is -0');
  return JSON.stringify(value);
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function notCanonical(path: string, why: string): PlatformError {
  return new PlatformError('NOT_CANONICAL', `${path} ${why}: it has no canonical JSON`);
}
