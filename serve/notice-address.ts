// Addresses that tell us of a win, a loss, an impression or a click: they carry what a bid knew, signed, so that
// nobody can make up spend and no lookup is needed. Bids hand them out, the spend intake answers them. The addresses of a
// bid share what they say but for the price: browsers see those of impressions and clicks, and what was bid is nobody's business
// there. So there are two signatures (HMAC-SHA-256), with the price and without, and each kind has a half of one for its own.
import { createHmac, timingSafeEqual } from 'node:crypto';

/** The first member of what is signed; another layout gets another number. */
const LAYOUT = 2;
const SIGNATURE_BYTES = 16;
/** The signed part, with the longest names there may be, each of their characters written as six. */
export const NOTICE_ADDRESS_CHARACTERS_MAX = 4_096;

export const noticeKinds = ['impression', 'click', 'win', 'loss'] as const;
export type NoticeKind = (typeof noticeKinds)[number];

/** Whether a notice of this kind settles what its bid had set aside. */
export function settles(notice: NoticeKind): boolean {
  return notice === 'win' || notice === 'loss';
}

/** What the addresses of a bid carry. */
export interface NoticedBid {
  readonly account: string;
  readonly campaign: string;
  readonly channel: string;
  /** ISO 3166-1 alpha-2, '' for unknown. */
  readonly country: string;
  readonly bid: string;
  readonly lease: string | null;
  readonly currency: string;
  /** What a win costs that is called without a `price`, and what a loss frees. */
  readonly bidMicros: number;
  /** The `price` that the caller adds is for so many (an exchange's is for a thousand). */
  readonly priceUnits: 1 | 1000;
}

export interface NoticeAddress extends Omit<NoticedBid, 'bidMicros'> {
  readonly notice: NoticeKind;
  /** What it costs when the address is called without a `price`. */
  readonly costMicros: number;
}

function signaturesOf(secret: Buffer, text: string): Buffer {
  return createHmac('sha256', secret).update(text).digest();
}

/** The half of a signature that stands for one kind of two. */
function half(signature: Buffer, which: 0 | 1): Buffer {
  return signature.subarray(which * SIGNATURE_BYTES, (which + 1) * SIGNATURE_BYTES);
}

/**
 * The addresses `/v1/n/…` of a bid's notices; `?price=12.34` may be added (an exchange's macro stands there).
 * @param origin what stands in front of the path
 */
export function signNotices(secret: Buffer, noticed: NoticedBid, origin = ''): Record<NoticeKind, string> {
  const { account, campaign, channel, country, bid, lease, currency, bidMicros, priceUnits } = noticed;
  const members = [LAYOUT, account, campaign, channel, country, bid, lease, currency, priceUnits];
  const payload = Buffer.from(JSON.stringify(members)).toString('base64url');
  const priced = `${payload}.${bidMicros}`;
  const shown = signaturesOf(secret, payload);
  const settled = signaturesOf(secret, priced);
  return {
    impression: `${origin}/v1/n/impression.${payload}.${half(shown, 0).toString('base64url')}`,
    click: `${origin}/v1/n/click.${payload}.${half(shown, 1).toString('base64url')}`,
    win: `${origin}/v1/n/win.${priced}.${half(settled, 0).toString('base64url')}`,
    loss: `${origin}/v1/n/loss.${priced}.${half(settled, 1).toString('base64url')}`,
  };
}

/** What a signed part of an address says; undefined if we did not sign it. */
export function verifyNotice(secret: Buffer, signed: string): NoticeAddress | undefined {
  const parts = signed.split('.');
  const notice = noticeKinds.find((kind) => kind === parts[0]);
  if (notice === undefined || parts.length !== (settles(notice) ? 4 : 3)) return undefined;
  const given = Buffer.from(parts.at(-1)!, 'base64url');
  const signatures = signaturesOf(secret, parts.slice(1, -1).join('.'));
  const expected = half(signatures, notice === 'impression' || notice === 'win' ? 0 : 1);
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined;
  const members = JSON.parse(Buffer.from(parts[1]!, 'base64url').toString('utf8'));
  const [layout, account, campaign, channel, country, bid, lease, currency, priceUnits] = members;
  if (layout !== LAYOUT) return undefined;
  const costMicros = settles(notice) ? Number(parts[2]) : 0;
  return { notice, account, campaign, channel, country, bid, lease, currency, costMicros, priceUnits };
}
