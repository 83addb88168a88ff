// One account lived through in the order of the log: settled spend, budgets and leases, by the words of
// docs/decisions/spend.md.
import type { AccountDefinition } from '../../domain/definition.ts';
import type { LeaseRequestRecord, NoticeRecord, ReportRecord } from '../../domain/spend-record.ts';
import type { Epoch } from '../in-force.ts';
import { Book } from './book.ts';
import { dayOf, isOpen, MINUTE_MS } from './days.ts';
import type { LedgerFacts, SpendVerdict } from './facts.ts';
import {
  type Beyond,
  type HeldLease,
  NOTICES_KEPT_MAX,
  outstandingMicros,
  outstandingOf,
  remembersRefusal,
  takeCost,
  takeLoss,
} from './leases.ts';
import { Pacing } from './pacing.ts';
import { DAY_MS, type Figures, HOUR_MS, reportOf } from './reports.ts';
import { TakenNotices } from './taken.ts';

const HORIZON_MARGIN_MS = 5 * MINUTE_MS;
const CHANNELS_MAX = 50;
/** All that an account can settle: whole micros, each exact. */
const MICROS_MAX = Number.MAX_SAFE_INTEGER;

/** What holds at one record. */
export interface SpendMoment {
  readonly offset: number;
  readonly appendMs: number;
  readonly watermarkMs: number;
  readonly epoch: Epoch;
}

export class AccountLedger {
  readonly id: string;
  currency = '';
  utcOffsetMinutes = 0;
  readonly books: Book[] = [];
  leases: HeldLease[] = [];
  readonly refusals: string[] = [];
  readonly beyond: Beyond = {
    lateWins: 0,
    lateWinMicros: 0,
    contradicted: 0,
    contradictedMicros: 0,
    leaseOverspendMicros: 0,
    closedRecords: 0,
    closedRecordMicros: 0,
    unremembered: 0,
  };
  /** Taken without a held lease. */
  readonly taken = new TakenNotices();
  readonly pacing = new Pacing(this);
  /** Wins and losses by hour, of each day: the auctions that were bid in. */
  readonly auctions = new Map<number, number[]>();
  readonly #facts: LedgerFacts;

  constructor(id: string, facts: LedgerFacts) {
    this.id = id;
    this.#facts = facts;
  }

  /** Time goes on: pacing takes its steps, leases whose horizon the watermark passes are freed, each at its time. */
  passTo(untilMs: number, when: (dueMs: number) => Pick<SpendMoment, 'offset' | 'epoch'>): void {
    this.pacing.passTo(untilMs, this.#horizonsMs, (dueMs) => this.#definitionIn(when(dueMs).epoch));
    const over = this.leases.filter(({ horizonMs }) => horizonMs + 1 <= untilMs);
    for (const lease of over) {
      const timeMs = lease.horizonMs + 1;
      this.#end(lease, 'freed', timeMs, when(timeMs).offset);
    }
  }

  take(record: ReportRecord | NoticeRecord | LeaseRequestRecord, moment: SpendMoment): void {
    const definition = this.#definitionIn(moment.epoch);
    const reason = this.#refusal(record, definition, moment);
    if (reason !== undefined || definition === undefined) {
      this.#facts.rejected.set(moment.offset, reason ?? 'unknownAccount');
      return;
    }
    if (this.currency === '') {
      this.currency = definition.currency;
      this.utcOffsetMinutes = definition.utcOffsetMinutes;
    }
    this.pacing.wake(definition, moment.watermarkMs);
    if (record.kind === 'leaseRequest') this.#request(record, definition, moment);
    else {
      const verdict = record.kind === 'report' ? this.#report(record, moment) : this.#notice(record, moment);
      this.#facts.spend.push({ offset: moment.offset, record, verdict });
    }
    this.pacing.setTimer(definition, this.#horizonsMs, moment.watermarkMs);
  }

  get #horizonsMs(): number[] {
    return this.leases.map(({ horizonMs }) => horizonMs);
  }

  #isInForce({ accounts }: Epoch): boolean {
    return accounts.some(({ id }) => id === this.id);
  }

