// What is wrong with a row of spend or a notice is said in full, not one fault a try.
import { expect, it } from 'vitest';
import { takeNotice } from '../../serve/spend-intake/notice.ts';
import { takeReport } from '../../serve/spend-intake/report.ts';
import { DefinitionsGiven } from './answering.ts';

const definitions = new DefinitionsGiven();
definitions.set('account', 'acme', { name: 'Acme', currency: 'USD', dailyBudgetMicros: 1 });
definitions.set('campaign', 'c1', { name: 'Search', accountId: 'acme', channel: 'search' });
const context = { definitions: definitions.view(), nowMs: Date.UTC(2026, 0, 6) };

const wrong = { country: 'USA', currency: 'EUR', cost: 'x' };

it('names every fault of a row, by the reason of the first', () => {
  const row = {
    ...wrong,
    campaign: 'c1',
    period: 'day',
    start: '2026-01-05T08:00:00Z',
    clicks: -5,
    asOf: 'later',
  };
  const fault = takeReport(row, context);
  expect(fault).toMatchObject({ taken: false, reason: 'wrong_currency' });
  const said = 'detail' in fault ? fault.detail.split('; ') : [];
  expect(said).toEqual([
    "the campaign's account is kept in USD, not EUR",
    expect.stringContaining('does not begin a day of the account'),
    expect.stringContaining('country "USA" is no code of ISO 3166-1'),
    expect.stringContaining('cost "x"'),
    'write it like 12.34',
    expect.stringContaining('clicks'),
    expect.stringContaining('asOf "later" is neither'),
  ]);
});

it('says what can be said where the campaign is not known', () => {
  const fault = takeReport({ ...wrong, campaign: 'nothing', start: '2026-01-05' }, context);
  expect(fault).toMatchObject({ taken: false, reason: 'unknown_campaign' });
  expect('detail' in fault ? fault.detail : '').toMatch(
    /no campaign "nothing" is defined; country "USA" is no .*; cost "x"/,
  );
});

it('names every fault of a notice', () => {
  const fault = takeNotice(
    { ...wrong, notice: 'win', campaign: 'c1', bid: 'b1', timestamp: 'soon' },
    context,
  );
  expect(fault).toMatchObject({ taken: false, reason: 'wrong_currency' });
  expect('detail' in fault ? fault.detail : '').toMatch(
    /not EUR; country "USA" is no .*; cost "x".*; timestamp "soon"/,
  );
});

const countries = [
  ['', ''],
  [' ', ''],
  [null, ''],
  ['de', 'DE'],
  ['ZZ', 'ZZ'],
  ['zz', 'ZZ'],
  ['XK', 'XK'],
  // Old and other codes.
  ['UK', 'GB'],
  ['uk', 'GB'],
  ['DD', 'DE'],
] as const;
it.each(countries)('takes the country %j as %j', (country, code) => {
  const row = { campaign: 'c1', start: '2026-01-05', cost: '1.50', country };
  expect(takeReport(row, context)).toMatchObject({ record: { country: code } });
  const notice = { notice: 'win', campaign: 'c1', bid: 'b1', cost: 1, country };
  expect(takeNotice(notice, context)).toMatchObject({ record: { country: code } });
});

it.each(['QQ', 'EU', 'XX', 'D', 'DEU', 'Z Z', 'Ü'])(
  'refuses the country %j and says what to do',
  (country) => {
    const row = { campaign: 'c1', start: '2026-01-05', cost: '1.50', country };
    const detail = `country ${JSON.stringify(country)} is no code of ISO 3166-1 (two letters): use ZZ for a country that is not known`;
    expect(takeReport(row, context)).toEqual({ taken: false, reason: 'bad_country', detail });
  },
);

it('takes what is right', () => {
  const row = { campaign: 'c1', start: '2026-01-05', cost: '1.50' };
  expect(takeReport(row, context)).toMatchObject({
    taken: true,
    record: {
      account: 'acme',
      channel: 'search',
      currency: 'USD',
      country: '',
      costMicros: 1_500_000,
      period: 'day',
    },
  });
});

// A day's 149 USD in France became 1.50 in all countries.
it.each([
  ['Country', 'country'],
  ['Country code', 'country'],
  ['countryCode', 'country'],
  ['country_iso', 'country'],
  ['Country/Territory', 'country'],
  ['geo_country', 'country'],
  ['geographic_view.country_criterion_id', 'country'],
  ['customer.currency_code', 'currency'],
  ['segments.geo_target_country', 'country'],
  ['userCountryCode', 'country'],
  ['ad_channel', 'channel'],
  ['account_currency', 'currency'],
  ['contry', 'country'],
  ['Channel name', 'channel'],
  ['chanel', 'channel'],
  ['Currency code', 'currency'],
  ['clics', 'clicks'],
  ['impresions', 'impressions'],
  ['Impr essons', 'impressions'],
  ['cost_micros', 'costMicros'],
  ['costMircos', 'costMicros'],
  ['As of', 'asOf'],
])('a name that is nearly one of ours is no other column: %j', (name, meant) => {
  const row = { campaign: 'c1', start: '2026-01-05', cost: '1.50', [name]: '2' };
  const detail = expect.stringContaining(`there is no ${JSON.stringify(name)}: did you mean ${meant}?`);
  expect(takeReport(row, context)).toMatchObject({ taken: false, reason: 'invalid', detail });
});

