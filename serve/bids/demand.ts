// What an account's bids want of the ledger since the last lease: by it the next one is asked for, and sized.
import type { BidNeed, LeaseNeed } from './lease.ts';

/** After the ledger gave less than was lacked, nothing is asked for that reason for so long. */
const LACKING_AGAIN_MS = 2_000;

/** What leases hold by now: in all, and whether a bid that must not be below this could be placed. */
interface Holdings {
  readonly heldMicros: number;
  holds(leastMicros: number): boolean;
}

export class Demand {
  #reservedMicros = 0;
  #dearestMicros = 0;
  /** The most that the bids of one request wanted together since the last lease, and the leases did not serve. */
  #togetherMicros = 0;
  /** The most that a bid needed since the last lease and no lease held. */
  #lackedMicros = 0;
  /** What the ledger would grant at most, by the last reading. */
  #grantableMicros = Number.POSITIVE_INFINITY;
  /** The ledger gave less than was lacked: nothing is asked for that reason until then. */
  #lackingUntilMs = Number.NEGATIVE_INFINITY;

  wants(micros: number): void {
    this.#dearestMicros = Math.max(this.#dearestMicros, micros);
  }

  lacks(leastMicros: number): void {
    this.#lackedMicros = Math.max(this.#lackedMicros, leastMicros);
  }

  reserved(micros: number): void {
    this.#reservedMicros += micros;
  }

  mayBeGranted(grantableMicros: number): void {
    this.#grantableMicros = grantableMicros;
  }

  /** Whether the ledger would grant a lease for a bid that must not be below this. */
  canBeServed(leastMicros: number): boolean {
    return leastMicros <= this.#grantableMicros;
  }

  /** The bids of one request want this together, and leases do not serve those that lack; what those need is lacked. */
  lackTogether(needs: readonly BidNeed[], lacking: readonly BidNeed[]): void {
    // Of what no lease would be granted for, none is asked: it would serve nobody, and keep what is free from others.
    const canBeServed = ({ leastMicros }: BidNeed): boolean => this.canBeServed(leastMicros);
    if (needs.length > 1) {
      const servable = needs.filter(canBeServed);
      const togetherMicros = servable.reduce((sum, { wantedMicros }) => sum + wantedMicros, 0);
      this.#togetherMicros = Math.max(this.#togetherMicros, togetherMicros);
    }
    const asked = lacking.some(canBeServed) ? lacking.filter(canBeServed) : lacking;
    this.lacks(Math.max(...asked.map(({ leastMicros }) => leastMicros)));
  }

  /** Whether a lease is wanted beside those that serve others. */
  isLacking(nowMs: number, holdings: Holdings): boolean {
    if (nowMs < this.#lackingUntilMs) return false;
    // What the ledger would grant of what bids want together serves some of them.
    if (this.#grantableMicros > 0 && this.#beyondMicros(holdings) > 0) return true;
    // Not where it would not grant so much: its leases would serve nobody, and keep what is free from others.
    const lackedMicros = this.#lackedMicros;
    return lackedMicros > 0 && this.canBeServed(lackedMicros) && !holdings.holds(lackedMicros);
  }

  needFor(holdings: Holdings): Omit<LeaseNeed, 'plannedNextMicros'> {
    return {
      reservedMicros: this.#reservedMicros,
      dearestMicros: this.#dearestMicros,
      beyondMicros: this.#beyondMicros(holdings),
    };
  }

  /** A lease is asked for now: what it is to hold at the least (0: whatever there is). Others lack what comes meanwhile. */
  ask(holdings: Holdings): number {
    const lackedMicros = Math.max(this.#lackedMicros, this.#beyondMicros(holdings));
    this.forgetLacking();
    return lackedMicros;
  }

  granted(amountMicros: number, lackedMicros: number, nowMs: number): void {
    if (amountMicros < lackedMicros) this.#lackingUntilMs = nowMs + LACKING_AGAIN_MS;
    this.#reservedMicros = 0;
    this.#dearestMicros = 0;
  }

  forgetLacking(): void {
    this.#togetherMicros = 0;
    this.#lackedMicros = 0;
  }

  #beyondMicros({ heldMicros }: Holdings): number {
    return this.#togetherMicros === 0 ? 0 : Math.max(0, this.#togetherMicros - heldMicros);
  }
}
