// What a report or a notice says, read as the ledger reads it, and its row of the table `spend`.
import type { Figures } from '../account.ts';
import type { Effect } from '../effect.ts';
import type { NoticeRecord, ReportRecord } from '../spend-record.ts';

/** The fields of a cell's name are joined by this sign. */
export function channelOf(record: ReportRecord | NoticeRecord): string {
  return record.channel.replaceAll('|', '/');
}

/** A platform cannot have counted what came after its report was received. */
export function asOfMsOf(record: ReportRecord): number {
  return Math.min(record.asOf, record.receivedAt);
}

/** A loss costs nothing: its `costMicros` is what the bid had set aside. */
export function figuresOf(record: NoticeRecord): Figures {
  return [
    record.notice === 'impression' ? 1 : 0,
    record.notice === 'click' ? 1 : 0,
    record.notice === 'loss' ? 0 : record.costMicros,
  ];
}

/** One row a record, whatever it came to. */
export function pushReportRow(record: ReportRecord, verdict: string, effects: Effect[]): void {
  effects.push({
    kind: 'row',
    table: 'spend',
    row: {
      account: record.account,
      time: record.periodStart,
      kind: 'report',
      verdict,
      message_id: record.messageId,
      campaign: record.campaign,
      channel: channelOf(record),
      country: record.country,
      period: record.period,
      as_of: asOfMsOf(record),
      bid: '',
      lease: '',
      impressions: record.impressions,
      clicks: record.clicks,
      cost_micros: record.costMicros,
      currency: record.currency,
    },
  });
}

/** One row a record, whatever it came to. */
export function pushNoticeRow(record: NoticeRecord, verdict: string, effects: Effect[]): void {
  const [impressions, clicks, costMicros] = figuresOf(record);
  effects.push({
    kind: 'row',
    table: 'spend',
    row: {
      account: record.account,
      time: record.timestamp,
      kind: record.notice,
      verdict,
      message_id: record.messageId,
      campaign: record.campaign,
      channel: channelOf(record),
      country: record.country,
      period: '',
      as_of: record.timestamp,
      bid: record.bid,
      lease: record.lease ?? '',
      impressions,
      clicks,
      cost_micros: costMicros,
      currency: record.currency,
    },
  });
}
