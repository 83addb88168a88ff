// What reports and notices share: campaign and account by definition, channel, country, currency, cost, receipt.
import { UNKNOWN } from '../../domain/attributes.ts';
import type { AccountDefinition, CampaignDefinition } from '../../domain/definition.ts';
import { countryOfCode, isCurrency } from '../../platform/iso-codes.ts';
import { lastSaid } from '../../platform/last-said.ts';
import type { DefinitionView } from '../dependencies.ts';
import { FUTURE_MS_MAX, parseTime, timeFault } from '../time.ts';
import { halfFault } from '../whole-text.ts';
import { microsOfInteger, microsOfMoney } from './amount.ts';
import { isFault, type SpendFault, spendFault } from './fault.ts';

const CHANNEL_CHARACTERS_MAX = 64;

type Text = string | null | undefined;
type Figure = string | number | null | undefined;

/** CSV says '' where JSON says nothing. */
export function present(value: Figure): string | number | undefined {
  return value === null || value === '' ? undefined : value;
}

/** Of text without an offset: the account's. Where there is none, UTC will do, for the row is refused. */
export function offsetOf(found: CampaignAccount | SpendFault): number {
  return isFault(found) ? 0 : found.account.utcOffsetMinutes;
}

export interface CampaignAccount {
  readonly accountId: string;
  readonly account: AccountDefinition;
  readonly campaign: CampaignDefinition;
}

/** The campaign and the account that pays for it, withdrawn ones too: platforms report late, and bids may still win. */
export function lookUpCampaign(
  definitions: DefinitionView,
  campaignId: string,
): CampaignAccount | SpendFault {
  const campaign = lastSaid<CampaignDefinition>(definitions.historyOf('campaign', campaignId))?.document;
  if (campaign === undefined)
    return spendFault('unknown_campaign', `no campaign ${JSON.stringify(campaignId)} is defined`);
  const account = lastSaid<AccountDefinition>(definitions.historyOf('account', campaign.accountId))?.document;
  if (account === undefined) {
    return spendFault(
      'unknown_account',
      `the account ${JSON.stringify(campaign.accountId)} of ${campaignId} is not defined`,
    );
  }
  return { accountId: campaign.accountId, account, campaign };
}

/** A name, if it is whole. */
export function wholeText(name: string, text: string): string | SpendFault {
  const half = halfFault(name, text);
  return half === undefined ? text : spendFault('invalid', half);
}

/** The campaign's own channel where none is said. */
export function channelOf(given: Text, campaign: CampaignDefinition): string | SpendFault {
  const channel = given?.trim() || campaign.channel.toWellFormed();
  if (channel.length <= CHANNEL_CHARACTERS_MAX) return wholeText('channel', channel);
  return spendFault('invalid', `channel has more than ${CHANNEL_CHARACTERS_MAX} characters`);
}

/** The account's currency, if the given one is none or the same. */
export function currencyOf(given: Text, account: AccountDefinition): string | SpendFault {
  const currency = given?.trim().toUpperCase() || account.currency;
  if (currency === account.currency) return currency;
  if (!isCurrency(currency))
    return spendFault('unknown_currency', `${JSON.stringify(given)} is no ISO 4217 currency`);
  return spendFault(
    'wrong_currency',
    `the campaign's account is kept in ${account.currency}, not ${currency}`,
  );
}

/**
 * ISO 3166-1 alpha-2 in capitals, by the code in force: a report of `UK` must cover the notices of GB, or the money would be
 * settled twice. '' (all countries) for none, `ZZ` for one that is not known.
 */
export function countryOfCell(given: Text): string | SpendFault {
  const said = (given ?? '').trim().toUpperCase();
  if (said === '' || said === UNKNOWN.country) return said;
  const hint = `use ${UNKNOWN.country} for a country that is not known`;
  return (
    countryOfCode(said) ??
    spendFault(
      'bad_country',
      `country ${JSON.stringify(given)} is no code of ISO 3166-1 (two letters): ${hint}`,
    )
  );
}

/** Micros of `costMicros` or of `cost`, which must say the same where both are given; `absent` where neither is. */
export function costOf(
  given: { readonly cost?: Figure; readonly costMicros?: Figure },
  absent?: number,
): number | SpendFault {
  const micros = present(given.costMicros);
  const cost = present(given.cost);
  if (micros !== undefined && cost !== undefined) {
    const [one, other] = [microsOfInteger('costMicros', micros), microsOfMoney('cost', cost)];
    if (one === other || isFault(one)) return one;
    if (isFault(other)) return other;
    return spendFault('invalid', `cost ${cost} and costMicros ${micros} are not the same: send one of them`);
  }
  if (micros !== undefined) return microsOfInteger('costMicros', micros);
  if (cost !== undefined) return microsOfMoney('cost', cost);
  return absent ?? spendFault('invalid', 'a cost is needed, 0 where there was none');
}

/** CSV writes a number of milliseconds as text; of seconds too, which is then told so. */
const EPOCH = /^\d{9,13}$/;

/** Epoch milliseconds of one of a row's times, which is the account's own unless it says its offset. */
export function timeOf(
  name: string,
  given: string | number,
  utcOffsetMinutes: number,
  limitMs: number,
): number | SpendFault {
  const text = typeof given === 'string' ? given.trim() : given;
  const value = typeof text === 'string' && EPOCH.test(text) ? Number(text) : text;
  const timeMs = parseTime(value, utcOffsetMinutes);
  const wrong = timeFault(name, value, timeMs, limitMs);
  return wrong === undefined ? timeMs : spendFault(wrong.reason, wrong.detail);
}

export interface Receipt {
  readonly receivedAt: number;
  readonly supplied?: true;
}

/** Now, or what the caller (who holds a secret key) supplied. */
export function receiptOf(given: Figure, utcOffsetMinutes: number, nowMs: number): Receipt | SpendFault {
  const supplied = present(given);
  if (supplied === undefined) return { receivedAt: nowMs };
  const receivedAt = timeOf('receivedAt', supplied, utcOffsetMinutes, nowMs + FUTURE_MS_MAX);
  return isFault(receivedAt) ? receivedAt : { receivedAt, supplied: true };
}
