// The leases of one account, as this process holds them: money to bid with. Everything is in memory: a restarted
// process has nothing and asks anew, and what it held before returns to the ledger by itself, at the leases' horizons.

import { findLease, leaseGrant } from '../../domain/account/leases.ts';
import { type AccountSummary, accountSummary } from '../../domain/account/summary.ts';
import { type AccountState, type Lease, newAccount } from '../../domain/account.ts';
import type { AccountDefinition } from '../../domain/definition.ts';
import type { LeaseRequestRecord } from '../../domain/spend-record.ts';
import type { ServeClock } from '../dependencies.ts';
import type { AccountReading } from '../state.ts';
import { Demand } from './demand.ts';
import { type GivenBack, ToGiveBack } from './given-back.ts';
import { judgeGrant } from './granted.ts';
import {
  amountToAsk,
  type BidNeed,
  bidLifeMsOf,
  type HeldLease,
  isLow,
  isOver,
  leaseFor,
  type Moment,
  passOver,
  reserve,
  unserved,
} from './lease.ts';
import { Waiters } from './waiters.ts';

/** An account that nobody bid for since then is left alone. */
const IDLE_MS = 60_000;
/** How often the account is read: while an answer is awaited (growing to the limit), and otherwise. */
const ANSWER_POLL_MS = 20;
const ANSWER_POLL_MS_MAX = 250;
const REFRESH_MS = 1_000;
/** A request that is not answered by then is given up and voided by the next one; at most half a lease's life. */
const ANSWER_WAIT_MS = 10_000;
/** After a refusal, or when Kafka or Redis is away. */
const ASK_AGAIN_MS = 2_000;
/** Between requests: near a budget's end the leases get small, not many. */
const ASK_SPACING_MS = 200;
/**
 * Leases of one account at a time, the one in the air counted; so many more where none of them holds what a bid needs.
 * Rests that bids pass over do not count: they would stand in the way of the next lease until they end.
 */
const HELD_MAX = 4;
/** Rests that are kept for bids that need less; of more the oldest are let go. */
const RESTS_MAX = 4;

export interface LeasePorts {
  /** Unique to this run of the process. */
  readonly process: string;
  readonly clock: ServeClock;
  read(account: string): Promise<AccountReading>;
  /** Resolves once Kafka has it. */
  send(record: LeaseRequestRecord): Promise<void>;
  definition(account: string): AccountDefinition | undefined;
  newId(): string;
  warn(message: string, fields: Readonly<Record<string, unknown>>): void;
}

interface Request {
  readonly id: string;
  /** What it was to hold at the least; 0: whatever there is. */
  readonly lackedMicros: number;
  readonly sent: Moment;
  readonly ttlMs: number;
  readonly gives: GivenBack;
}

/** The leases of one account; opened by the first bid, asleep while nobody bids. */
export class AccountLeases {
  readonly account: string;
  readonly #ports: LeasePorts;
  #held: HeldLease[] = [];
  #request: Request | null = null;
  readonly #toGiveBack = new ToGiveBack();
  #reading: AccountReading | null = null;
  #wantedAtMs = Number.NEGATIVE_INFINITY;
  /** Nothing will come before then: a refusal, or a part that is away. */
  #putOffUntilMs = Number.NEGATIVE_INFINITY;
  #spacedUntilMs = Number.NEGATIVE_INFINITY;
  readonly #demand = new Demand();
  readonly #waiters = new Waiters();
  #pollMs = ANSWER_POLL_MS;
  #timer: NodeJS.Timeout | undefined;
  #stepping: Promise<void> | null = null;
  #closed = false;

  constructor(account: string, ports: LeasePorts) {
    this.account = account;
    this.#ports = ports;
  }

  /** The account as it was last read: at most about a second old while it is bid for. Null before the first reading. */
  get reading(): AccountReading | null {
    return this.#reading;
  }

