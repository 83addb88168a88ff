// The commit: one Lua script under the partition's tag that checks the fence first and then only sets absolute values.

import { BinaryWriter } from '../platform/binary.ts';
import { pack } from '../platform/codec.ts';
import type { PartitionKeys } from '../platform/keys.ts';
import type { RedisClient } from '../platform/redis.ts';
import { type Batch, hasDelivery, toEntry } from './batch.ts';
import { LOOK_AGAIN_MS } from './fold-time.ts';
import { type Head, receivedText } from './state.ts';
import type { Work } from './work.ts';

/** Not Redis's: makes every member of a sorted set due at once. */
const ALL_DUE = 'ALLDUE';
/** Members that are set at a time: Lua's stack takes fewer than 8,000 words. */
const ALL_DUE_AT_ONCE = 2_000;

/**
 * ARGV: nonce, seq, then all commands in one MessagePack array, each an array of its words. While a cluster moves the partition's
 * slot to another server, keys that are there can be written and new ones can not: the script would end half-way. The question
 * for two keys that never are is refused then, before anything is written, on either server.
 */
const COMMIT = `
local fence = redis.call('HMGET', KEYS[1], 'nonce', 'seq')
if fence[1] ~= ARGV[1] or fence[2] ~= ARGV[2] then return 'FENCED' end
redis.call('EXISTS', KEYS[1] .. ':none', KEYS[1] .. ':nor')
local function allDue(set, score)
  local keys = redis.call('ZRANGE', set, 0, -1)
  for from = 1, #keys, ${ALL_DUE_AT_ONCE} do
    local pairs = {}
    for index = from, math.min(from + ${ALL_DUE_AT_ONCE - 1}, #keys) do
      pairs[#pairs + 1] = score
      pairs[#pairs + 1] = keys[index]
    end
    redis.call('ZADD', set, unpack(pairs))
  end
end
for _, words in ipairs(cmsgpack.unpack(ARGV[3])) do
  if words[1] == '${ALL_DUE}' then allDue(words[2], words[3]) else redis.call(unpack(words)) end
end
return 'OK'`;

/** Words of one command; Lua's stack takes fewer than 8,000 at a time. */
const WORDS_MAX = 4_000;
const LIST_BYTES = 8_192;
/** MessagePack's `array 32` and `str 32`, the only two forms that are needed; Redis's reader does not know `bin`. */
const ARRAY = 0xdd;
const STRING = 0xdb;

type Word = string | Buffer | number;

/**
 * A script's commands, written as one argument: as arguments of their own a batch's thousands of words cost the client ten
 * times as much, because it makes three buffers of each and joins them.
 */
export class CommandList {
  #writer = new BinaryWriter(LIST_BYTES);
  #commands = 0;
  #words = 0;
  /** Where the count of the words of the command at hand stands. */
  #countAt = 0;

  constructor() {
    this.#writer.byte(ARRAY);
    this.#writer.uint32BE(0);
  }

  add(...command: Word[]): void {
    this.#begin(command);
    this.#end();
  }

  /** `front` (name and key) stands before every piece of `rest`, which is cut at multiples of `unit` words. */
  addLong(front: readonly Word[], rest: readonly Word[], unit: number): void {
    const piece = WORDS_MAX - (WORDS_MAX % unit);
    for (let index = 0; index < rest.length; index += 1) {
      this.#cut(front, index, piece);
      this.#word(rest[index]!);
    }
    if (rest.length > 0) this.#end();
  }

  /** As `addLong` with pairs of words, which are not held but asked for one pair after the other: bytes may be used again. */
  addPairs<Item>(
    front: readonly Word[],
    items: Iterable<Item>,
    nameOf: (item: Item) => Word,
    wordOf: (item: Item) => Word,
  ): void {
    let pairs = 0;
    for (const item of items) {
      this.#cut(front, pairs, WORDS_MAX / 2);
      this.#word(nameOf(item));
      this.#word(wordOf(item));
      pairs += 1;
    }
    if (pairs > 0) this.#end();
  }

  /** Before what comes as number `count`: a new command where the one before has `piece` of them. */
  #cut(front: readonly Word[], count: number, piece: number): void {
    if (count % piece !== 0) return;
    if (count > 0) this.#end();
    this.#begin(front);
  }

  #begin(words: readonly Word[]): void {
    this.#writer.byte(ARRAY);
    this.#countAt = this.#writer.length;
    this.#writer.uint32BE(0);
    for (const word of words) this.#word(word);
  }

  #word(word: Word): void {
    this.#writer.byte(STRING);
    this.#writer.counted(typeof word === 'number' ? String(word) : word);
    this.#words += 1;
  }

  #end(): void {
    this.#writer.patchUint32BE(this.#words, this.#countAt);
    this.#words = 0;
    this.#commands += 1;
  }

  /** All of it, as the script takes it; nothing can be added any more. */
  bytes(): Buffer {
    this.#writer.patchUint32BE(this.#commands, 1);
    return this.#writer.peek();
  }
}

