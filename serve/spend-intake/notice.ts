// One impression, click, win or loss becomes one record of the log. A bid's notice of one kind is one message.
import { z } from 'zod';
import type { NoticeRecord } from '../../domain/spend-record.ts';
import { compileValidator, faultsOfOne } from '../../platform/validate.ts';
import type { DefinitionView } from '../dependencies.ts';
import { type NoticeAddress, noticeKinds, settles } from '../notice-address.ts';
import { FUTURE_MS_MAX } from '../time.ts';
import { microsOfMoney } from './amount.ts';
import { allOf, isFault, type SpendFault, spendFault } from './fault.ts';
import {
  type CampaignAccount,
  channelOf,
  costOf,
  countryOfCell,
  currencyOf,
  lookUpCampaign,
  offsetOf,
  present,
  receiptOf,
  timeOf,
  wholeText,
} from './fields.ts';
import { misspeltName } from './misspelt.ts';

/** With its kind in front, a bid's id must still fit a message id. */
const BID_CHARACTERS_MAX = 240;
/** No auction clears above what was bid; an exchange may round its price up. */
const ROUNDED_UP_MAX = 1.01;
export const PRICE_CHARACTERS_MAX = 64;

const textField = z.string().max(256).nullable().optional();
const numberField = z.union([z.string(), z.number()]).nullable().optional();

export const noticeMessage = z
  .looseObject({
    notice: z.enum(noticeKinds),
    campaign: z.string().min(1).max(128),
    bid: z
      .string()
      .min(1)
      .max(BID_CHARACTERS_MAX)
      .describe('with the kind it is unique: repeats change nothing'),
    lease: textField.describe('for bids that we placed'),
    channel: textField.describe("absent: the campaign's own"),
    country: textField.describe('ISO 3166-1 alpha-2; ZZ: not known'),
    cost: numberField.describe('decimal, in the currency; a win needs one'),
    costMicros: numberField,
    heldMicros: z
      .int()
      .min(0)
      .max(9_000_000_000_000_000)
      .nullable()
      .optional()
      .describe('what the bid had set aside of its lease (win, loss)'),
    currency: textField.describe("absent: the account's"),
    timestamp: numberField.describe(
      "the account's own time unless it says its offset; absent: when it is received",
    ),
    receivedAt: numberField.describe('supplied by replays'),
  })
  .meta({ description: 'One impression, click, win or loss.' });
type NoticeMessage = z.infer<typeof noticeMessage>;

const validate = compileValidator(noticeMessage);
const columns = Object.keys(noticeMessage.shape);

export interface TakenNotice {
  readonly taken: true;
  readonly record: NoticeRecord;
}

interface Times {
  readonly timestamp: number;
  readonly receivedAt: number;
  readonly supplied?: true;
}

function timesOf(message: NoticeMessage, utcOffsetMinutes: number, nowMs: number): Times | SpendFault {
  const receipt = receiptOf(message.receivedAt, utcOffsetMinutes, nowMs);
  if (isFault(receipt)) return receipt;
  const given = present(message.timestamp);
  if (given === undefined) return { timestamp: receipt.receivedAt, ...receipt };
  const timestamp = timeOf('timestamp', given, utcOffsetMinutes, receipt.receivedAt + FUTURE_MS_MAX);
  return isFault(timestamp) ? timestamp : { timestamp, ...receipt };
}

/** What only the campaign's account tells. */
function ownOf(message: NoticeMessage, { accountId: account, account: payer, campaign }: CampaignAccount) {
  const channel = channelOf(message.channel, campaign);
  return allOf({ account, channel, currency: currencyOf(message.currency, payer) });
}