  get heldMicros(): number {
    return this.#good.reduce((sum, lease) => sum + lease.leftMicros, 0);
  }

  /** Somebody bids for the account, not below the least: leases are kept ready from now on. */
  want(dearestMicros: number, leastMicros = 1): void {
    this.#wantedAtMs = this.#ports.clock.monotonicMs();
    this.#demand.wants(dearestMicros);
    // Where the ledger would not grant so much either, no other lease would serve it better.
    if (this.#demand.canBeServed(leastMicros)) passOver(this.#held, leastMicros);
    if (this.#timer === undefined && this.#stepping === null && !this.#closed) this.#schedule(0);
  }

  /** The lease that a bid of this price would come from. */
  leaseFor(wantedMicros: number): HeldLease | undefined {
    return leaseFor(this.#good, wantedMicros);
  }

  /** How long a bid from this lease may win, by what the account's definition says now. */
  bidLifeMs(lease: HeldLease): number {
    return bidLifeMsOf(lease, this.#definition);
  }

  /** Whether a bid that must not be below this could be placed now. */
  holds(leastMicros: number): boolean {
    const lease = this.leaseFor(leastMicros);
    return lease !== undefined && lease.leftMicros >= leastMicros;
  }

  /** A bid was not placed for want of so much: leases that were sized by cheaper bids are no reason to wait for their end. */
  lack(leastMicros: number): void {
    this.#demand.lacks(leastMicros);
    this.#hurry();
  }

  /** Sets a bid's price aside; asks ahead when that leaves too little. */
  reserve(lease: HeldLease, priceMicros: number): void {
    reserve(lease, priceMicros);
    this.#demand.reserved(priceMicros);
    this.#hurry();
  }

  /**
   * The bids of one request say what they need. Resolves when leases for all of them are there, when none will come for
   * now, or the time is over.
   */
  async waitForLeases(needs: readonly BidNeed[], timeoutMs: number): Promise<void> {
    const { clock } = this.#ports;
    const untilMs = clock.monotonicMs() + timeoutMs;
    for (;;) {
      const lacking = unserved(this.#good, needs);
      if (lacking.length === 0) return;
      for (const { wantedMicros, leastMicros } of lacking) this.want(wantedMicros, leastMicros);
      this.#demand.lackTogether(needs, lacking);
      this.#hurry();
      const leftMs = untilMs - clock.monotonicMs();
      if (leftMs <= 0 || !this.#isAsking() || !(await this.#waiters.isWokenWithin(leftMs))) return;
    }
  }

  /** Stops, and gives back what no bid has set aside. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#stepping;
    this.#giveUpRequest();
    this.#retire(() => true);
    await this.#giveBack();
    this.#waiters.wake();
  }

  get #now(): Moment {
    const { clock } = this.#ports;
    return { monotonicMs: clock.monotonicMs(), wallMs: clock.nowMs() };
  }

  get #definition(): AccountDefinition | undefined {
    return this.#ports.definition(this.account);
  }

  /** The leases that bids may come from: not over, with something left, and whose bids somebody may still use. */
  get #good(): HeldLease[] {
    const [now, definition] = [this.#now, this.#definition];
    const isGood = (lease: HeldLease): boolean =>
      lease.leftMicros > 0 && !isOver(lease, now) && bidLifeMsOf(lease, definition) > 0;
    return this.#held.filter(isGood);
  }

  /** Whether a lease is on its way, or is about to be asked for. */
  #isAsking(): boolean {
    const nowMs = this.#ports.clock.monotonicMs();
    if (this.#closed) return false;
    return this.#request !== null || (nowMs >= this.#putOffUntilMs && this.#isShort(nowMs));
  }

  #schedule(delayMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#stepping = this.#step().finally(() => {
        this.#stepping = null;
      });
    }, delayMs);
    this.#timer.unref();
  }

  /** Where another lease is wanted, it is asked for as soon as it may be, not at the next refresh. */
  #hurry(): void {
    const nowMs = this.#ports.clock.monotonicMs();
    if (this.#timer === undefined || this.#request !== null || !this.#isShort(nowMs)) return;
    const waitMs = Math.max(0, this.#mayAskMs() - nowMs);
    if (waitMs < REFRESH_MS && !this.#closed) this.#schedule(waitMs);
  }

  async #step(): Promise<void> {
    try {
      this.#reading = await this.#ports.read(this.account);
      this.#demand.mayBeGranted(this.#grantable());
      this.#takeAnswer();
      const nowMs = this.#ports.clock.monotonicMs();
      const good = this.#good;
      const rests = this.#held.filter(({ isRest }) => isRest).slice(0, -RESTS_MAX);
      this.#retire((lease) => !good.includes(lease) || rests.includes(lease));
      if (nowMs - this.#wantedAtMs >= IDLE_MS) {
        await this.#fallAsleep();
        return;
      }
      if (this.#mayAsk(nowMs)) await this.#ask();
    } catch (error) {
      this.#putOff();
      this.#ports.warn('a lease could not be asked for', { account: this.account, error: String(error) });
    }
    if (!this.#closed) this.#schedule(this.#nextStepMs());
  }

  /** Until an answer is looked for, until more may be asked for where little is left, or until the next refresh. */
  #nextStepMs(): number {
    if (this.#request !== null) return this.#nextPollMs();
    const nowMs = this.#ports.clock.monotonicMs();
    if (!this.#isShort(nowMs)) return REFRESH_MS;
    return Math.min(REFRESH_MS, Math.max(ANSWER_POLL_MS, this.#mayAskMs() - nowMs));
  }

  #nextPollMs(): number {
    const pollMs = this.#pollMs;
    this.#pollMs = Math.min(pollMs * 1.5, ANSWER_POLL_MS_MAX);
    return pollMs;
  }

  #mayAskMs(): number {
    return Math.max(this.#putOffUntilMs, this.#spacedUntilMs);
  }

  #mayAsk(nowMs: number): boolean {
    return !this.#closed && this.#request === null && nowMs >= this.#mayAskMs() && this.#isShort(nowMs);
  }

  /** Whether another lease is wanted, and may be held. */
  #isShort(nowMs: number): boolean {
    const serving = this.#good.filter((lease) => !lease.isRest);
    if (this.#demand.isLacking(nowMs, this)) return serving.length < 2 * HELD_MAX;
    return serving.length < HELD_MAX && isLow(serving, nowMs);
  }

  /** Takes the answer to the own request, and to no other. */
  #takeAnswer(): void {
    const request = this.#request;
    if (request === null) return;
    const state = this.#reading?.state ?? null;
    const answer = state === null ? 'pending' : leaseGrant(state, request.id);
    if (answer === 'pending') {
      const waitMs = Math.min(ANSWER_WAIT_MS, request.ttlMs / 2);
      if (this.#ports.clock.monotonicMs() - request.sent.monotonicMs < waitMs) return;
      this.#giveUpRequest();
      this.#putOff();
      this.#ports.warn('a lease request was not answered', { account: this.account, lease: request.id });
      return;
    }
    this.#request = null;
    if (answer === 'refused') {
      this.#putOff();
      this.#warnOfCurrency(state!);
      return;
    }
    this.#hold(request, findLease(state!, request.id)!);
  }

  /** No budget in another money than the account's is bid from, however much of it there is. */
  #warnOfCurrency({ currency }: AccountState): void {
    const defined = this.#definition?.currency;
    if (defined === undefined || currency === '' || currency === defined) return;
    const fields = { account: this.account, currency, defined };
    this.#ports.warn('no lease is granted: the account was begun in another currency', fields);
  }

  #hold(request: Request, lease: Lease): void {
    const now = this.#now;
    const granted = judgeGrant(request, lease, now, this.#definition);
    if (granted.kind !== 'held') this.#toGiveBack.voids(lease.id);
    switch (granted.kind) {
      case 'held':
        this.#held.push(granted.lease);
        this.#demand.granted(lease.amountMicros, request.lackedMicros, now.monotonicMs);
        this.#waiters.wake();
        return;
      case 'cutShort':
        // The new day's is asked for at once, for those who wait.
        this.#spacedUntilMs = now.monotonicMs;
        return;
      case 'useless':
        // For now there is no better one.
        this.#putOff();
        this.#ports.warn(granted.why, { account: this.account, lease: lease.id, ...granted.fields });
    }
  }

  async #ask(): Promise<void> {
    const definition = this.#definition;
    if (definition === undefined) {
      this.#putOff();
      return;
    }
    const id = this.#ports.newId();
    const amountMicros = this.#amountFor(definition);
    const request = {
      id,
      sent: this.#now,
      ttlMs: definition.leaseTtlMs,
      lackedMicros: this.#demand.ask(this),
      gives: this.#toGiveBack.next(),
    };
    this.#request = request;
    this.#spacedUntilMs = request.sent.monotonicMs + ASK_SPACING_MS;
    this.#pollMs = ANSWER_POLL_MS;
    try {
      await this.#send(id, amountMicros, request.sent.wallMs, request.gives);
    } catch (error) {
      // It may be in the log all the same: its money is given back by the next one.
      this.#giveUpRequest();
      throw error;
    }
  }

  #grantable(): number {
    const definition = this.#definition;
    if (definition === undefined) return 0;
    return Math.floor(definition.leaseShare * this.#summary(definition).freeMicros);
  }

  #summary(definition: AccountDefinition): AccountSummary {
    const state = this.#reading?.state ?? newAccount(this.account);
    return accountSummary(state, definition, this.#reading?.watermarkMs ?? 0);
  }

  #amountFor(definition: AccountDefinition): number {
    const { plannedNextMicros } = this.#summary(definition);
    return amountToAsk({ plannedNextMicros, ...this.#demand.needFor(this) });
  }

  async #send(lease: string, amountMicros: number, timestamp: number, gives: GivenBack): Promise<void> {
    await this.#ports.send({
      kind: 'leaseRequest',
      lease,
      account: this.account,
      process: this.#ports.process,
      amountMicros,
      ...gives,
      timestamp,
    });
    // Until Kafka has said that it has it, it is said again; the ledger hears it once.
    this.#toGiveBack.sent(gives);
  }

  /** Lets go of leases: no bid will come from them any more, and what none has set aside is given back with the next request. */
  #retire(isOver: (lease: HeldLease) => boolean): void {
    const over = this.#held.filter(isOver);
    this.#held = this.#held.filter((lease) => !over.includes(lease));
    for (const lease of over) this.#toGiveBack.letGo(lease);
  }

  #giveUpRequest(): void {
    if (this.#request === null) return;
    this.#toGiveBack.again(this.#request.gives);
    this.#toGiveBack.voids(this.#request.id);
    this.#request = null;
  }

  #putOff(): void {
    this.#putOffUntilMs = this.#ports.clock.monotonicMs() + ASK_AGAIN_MS;
    this.#waiters.wake();
  }

  /** A request for nothing, which only gives back. */
  async #giveBack(): Promise<void> {
    while (!this.#toGiveBack.isEmpty)
      await this.#send(this.#ports.newId(), 0, this.#ports.clock.nowMs(), this.#toGiveBack.next());
  }

  async #fallAsleep(): Promise<void> {
    this.#giveUpRequest();
    this.#retire(() => true);
    // What was wanted then is no measure for who comes after the pause.
    this.#demand.forgetLacking();
    await this.#giveBack();
    if (this.#ports.clock.monotonicMs() - this.#wantedAtMs < IDLE_MS && !this.#closed) this.#schedule(0);
  }
}
