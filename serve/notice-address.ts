// Addresses that tell us of a win, a loss, an impression or a click: they carry what a bid knew, signed, so that
// nobody can make up spend and no lookup is needed. Bids hand them out, the spend intake answers them.
import { createHmac, timingSafeEqual } from 'node:crypto';

/** The first member of what is signed; another layout gets another number. */
const LAYOUT = 1;
const SIGNATURE_BYTES = 16;

export const noticeKinds = ['impression', 'click', 'win', 'loss'] as const;
export type NoticeKind = (typeof noticeKinds)[number];

export interface NoticeAddress {
  readonly notice: NoticeKind;
  readonly account: string;
  readonly campaign: string;
  readonly channel: string;
  /** ISO 3166-1 alpha-2, '' for unknown. */
  readonly country: string;
  readonly bid: string;
  readonly lease: string | null;
  readonly currency: string;
  /** What it costs when the address is called without a `price`. */
  readonly costMicros: number;
  /** The `price` that the caller adds is for so many (an exchange's is for a thousand). */
  readonly priceUnits: 1 | 1000;
}

function signatureOf(secret: Buffer, payload: string): Buffer {
  return createHmac('sha256', secret).update(payload).digest().subarray(0, SIGNATURE_BYTES);
}

/** The path `/v1/n/…` of a notice; `?price=12.34` may be added (an exchange's macro stands there). */
export function signNotice(secret: Buffer, address: NoticeAddress): string {
  const { notice, account, campaign, channel, country, bid, lease, currency, costMicros, priceUnits } =
    address;
  const members = [
    LAYOUT,
    notice,
    account,
    campaign,
    channel,
    country,
    bid,
    lease,
    currency,
    costMicros,
    priceUnits,
  ];
  const payload = Buffer.from(JSON.stringify(members)).toString('base64url');
  return `/v1/n/${payload}.${signatureOf(secret, payload).toString('base64url')}`;
}

/** What a signed part of an address says; undefined if we did not sign it. */
export function verifyNotice(secret: Buffer, signed: string): NoticeAddress | undefined {
  const dot = signed.indexOf('.');
  if (dot < 0) return undefined;
  const payload = signed.slice(0, dot);
  const given = Buffer.from(signed.slice(dot + 1), 'base64url');
  const expected = signatureOf(secret, payload);
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined;
  const members = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
  const [layout, notice, account, campaign, channel, country, bid, lease, currency, costMicros, priceUnits] =
    members;
  if (layout !== LAYOUT) return undefined;
  return { notice, account, campaign, channel, country, bid, lease, currency, costMicros, priceUnits };
}