/** The record of one notice, or all of why it is not taken. */
export function takeNotice(
  given: unknown,
  context: { readonly definitions: DefinitionView; readonly nowMs: number },
): TakenNotice | SpendFault {
  const validated = validate(given);
  if (!validated.ok) return spendFault('invalid', faultsOfOne(validated.errors, 'a notice'));
  const misspelt = misspeltName(validated.value, columns);
  if (misspelt !== undefined) return spendFault('invalid', misspelt);
  const message = validated.value;
  const found = lookUpCampaign(context.definitions, message.campaign);
  const parts = allOf({
    own: isFault(found) ? found : ownOf(message, found),
    bid: wholeText('bid', message.bid),
    lease: wholeText('lease', message.lease ?? ''),
    country: countryOfCell(message.country),
    costMicros: costOf(message, message.notice === 'win' ? undefined : 0),
    times: timesOf(message, offsetOf(found), context.nowMs),
  });
  if (isFault(parts)) return parts;
  const { own, bid, lease, country, costMicros, times } = parts;
  const { account, channel, currency } = own;
  const { notice, campaign } = message;
  return {
    taken: true,
    record: {
      kind: 'notice',
      messageId: `${notice}:${bid}`,
      notice,
      account,
      campaign,
      channel,
      country,
      bid,
      ...(lease === '' ? {} : { lease }),
      costMicros,
      ...(typeof message.heldMicros === 'number' ? { heldMicros: message.heldMicros } : {}),
      currency,
      ...times,
    },
  };
}

/** A query may name it more than once. */
export type GivenPrice = string | readonly string[] | undefined;

/**
 * What a win cost: the price that the exchange put there, else what was bid. Other addresses take none: a loss frees what its bid
 * had set aside, whatever the winner paid, and the addresses of impressions and clicks are seen by browsers, who could add any.
 */
function clearedMicros(
  { costMicros: bidMicros, priceUnits, currency }: NoticeAddress,
  price: GivenPrice,
): number | SpendFault {
  if (price === undefined || price === '') return bidMicros;
  if (typeof price !== 'string') return spendFault('invalid', 'price stands there more than once');
  if (price.length > PRICE_CHARACTERS_MAX)
    return spendFault('invalid', `price has more than ${PRICE_CHARACTERS_MAX} characters`);
  const micros = microsOfMoney('price', price, priceUnits);
  if (isFault(micros) || micros <= bidMicros * ROUNDED_UP_MAX) return micros;
  const per = priceUnits === 1 ? '' : ` for ${priceUnits}`;
  return spendFault(
    'above_bid',
    `price ${price} is ${micros} micros, and ${bidMicros} were bid: the price must be an amount in ${currency}${per}, as priceUnits of the bid request says`,
  );
}

/** The record of a signed address that was called; `price` is what the caller put there, if anything. */
export function noticeOfAddress(
  address: NoticeAddress,
  price: GivenPrice,
  nowMs: number,
): TakenNotice | SpendFault {
  const { lease, priceUnits, costMicros: known, ...rest } = address;
  const costMicros = rest.notice === 'win' ? clearedMicros(address, price) : known;
  if (isFault(costMicros)) return costMicros;
  return {
    taken: true,
    record: {
      kind: 'notice',
      messageId: `${rest.notice}:${rest.bid}`,
      ...rest,
      ...(lease === null ? {} : { lease }),
      costMicros,
      // What a bid had set aside of its lease is free again with a loss, and what it did not cost with a win.
      ...(lease !== null && settles(rest.notice) ? { heldMicros: known } : {}),
      timestamp: nowMs,
      receivedAt: nowMs,
    },
  };
}

/**
 * A win whose price cannot be taken, as `POST /v1/notices` takes it: it is won, which its signature proves, and what was bid is
 * the most that it can have cost.
 */
export function unpricedWin(address: NoticeAddress, nowMs: number): Readonly<Record<string, unknown>> {
  const { notice, campaign, bid, lease, channel, country, currency, costMicros } = address;
  const held = lease === null ? {} : { lease, heldMicros: costMicros };
  return { notice, campaign, bid, ...held, channel, country, costMicros, currency, timestamp: nowMs };
}
