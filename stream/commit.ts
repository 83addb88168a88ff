// The commit: one Lua script under the partition's tag that checks the fence first and then only sets absolute values.

import type { AccountState } from '../domain/account.ts';
import type { Buyer } from '../domain/buyer.ts';
import { encodeBuyer } from '../platform/buyer-codec.ts';
import { encodeAccount, pack } from '../platform/codec.ts';
import type { PartitionKeys } from '../platform/keys.ts';
import type { RedisClient } from '../platform/redis.ts';
import { type Batch, hasDelivery, toEntry } from './batch.ts';
import { type Head, receivedText } from './state.ts';
import type { Work } from './work.ts';

/** ARGV: nonce, seq, then commands, each as its number of words and the words. */
const COMMIT = `
local fence = redis.call('HMGET', KEYS[1], 'nonce', 'seq')
if fence[1] ~= ARGV[1] or fence[2] ~= ARGV[2] then return 'FENCED' end
local at = 3
while at <= #ARGV do
  local words = tonumber(ARGV[at])
  redis.call(unpack(ARGV, at + 1, at + words))
  at = at + words + 1
end
return 'OK'`;

/** Words of one command; Lua's stack takes fewer than 8,000 at a time. */
const WORDS_MAX = 4_000;

type Word = string | Buffer | number;

/** Writes commands into a script's arguments, long ones in pieces. */
export class CommandList {
  readonly words: Word[] = [];

  add(...command: Word[]): void {
    this.words.push(command.length);
    for (const word of command) this.words.push(word);
  }

  /** `name` (and key) in front of every piece of `rest`, which is cut at multiples of `unit` words. */
  addLong(front: readonly Word[], rest: readonly Word[], unit: number): void {
    const piece = WORDS_MAX - (WORDS_MAX % unit);
    for (let from = 0; from < rest.length; from += piece) {
      const part = rest.slice(from, from + piece);
      this.words.push(front.length + part.length);
      for (const word of front) this.words.push(word);
      for (const word of part) this.words.push(word);
    }
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
  ];
}

function addStates(commands: CommandList, work: Work, keys: PartitionKeys): void {
  const words: Word[] = [];
  const isEvents = work.id.topic === 'events';
  for (const key of work.changed) {
    const state = work.states.get(key)!;
    const bytes = isEvents ? encodeBuyer(state as Buyer) : encodeAccount(state as AccountState);
    words.push(isEvents ? keys.buyer(key) : keys.account(key), bytes);
    work.encoded.set(key, bytes);
  }
  commands.addLong(['MSET'], words, 2);
  work.changed.clear();
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

/** Everything that one commit writes. `delivered` are the seqs whose outbox entries are done with. */
export function commitCommands(
  work: Work,
  keys: PartitionKeys,
  batch: Batch,
  timers: ReadonlyMap<string, number>,
  delivered: readonly number[],
): CommandList {
  const commands = new CommandList();
  const seq = work.head.seq + 1;
  addStates(commands, work, keys);
  addTimers(commands, keys, timers);
  addWindows(commands, work, keys);
  addTriggers(commands, work, keys);
  if (work.definitionsChanged) commands.add('SET', keys.definitions, pack(work.inForce.kept));
  work.definitionsChanged = false;
  if (hasDelivery(batch)) commands.add('HSET', keys.outbox, seq, pack(toEntry(batch)));
  commands.addLong(['HDEL', keys.outbox], [...delivered], 1);
  commands.add('HSET', keys.head, ...headFields(work.head, seq));
  return commands;
}

export type CommitReply = 'OK' | 'FENCED';

/** Runs the commands if nonce and seq still stand. */
export async function runFenced(
  redis: RedisClient,
  keys: PartitionKeys,
  head: Head,
  commands: CommandList,
): Promise<CommitReply> {
  const reply = await redis.eval(COMMIT, 1, keys.head, head.nonce, head.seq, ...commands.words);
  return reply as CommitReply;
}
