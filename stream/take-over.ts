// Taking a partition over: a fresh nonce fences the owner before, then everything it left is read.
import { randomUUID } from 'node:crypto';
import type { WaitingTrigger } from '../domain/delivery.ts';
import { arrange, type KeptDefinition } from '../domain/in-force.ts';
import { stateSchemaVersion, unpack } from '../platform/codec.ts';
import { type Failpoint, neverFails } from '../platform/failpoint.ts';
import type { PartitionId, PartitionKeys } from '../platform/keys.ts';
import { type PartitionControl, readControl } from '../platform/partition-control.ts';
import type { RedisClient } from '../platform/redis.ts';
import { type Batch, fromEntry, type OutboxEntry } from './batch.ts';
import { beginRewind, clearStates } from './rewind.ts';
import { emptyHead, type Head, parseReceived } from './state.ts';
import { createWaitingTriggers, type WaitingTriggers } from './triggers.ts';
import { createWindows, type Windows } from './windows.ts';
import { createWork, type FoldCounters, type Work } from './work.ts';

/** ARGV: nonce, log's beginning, generation, schema version, owner's name. A state that is not ours to take is left as it is. */
const TAKE = `
local known = redis.call('HMGET', KEYS[1], 'generation', 'schema')
if known[1] and known[1] ~= ARGV[3] then return {'GENERATION', known[1]} end
if known[2] and tonumber(known[2]) > tonumber(ARGV[4]) then return {'STATE_SCHEMA', known[2]} end
redis.call('HSET', KEYS[1], 'nonce', ARGV[1], 'ready', '0', 'stamp', '0', 'schema', ARGV[4], 'owner', ARGV[5])
redis.call('HSETNX', KEYS[1], 'seq', '0')
redis.call('HSETNX', KEYS[1], 'offset', ARGV[2])
redis.call('HSETNX', KEYS[1], 'fired', '0')
redis.call('HSETNX', KEYS[1], 'ordinal', '0')
redis.call('HSETNX', KEYS[1], 'watermark', '0')
redis.call('HSETNX', KEYS[1], 'anchor', '')
redis.call('HSETNX', KEYS[1], 'generation', ARGV[3])
return redis.call('HGETALL', KEYS[1])`;

/** The log does not hold what the state needs, or the state is of another log or of a newer flywheel. */
export class TakeOverError extends Error {
  readonly code: 'LOG_LOST' | 'LOG_CHANGED' | 'GENERATION' | 'OFFSET_AHEAD' | 'STATE_SCHEMA';
  constructor(code: TakeOverError['code'], message: string) {
    super(message);
    this.code = code;
  }
}

/** A partition as Kafka says now. */
export interface Log {
  /** The first offset, and the one after the last. */
  readonly low: number;
  readonly high: number;
  /** When the record at an offset was appended; undefined if none stands there, or if it cannot be known. */
  appendMsAt(offset: number): Promise<number | undefined>;
}

export interface TakenOver {
  readonly work: Work;
  /** Committed and not delivered, oldest first: to be delivered before anything else. */
  readonly undelivered: { readonly seq: number; readonly batch: Batch }[];
  /** Where to read from: before the stored offset if `events` rows are to be built again. */
  readonly readFrom: number;
  readonly control: PartitionControl;
}

function parseHead(fields: readonly string[]): Head {
  const named = new Map<string, string>();
  for (let index = 0; index < fields.length; index += 2) named.set(fields[index]!, fields[index + 1]!);
  const number = (name: string): number => Number(named.get(name));
  const [watermark, append] = (named.get('anchor') ?? '').split(':');
  const anchor = append === undefined ? null : { watermarkMs: Number(watermark), appendMs: Number(append) };
  const [lastOffset, lastAppend] = (named.get('last') ?? '').split(':');
  const last = lastAppend === undefined ? null : { offset: Number(lastOffset), appendMs: Number(lastAppend) };
  return {
    nonce: named.get('nonce')!,
    seq: number('seq'),
    offset: number('offset'),
    fired: number('fired'),
    ordinal: number('ordinal'),
    watermarkMs: number('watermark'),
    received: parseReceived(named.get('received') ?? ''),
    anchor,
    last,
  };
}

/** Fences the owner before and reads the head's fields. */
async function take(
  redis: RedisClient,
  id: PartitionId,
  keys: PartitionKeys,
  low: number,
  owner: string,
): Promise<string[]> {
  const words = [randomUUID(), low, id.generation, stateSchemaVersion, owner];
  const reply = (await redis.eval(TAKE, 1, keys.head, ...words)) as string[];
  const [word, value] = reply;
  const where = `${id.topic} ${id.partition}`;
  switch (word) {
    case 'GENERATION':
      throw new TakeOverError(
        'GENERATION',
        `${where}: the state is of generation ${value}, the topic of ${id.generation}`,
      );
    case 'STATE_SCHEMA':
      throw new TakeOverError(
        'STATE_SCHEMA',
        `${where}: the state has schema version ${value}, this process knows ${stateSchemaVersion}: start a newer flywheel`,
      );
    default:
      return reply;
  }
}

