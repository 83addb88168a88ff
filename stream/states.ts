// The states of one partition that are in memory: as objects while records change them, or packed, as the bytes that a commit will
// write. An object is some ten times its bytes, and one that lives for all of a large batch is copied twice by the collector.
import type { AccountState } from '../domain/account.ts';
import type { Buyer } from '../domain/buyer.ts';
import { BinaryWriter } from '../platform/binary.ts';
import { decodeBuyer, viewBuyer } from '../platform/buyer-codec.ts';
import { decodeAccount, encodeAccount } from '../platform/codec.ts';
import type { StatefulTopic } from '../platform/keys.ts';

export type State = Buyer | AccountState;

interface Place {
  readonly from: number;
  readonly to: number;
}

const PACKED_BYTES_FIRST = 1024 * 1024;

export class States {
  #topic: StatefulTopic;
  #objects = new Map<string, State>();
  /** How long objects are, as they were last written or read: few buyers near their caps may be as much as thousands of others. */
  #sizes = new Map<string, number>();
  #bytes = 0;
  #packed = new Map<string, Place>();
  #packedBytes: BinaryWriter | undefined;

  constructor(topic: StatefulTopic) {
    this.#topic = topic;
  }

  /** How many are objects. */
  get size(): number {
    return this.#objects.size;
  }

  /** How long those are that are objects, as they are stored. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Of those that are objects, in the order in which they are let go. */
  keys(): IterableIterator<string> {
    return this.#objects.keys();
  }

  has(key: string): boolean {
    return this.#objects.has(key) || this.#packed.has(key);
  }

  /** An object, to be changed in place; undefined if it is not in memory. */
  get(key: string): State | undefined {
    return this.#objects.get(key) ?? this.#unpack(key);
  }

  set(key: string, state: State): void {
    this.#objects.set(key, state);
  }

  /** Takes in what is stored. @throws StateSchemaError for bytes of a newer version */
  read(key: string, bytes: Buffer): State {
    const state = this.#isEvents ? decodeBuyer(key, bytes) : decodeAccount(bytes);
    this.#objects.set(key, state);
    this.#note(key, bytes.length);
    return state;
  }

  /** Makes it the last that is let go; false if it is not in memory. */
  touch(key: string): boolean {
    const state = this.get(key);
    if (state === undefined) return false;
    this.#objects.delete(key);
    this.#objects.set(key, state);
    return true;
  }

  /** What a commit is to store, good until the next call. */
  bytesOf(key: string): Buffer {
    const place = this.#packed.get(key);
    if (place !== undefined) return this.#packedAt(place);
    const bytes = this.#view(this.#objects.get(key)!);
    this.#note(key, bytes.length);
    return bytes;
  }

  /**
   * For a changed state that nothing is expected to ask for before the commit; what does gets an object again. An account stays one:
   * what iterates over its fields must find the order in which they came.
   */
  pack(key: string): void {
    const state = this.#objects.get(key);
    if (state === undefined || !this.#isEvents) return;
    this.#packedBytes ??= new BinaryWriter(PACKED_BYTES_FIRST);
    const from = this.#packedBytes.length;
    this.#packedBytes.append(this.#view(state));
    this.#packed.set(key, { from, to: this.#packedBytes.length });
    this.#letGo(key);
  }

  /**
   * The same, in maps of its own. One that has stood between two batches is old, and so is each table that it grows into: dead, they
   * would keep the states of a batch until a major collection.
   */
  renewed(): States {
    const renewed = new States(this.#topic);
    renewed.#objects = new Map(this.#objects);
    renewed.#sizes = new Map(this.#sizes);
    renewed.#bytes = this.#bytes;
    renewed.#packed = new Map(this.#packed);
    renewed.#packedBytes = this.#packedBytes;
    return renewed;
  }

  /** After a commit: lets go what is packed, and the first objects until at most so many are left, of at most so many bytes. */
  keep(statesMax: number, bytesMax: number): void {
    this.#packed = new Map();
    this.#packedBytes = undefined;
    if (statesMax === 0) {
      this.#objects = new Map();
      this.#sizes = new Map();
      this.#bytes = 0;
      return;
    }
    for (const key of this.#objects.keys()) {
      if (this.#objects.size <= statesMax && this.#bytes <= bytesMax) break;
      this.#letGo(key);
    }
  }

  #unpack(key: string): State | undefined {
    const place = this.#packed.get(key);
    if (place === undefined) return undefined;
    this.#packed.delete(key);
    return this.read(key, this.#packedAt(place));
  }

  #packedAt({ from, to }: Place): Buffer {
    return this.#packedBytes!.peek().subarray(from, to);
  }

  get #isEvents(): boolean {
    return this.#topic === 'events';
  }

  #view(state: State): Buffer {
    return this.#isEvents ? viewBuyer(state as Buyer) : encodeAccount(state as AccountState);
  }

  #note(key: string, bytes: number): void {
    this.#bytes += bytes - (this.#sizes.get(key) ?? 0);
    this.#sizes.set(key, bytes);
  }

  #letGo(key: string): void {
    this.#objects.delete(key);
    this.#bytes -= this.#sizes.get(key) ?? 0;
    this.#sizes.delete(key);
  }
}
