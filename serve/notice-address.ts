// Addresses that tell us of a win, a loss, an impression or a click: they carry what a bid knew, signed, so that
// nobody can make up spend and no lookup is needed. Bids hand them out, the spend intake answers them. The addresses of a
// bid say the same and are signed at once: one HMAC-SHA-512, of whose 64 bytes each kind has 16 of its own.
import { createHmac, timingSafeEqual } from 'node:crypto';

/** The first member of what is signed; another layout gets another number. */
const LAYOUT = 2;
const SIGNATURE_BYTES = 16;

export const noticeKinds = ['impression', 'click', 'win', 'loss'] as const;
export type NoticeKind = (typeof noticeKinds)[number];

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

function signaturesOf(secret: Buffer, payload: string): Buffer {
  return createHmac('sha512', secret).update(payload).digest();
}

/** The part of a bid's signatures that stands for one kind. */
function ownPart(signatures: Buffer, kind: number): Buffer {
  return signatures.subarray(kind * SIGNATURE_BYTES, (kind + 1) * SIGNATURE_BYTES);
}

/** The paths `/v1/n/…` of a bid's notices; `?price=12.34` may be added (an exchange's macro stands there). */
export function signNotices(secret: Buffer, noticed: NoticedBid): Record<NoticeKind, string> {
  const { account, campaign, channel, country, bid, lease, currency, bidMicros, priceUnits } = noticed;
  const members = [LAYOUT, account, campaign, channel, country, bid, lease, currency, bidMicros, priceUnits];
  const payload = Buffer.from(JSON.stringify(members)).toString('base64url');
  const signatures = signaturesOf(secret, payload);
  const path = (kind: number): string =>
    `/v1/n/${noticeKinds[kind]}.${payload}.${ownPart(signatures, kind).toString('base64url')}`;
  return { impression: path(0), click: path(1), win: path(2), loss: path(3) };
}

/** What a signed part of an address says; undefined if we did not sign it. */
export function verifyNotice(secret: Buffer, signed: string): NoticeAddress | undefined {
  const [name, payload, signature, ...more] = signed.split('.');
  const kind = noticeKinds.indexOf(name as NoticeKind);
  if (kind < 0 || payload === undefined || signature === undefined || more.length > 0) return undefined;
  const given = Buffer.from(signature, 'base64url');
  const expected = ownPart(signaturesOf(secret, payload), kind);
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined;
  const members = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
  const [layout, account, campaign, channel, country, bid, lease, currency, bidMicros, priceUnits] = members;
  if (layout !== LAYOUT) return undefined;
  const notice = noticeKinds[kind]!;
  const costMicros = notice === 'win' || notice === 'loss' ? bidMicros : 0;
  return { notice, account, campaign, channel, country, bid, lease, currency, costMicros, priceUnits };
}