  #definitionIn({ paidBy }: Epoch): AccountDefinition | undefined {
    return paidBy.get(this.id);
  }

  /** Of a day: the auctions that were bid in, or where there were none the impressions whose hour is known. */
  traffic(): { dayMs: number; byHour: readonly number[] }[] {
    const days = new Set([...this.auctions.keys(), ...this.books.map(({ dayMs }) => dayMs)]);
    return [...days]
      .sort((a, b) => a - b)
      .map((dayMs) => {
        const books = this.books
          .filter((book) => book.dayMs === dayMs)
          .map((book) => book.impressionsByHour());
        const shown = Array.from({ length: 24 }, (_none, hour) =>
          books.reduce((sum, byHour) => sum + (byHour.get(hour) ?? 0), 0),
        );
        return { dayMs, byHour: this.auctions.get(dayMs) ?? shown };
      });
  }

  get settledMicros(): number {
    return this.books.reduce((sum, book) => sum + book.settledMicros, 0);
  }

  settledOn(dayMs: number): number {
    return this.books.reduce((sum, book) => (book.dayMs === dayMs ? sum + book.settledMicros : sum), 0);
  }

  #refusal(
    record: ReportRecord | NoticeRecord | LeaseRequestRecord,
    definition: AccountDefinition | undefined,
    { epoch, watermarkMs }: SpendMoment,
  ): string | undefined {
    if (definition === undefined) return 'unknownAccount';
    if (record.kind === 'leaseRequest') {
      // What grants nothing more hears what it is given back all the same.
      return this.#isInForce(epoch) || this.currency !== '' ? undefined : 'unknownAccount';
    }
    const campaign = epoch.spentFor.get(record.campaign);
    if (campaign === undefined) return 'unknownCampaign';
    if (campaign.accountId !== this.id) return 'foreignCampaign';
    const currency = this.currency === '' ? definition.currency : this.currency;
    if (record.currency !== currency) return 'currency';
    const utcOffsetMinutes = this.currency === '' ? definition.utcOffsetMinutes : this.utcOffsetMinutes;
    if (record.kind === 'report') {
      const intoDayMs = record.periodStart - dayOf(record.periodStart, utcOffsetMinutes);
      if (intoDayMs % (record.period === 'day' ? DAY_MS : HOUR_MS) !== 0) return 'periodStart';
      if (Math.min(record.asOf, record.receivedAt) < record.periodStart) return 'asOf';
    }
    if (this.#settledAfter(record, watermarkMs, utcOffsetMinutes) > MICROS_MAX) return 'overflow';
    const dayMs = this.#dayOf(record, utcOffsetMinutes);
    if (!isOpen(dayMs, watermarkMs) || this.#find(dayMs, record) !== undefined) return undefined;
    const channels = this.books.filter((book) => book.dayMs === dayMs && book.campaign === record.campaign);
    return channels.length < CHANNELS_MAX ? undefined : 'channels';
  }

  /** What would be settled in all; above 2^53 it need not be exact. */
  #settledAfter(record: ReportRecord | NoticeRecord, watermarkMs: number, utcOffsetMinutes: number): number {
    const settled = this.settledMicros;
    if (record.kind === 'notice') return record.notice === 'loss' ? settled : settled + record.costMicros;
    const dayMs = dayOf(record.periodStart, utcOffsetMinutes);
    if (!isOpen(dayMs, watermarkMs)) return settled;
    const book = this.#find(dayMs, record) ?? new Book(record.campaign, channelOf(record), dayMs);
    return settled - book.settledMicros + book.settledAfter(reportOf(record, dayMs), watermarkMs);
  }

  #report(record: ReportRecord, { watermarkMs }: SpendMoment): SpendVerdict {
    const dayMs = dayOf(record.periodStart, this.utcOffsetMinutes);
    const report = reportOf(record, dayMs);
    if (!isOpen(dayMs, watermarkMs)) return this.#closed(record.costMicros);
    const verdict = this.#find(dayMs, record)?.judge(report) ?? 'applied';
    if (verdict === 'applied') this.#open(dayMs, record).apply(report, watermarkMs);
    return verdict;
  }

  #notice(record: NoticeRecord, moment: SpendMoment): SpendVerdict {
    const { watermarkMs, epoch } = moment;
    const lease = this.leases.find(({ id }) => id === record.lease);
    const isNew =
      lease === undefined ? this.#rememberLoose(record, moment) : this.#rememberLeased(lease, record);
    if (!isNew) return 'duplicate';
    const dayMs = this.#dayOf(record, this.utcOffsetMinutes);
    const isLoss = record.notice === 'loss';
    if (lease !== undefined && isLoss) takeLoss(lease, record, this.beyond);
    if (lease !== undefined && !isLoss) takeCost(lease, record, this.beyond);
    if (lease === undefined && record.lease !== undefined && !isLoss) {
      if (record.notice === 'win' || record.costMicros > 0) {
        this.beyond.lateWins += 1;
        this.beyond.lateWinMicros += record.costMicros;
      }
    }
    if (!isOpen(dayMs, watermarkMs)) return this.#closed(isLoss ? 0 : record.costMicros);
    const verdict = record.timestamp < watermarkMs - epoch.settings.latenessMs ? 'late' : 'applied';
    const timeMs = Math.min(Math.max(record.timestamp, dayMs), dayMs + DAY_MS - 1);
    if (isLoss || record.notice === 'win') this.#countAuction(dayMs, timeMs);
    const figures: Figures = [
      record.notice === 'impression' ? 1 : 0,
      record.notice === 'click' ? 1 : 0,
      isLoss ? 0 : record.costMicros,
    ];
    if (figures.every((figure) => figure === 0)) return verdict;
    const book = this.#open(dayMs, record);
    if (record.lease !== undefined) book.clearedMicros += record.costMicros;
    book.add({ timeMs, country: record.country, figures });
    return verdict;
  }

  #countAuction(dayMs: number, timeMs: number): void {
    const byHour = this.auctions.get(dayMs) ?? new Array<number>(24).fill(0);
    byHour[Math.floor((timeMs - dayMs) / HOUR_MS)]! += 1;
    this.auctions.set(dayMs, byHour);
  }

  #request(record: LeaseRequestRecord, definition: AccountDefinition, moment: SpendMoment): void {
    const { offset, watermarkMs, appendMs } = moment;
    if (this.leases.some(({ id }) => id === record.lease) || this.refusals.includes(record.lease)) return;
    for (const lease of [...this.leases]) {
      const isVoid = lease.process === record.process && (record.voids ?? []).includes(lease.id);
      if (isVoid) this.#end(lease, 'voided', watermarkMs, offset);
    }
    for (const back of record.returns ?? []) this.#takeBack(back, record.process, moment);
    const fromMs = Math.max(watermarkMs, appendMs);
    const dayMs = dayOf(fromMs, this.utcOffsetMinutes);
    const { dailyBudgetMicros, totalBudgetMicros } = definition;
    const ofDay = this.leases.filter((lease) => lease.dayMs === dayMs);
    const usedToday = this.settledOn(dayMs) + outstandingMicros(ofDay);
    const usedInAll = this.settledMicros + outstandingMicros(this.leases);
    const free = Math.min(dailyBudgetMicros - usedToday, (totalBudgetMicros ?? MICROS_MAX) - usedInAll);
    const grants = this.#isInForce(moment.epoch) && definition.currency === this.currency;
    const share = grants ? Math.floor(definition.leaseShare * Math.max(0, free)) : 0;
    const amountMicros = Math.min(record.amountMicros, share);
    const untilMs = Math.min(fromMs + definition.leaseTtlMs, dayMs + DAY_MS);
    const { lease, process } = record;
    const fact = { offset, account: this.id, lease, process, untilMs, timeMs: watermarkMs };
    if (amountMicros < 1) {
      remembersRefusal(this.refusals, lease);
      this.#facts.leases.push({ ...fact, status: 'refused', amountMicros: 0 });
      return;
    }
    const horizonMs = untilMs + definition.bidLifeMs + definition.noticeHorizonMs + HORIZON_MARGIN_MS;
    const granted = {
      id: lease,
      process,
      dayMs,
      amountMicros,
      grantedMs: fromMs,
      untilMs,
      horizonMs,
      settledMicros: 0,
      freedMicros: 0,
      isReturned: false,
    };
    this.leases.push({ ...granted, seen: new Set(), lost: new Map() });
    this.#facts.leases.push({ ...fact, status: 'granted', amountMicros });
    this.#facts.grants.push({
      offset,
      account: this.id,
      lease,
      committedTodayMicros: usedToday + amountMicros,
      dailyBudgetMicros,
      committedTotalMicros: usedInAll + amountMicros,
      totalBudgetMicros,
    });
  }

  /** What no bid of a held lease's own process will ever cost. */
  #takeBack(
    back: { readonly lease: string; readonly amountMicros: number },
    process: string,
    { offset, watermarkMs: timeMs }: SpendMoment,
  ): void {
    const held = this.leases.find((lease) => lease.id === back.lease && lease.process === process);
    if (held === undefined || held.isReturned) return;
    held.isReturned = true;
    const amountMicros = Math.min(back.amountMicros, outstandingOf(held));
    held.freedMicros += amountMicros;
    const { id: lease, untilMs } = held;
    const fact = { offset, account: this.id, lease, process, untilMs, timeMs };
    this.#facts.leases.push({ ...fact, status: 'returned', amountMicros });
  }

  #end(lease: HeldLease, status: 'voided' | 'freed', timeMs: number, offset: number): void {
    this.leases = this.leases.filter((each) => each !== lease);
    const { id, process, untilMs } = lease;
    const amountMicros = outstandingOf(lease);
    this.#facts.leases.push({
      offset,
      account: this.id,
      lease: id,
      process,
      status,
      amountMicros,
      untilMs,
      timeMs,
    });
  }

  #closed(costMicros: number): 'late' {
    this.beyond.closedRecords += 1;
    this.beyond.closedRecordMicros += costMicros;
    return 'late';
  }

  /** False if it was taken under its lease before. */
  #rememberLeased(lease: HeldLease, { notice, bid }: NoticeRecord): boolean {
    const name = `${notice}|${bid}`;
    if (lease.seen.has(name)) return false;
    if (lease.seen.size < NOTICES_KEPT_MAX) lease.seen.add(name);
    else this.beyond.unremembered += 1;
    return true;
  }

  /** False if it was taken in this epoch of the watermark or the one before. */
  #rememberLoose({ campaign, notice, bid }: NoticeRecord, { watermarkMs, epoch }: SpendMoment): boolean {
    const taken = this.taken.take(`${campaign}|${notice}|${bid}`, watermarkMs, epoch.settings.idMemoryMs);
    if (taken === 'full') this.beyond.unremembered += 1;
    return taken !== 'known';
  }

  #dayOf(record: ReportRecord | NoticeRecord, utcOffsetMinutes: number): number {
    if (record.kind === 'report') return dayOf(record.periodStart, utcOffsetMinutes);
    const lease = this.leases.find(({ id }) => id === record.lease);
    return lease?.dayMs ?? dayOf(record.timestamp, utcOffsetMinutes);
  }

  #find(dayMs: number, record: ReportRecord | NoticeRecord): Book | undefined {
    const channel = channelOf(record);
    return this.books.find(
      (book) => book.dayMs === dayMs && book.campaign === record.campaign && book.channel === channel,
    );
  }

  #open(dayMs: number, record: ReportRecord | NoticeRecord): Book {
    const found = this.#find(dayMs, record);
    if (found !== undefined) return found;
    const book = new Book(record.campaign, channelOf(record), dayMs);
    this.books.push(book);
    return book;
  }
}

/** The fields of a cell's name are joined by this sign. */
export function channelOf({ channel }: ReportRecord | NoticeRecord): string {
  return channel.replaceAll('|', '/');
}