it.each(['Cost', 'costs'])('a cost under another name is no other column: %j', (name) => {
  const row = { campaign: 'c1', start: '2026-01-05', costMicros: 1, [name]: '2' };
  expect(takeReport(row, context)).toMatchObject({ taken: false, reason: 'invalid' });
});

// What platforms have beside what we take.
it.each([
  ...['ctr', 'cpc', 'region', 'account', 'conversions', 'day', 'avg. cost', 'division', 'count', 'received'],
  ...['Post', 'Host', 'Most', 'campaign_name', 'version', '国家'],
  // Google Ads, LinkedIn, Display & Video 360, Amazon Ads, Analytics.
  ...['campaign.advertising_channel_type', 'campaign.advertising_channel_sub_type'],
  ...['costInLocalCurrency', 'conversionValueInLocalCurrency', 'campaignBudgetCurrencyCode'],
  ...['Revenue (Adv Currency)', 'Media Cost (Advertiser Currency)', 'sessionDefaultChannelGroup'],
])('a name of something else is passed by: %j', (name) => {
  const row = { campaign: 'c1', start: '2026-01-05', costMicros: 1, [name]: 'x' };
  expect(takeReport(row, context)).toMatchObject({ taken: true });
});

it('a name that has one of ours in it is passed by where that one stands beside it', () => {
  const row = { campaign: 'c1', start: '2026-01-05', cost: '1.50', country: 'FR', geo_country: 'France' };
  expect(takeReport(row, context)).toMatchObject({ taken: true, record: { country: 'FR' } });
});

it.each(['country', 'channel', 'currency'])('so it is beside an empty %s, as the refusal says', (name) => {
  const row = { campaign: 'c1', start: '2026-01-05', cost: '1.50', [`their_${name}_code`]: 'x' };
  const detail = expect.stringMatching(`Beside a column ${name}, empty or not, it is passed by`);
  expect(takeReport(row, context)).toMatchObject({ taken: false, detail });
  expect(takeReport({ ...row, [name]: '' }, context)).toMatchObject({ taken: true });
});

// It was booked in the account's currency.
it.each(['cost_currency', 'Budget Currency', 'campaignBudgetCurrencyCode', 'costInLocalCurrency'])(
  'what says which currency it is, is no figure, whatever its name: %j',
  (name) => {
    const row = { campaign: 'c1', start: '2026-01-05', cost: '100.00', [name]: 'EUR' };
    const detail = expect.stringContaining('did you mean currency?');
    expect(takeReport(row, context)).toMatchObject({ taken: false, reason: 'invalid', detail });
    for (const figure of ['', '12.30', 12.3, '€ 12'])
      expect(takeReport({ ...row, [name]: figure }, context)).toMatchObject({ taken: true });
    const notice = { notice: 'win', campaign: 'c1', bid: 'b1', lease: 'l1', price: '1.20', [name]: 'EUR' };
    expect(takeNotice(notice, context)).toMatchObject({ taken: false, detail });
  },
);

// Both would be kept as U+FFFD: one bid, and the second's cost a repeat.
it.each(['bid', 'lease', 'channel'])('refuses half of a character in a %s', (name) => {
  const win = { notice: 'win', campaign: 'c1', bid: 'b1', lease: 'l1', cost: 1 };
  const detail = `${name} holds half of a character (a lone surrogate): send it as UTF-8`;
  for (const half of ['x\ud83d', 'x\ud83e', '\ude00'])
    expect(takeNotice({ ...win, [name]: half }, context)).toMatchObject({ reason: 'invalid', detail });
  expect(takeNotice({ ...win, [name]: 'x😀' }, context)).toMatchObject({ record: { [name]: 'x😀' } });
  const row = { campaign: 'c1', start: '2026-01-05', cost: 1, channel: 'x\ud83d' };
  expect(takeReport(row, context)).toMatchObject({ taken: false, reason: 'invalid' });
});

it('so with notices', () => {
  const notice = { notice: 'loss', campaign: 'c1', bid: 'b1', Lease: 'l1' };
  expect(takeNotice(notice, context)).toMatchObject({ detail: 'there is no "Lease": did you mean lease?' });
});

it('takes what comes late for a campaign and an account that were withdrawn', () => {
  const own = new DefinitionsGiven();
  own.set('account', 'acme', { name: 'Acme', currency: 'USD', dailyBudgetMicros: 1 });
  own.set('campaign', 'c1', { name: 'Search', accountId: 'acme', channel: 'search' });
  own.withdraw('campaign', 'c1');
  own.withdraw('account', 'acme');
  const later = { definitions: own.view(), nowMs: context.nowMs };
  const record = { account: 'acme', campaign: 'c1', channel: 'search', currency: 'USD' };
  expect(takeReport({ campaign: 'c1', start: '2026-01-05', cost: 1 }, later)).toMatchObject({
    taken: true,
    record,
  });
  const win = { notice: 'win', campaign: 'c1', bid: 'b1', cost: 1 };
  expect(takeNotice(win, later)).toMatchObject({ taken: true, record });
});