async function loadWindows(redis: RedisClient, keys: PartitionKeys): Promise<Windows> {
  const windows = createWindows();
  const names = await redis.smembers(keys.windows);
  const cells = await Promise.all(names.map((name) => redis.hgetall(keys.window(name))));
  names.forEach((name, index) => {
    windows.load(name, cells[index]!);
  });
  return windows;
}

async function loadTriggers(redis: RedisClient, keys: PartitionKeys): Promise<WaitingTriggers> {
  const triggers = createWaitingTriggers();
  const stored = await redis.hvals(keys.triggers);
  triggers.load(stored.map((json) => JSON.parse(json) as WaitingTrigger));
  return triggers;
}

async function loadUndelivered(redis: RedisClient, keys: PartitionKeys): Promise<TakenOver['undelivered']> {
  const entries = await redis.hgetallBuffer(keys.outbox);
  return Object.entries(entries)
    .map(([seq, stored]) => {
      const blob = stored as Buffer;
      const batch = fromEntry(unpack(blob) as OutboxEntry);
      batch.bytes = blob.length;
      return { seq: Number(seq), batch };
    })
    .sort((a, b) => a.seq - b.seq);
}

async function loadDefinitions(redis: RedisClient, keys: PartitionKeys): Promise<readonly KeptDefinition[]> {
  const blob = await redis.getBuffer(keys.definitions);
  return blob === null ? [] : (unpack(blob) as KeptDefinition[]);
}

function checkLog(id: PartitionId, head: Head, readFrom: number, low: number, high: number): void {
  if (readFrom < low) {
    throw new TakeOverError(
      'LOG_LOST',
      `${id.topic} ${id.partition}: the state needs the log from offset ${readFrom}, it begins at ${low}; restore a newer copy of Redis or a longer log`,
    );
  }
  if (head.offset > high) {
    throw new TakeOverError(
      'OFFSET_AHEAD',
      `${id.topic} ${id.partition}: the state stands at offset ${head.offset}, the log ends at ${high}: this Redis belongs to another log`,
    );
  }
}

/**
 * A log that was cut, and has grown past the stored offset again, shows by the append time of the last record that was folded.
 * Where that record is gone, or cannot be read, nothing is said: what is refused without reason stands still.
 */
async function checkLastRecord(id: PartitionId, { last }: Head, log: Log): Promise<void> {
  // A broker that tells no times has 0, or -1.
  if (last === null || last.appendMs <= 0 || last.offset < log.low) return;
  const appendMs = await log.appendMsAt(last.offset);
  if (appendMs === undefined || appendMs <= 0 || appendMs === last.appendMs) return;
  const [found, folded] = [appendMs, last.appendMs].map((ms) => new Date(ms).toISOString());
  throw new TakeOverError(
    'LOG_CHANGED',
    `${id.topic} ${id.partition}: at offset ${last.offset} the log has a record of ${found}, the state was made of one of ${folded}: the log was cut or put back, and has grown again since, so that what stands before offset ${last.offset} may never have been applied; put back copies of Redis and ClickHouse that are no newer than the log, or make them anew`,
  );
}

/**
 * Begins again if an operator asks for it, and goes on with it where that was cut off.
 * @throws Error, the request withdrawn and the state as it was, if the log is too short to make it anew
 */
async function rewindIfAsked(
  redis: RedisClient,
  id: PartitionId,
  keys: PartitionKeys,
  low: number,
  fields: readonly string[],
  failpoint: Failpoint,
): Promise<{ head: Head; control: PartitionControl }> {
  const head = parseHead(fields);
  const control = await readControl(redis, keys);
  if (control.rewind !== null) {
    if (low > 0) {
      await redis.hdel(keys.control, 'rewind', 'hold');
      throw new Error(`${id.topic} ${id.partition} cannot be rewound: its log begins at ${low}`);
    }
    await beginRewind(redis, keys, head.nonce);
  }
  const isClearing = control.rewind !== null || fields.includes('clearing');
  if (!isClearing) return { head, control };
  await clearStates(redis, keys, head.nonce, failpoint);
  return {
    head: { ...emptyHead(), nonce: head.nonce, seq: head.seq },
    control: { ...control, rewind: null },
  };
}

/**
 * @param owner names this process to who looks
 * @throws TakeOverError when log and state do not belong together.
 */
export async function takeOver(
  redis: RedisClient,
  id: PartitionId,
  keys: PartitionKeys,
  log: Log,
  counters: FoldCounters,
  owner: string,
  failpoint: Failpoint = neverFails,
): Promise<TakenOver> {
  const fields = await take(redis, id, keys, log.low, owner);
  const { head, control } = await rewindIfAsked(redis, id, keys, log.low, fields, failpoint);
  const [kept, windows, triggers, undelivered] = await Promise.all([
    loadDefinitions(redis, keys),
    loadWindows(redis, keys),
    loadTriggers(redis, keys),
    loadUndelivered(redis, keys),
  ]);
  const readFrom = undelivered.reduce((from, { batch }) => Math.min(from, batch.from), head.offset);
  checkLog(id, head, readFrom, log.low, log.high);
  await checkLastRecord(id, head, log);
  const inForce = { kept, definitions: arrange(kept) };
  return {
    work: createWork({ id, head, inForce, windows, triggers, counters }),
    undelivered,
    readFrom,
    control,
  };
}