function headFields(head: Head, seq: number): Word[] {
  return [
    'seq',
    seq,
    'offset',
    head.offset,
    'fired',
    head.fired,
    'ordinal',
    head.ordinal,
    'watermark',
    head.watermarkMs,
    'received',
    receivedText(head),
    'anchor',
    head.anchor === null ? '' : `${head.anchor.watermarkMs}:${head.anchor.appendMs}`,
    'last',
    head.last === null ? '' : `${head.last.offset}:${head.last.appendMs}`,
  ];
}

/** The bytes of a changed state, good until the next is encoded. */
function encoded(work: Work, key: string): Buffer {
  const bytes = work.states.bytesOf(key);
  work.counters.stateWritten(key, bytes.length);
  return bytes;
}

function addStates(commands: CommandList, work: Work, keys: PartitionKeys): void {
  const nameOf = work.id.topic === 'events' ? keys.buyer : keys.account;
  commands.addPairs(['MSET'], work.changed, nameOf, (key) => encoded(work, key));
  work.changed = new Set();
}

function addTimers(commands: CommandList, keys: PartitionKeys, changes: ReadonlyMap<string, number>): void {
  const set: Word[] = [];
  const cleared: Word[] = [];
  for (const [key, dueMs] of changes) {
    if (dueMs === 0) cleared.push(key);
    else set.push(dueMs, key);
  }
  commands.addLong(['ZREM', keys.timers], cleared, 1);
  commands.addLong(['ZADD', keys.timers], set, 2);
}

function addWindows(commands: CommandList, work: Work, keys: PartitionKeys): void {
  const { written, added, deleted } = work.windows.changes();
  for (const { name, fields } of written) commands.addLong(['HSET', keys.window(name)], fields.flat(), 2);
  commands.addLong(['SADD', keys.windows], added, 1);
  commands.addLong(['SREM', keys.windows], deleted, 1);
  commands.addLong(
    ['DEL'],
    deleted.map((name) => keys.window(name)),
    1,
  );
}

function addTriggers(commands: CommandList, work: Work, keys: PartitionKeys): void {
  const set: Word[] = [];
  const deleted: Word[] = [];
  for (const [id, trigger] of work.triggers.changes()) {
    if (trigger === null) deleted.push(id);
    else set.push(id, JSON.stringify(trigger));
  }
  commands.addLong(['HSET', keys.triggers], set, 2);
  commands.addLong(['HDEL', keys.triggers], deleted, 1);
}

/** Everything that one commit writes. `delivered` are the seqs whose outbox entries are done with; `looksAgain` has all timers set anew. */
export function commitCommands(
  work: Work,
  keys: PartitionKeys,
  batch: Batch,
  timers: ReadonlyMap<string, number>,
  delivered: readonly number[],
  looksAgain: boolean,
): Buffer {
  const commands = new CommandList();
  const seq = work.head.seq + 1;
  addStates(commands, work, keys);
  addTimers(commands, keys, timers);
  if (looksAgain) commands.add(ALL_DUE, keys.timers, LOOK_AGAIN_MS);
  addWindows(commands, work, keys);
  addTriggers(commands, work, keys);
  if (work.definitionsChanged) commands.add('SET', keys.definitions, pack(work.inForce.kept));
  work.definitionsChanged = false;
  if (hasDelivery(batch)) {
    const entry = pack(toEntry(batch));
    batch.bytes += entry.length;
    commands.add('HSET', keys.outbox, seq, entry);
  }
  commands.addLong(['HDEL', keys.outbox], delivered, 1);
  commands.add('HSET', keys.head, ...headFields(work.head, seq));
  return commands.bytes();
}

export type CommitReply = 'OK' | 'FENCED';

/** Runs the commands if nonce and seq still stand. */
export async function runFenced(
  redis: RedisClient,
  keys: PartitionKeys,
  head: Pick<Head, 'nonce' | 'seq'>,
  commands: Buffer,
): Promise<CommitReply> {
  const reply = await redis.eval(COMMIT, 1, keys.head, head.nonce, head.seq, commands);
  return reply as CommitReply;
}
