// Money, counts, times and addresses: what people write comes to exactly one integer, or is refused with its reason.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type NoticedBid, noticeKinds, signNotices, verifyNotice } from '../../serve/notice-address.ts';
import { countOf, microsOfInteger, microsOfMoney } from '../../serve/spend-intake/amount.ts';
import { noticeOfAddress } from '../../serve/spend-intake/notice.ts';
import { rowsOfCsv, rowsOfJson } from '../../serve/spend-intake/rows.ts';
import { parseTime, timeFault } from '../../serve/time.ts';

describe('money', () => {
  it.each([
    ['12.34', 12_340_000],
    [12.34, 12_340_000],
    [0.1, 100_000],
    ['0', 0],
    [-0, 0],
    ['.5', 500_000],
    ['5.', 5_000_000],
    [' 7 ', 7_000_000],
    ['1e3', 1_000_000_000],
    [1e-7, 0],
    ['0.0000005', 1],
    ['0.00000049', 0],
    // The Facebook set's own: floats that were printed.
    ['1.42999994754791', 1_430_000],
    [1.82000005245209, 1_820_000],
    ['9000000000', 9_000_000_000_000_000],
  ])('%s is %i micros', (given, micros) => expect(microsOfMoney('cost', given)).toBe(micros));

  it.each([
    ['-0.01', 'negative_money'],
    [-5, 'negative_money'],
    ['9000000000.000001', 'too_large'],
    [1e300, 'too_large'],
    ['', 'invalid'],
    ['.', 'invalid'],
    ['1,50', 'invalid'],
    ['$5', 'invalid'],
    ['NaN', 'invalid'],
    ['1e999999', 'invalid'],
    ['1'.repeat(70), 'invalid'],
  ])('%s is refused as %s', (given, reason) =>
    expect(microsOfMoney('cost', given)).toMatchObject({ taken: false, reason }),
  );

  it('is exact for every amount with six digits behind the point, as text and as price for a thousand', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 9_000_000_000_000_000n }), (micros) => {
        const text = `${micros / 1_000_000n}.${String(micros % 1_000_000n).padStart(6, '0')}`;
        expect(microsOfMoney('cost', text)).toBe(Number(micros));
        const perThousand = `${micros / 1_000n}.${String(micros % 1_000n).padStart(3, '0')}`;
        expect(microsOfMoney('price', perThousand, 1_000)).toBe(Number(micros));
      }),
    );
  });

  it('in micros must be whole', () => {
    expect(microsOfInteger('costMicros', '12')).toBe(12);
    expect(microsOfInteger('costMicros', 1.5)).toMatchObject({ reason: 'invalid' });
    expect(microsOfInteger('costMicros', -1)).toMatchObject({ reason: 'negative_money' });
    expect(microsOfInteger('costMicros', '9000000000000001')).toMatchObject({ reason: 'too_large' });
  });
});

it('counts are whole, from 0 on, 0 when absent', () => {
  expect([
    countOf('clicks', undefined),
    countOf('clicks', '12'),
    countOf('clicks', 7),
    countOf('clicks', '3.0'),
  ]).toEqual([0, 12, 7, 3]);
  for (const wrong of ['-1', 1.5, 'many', ''])
    expect(countOf('clicks', wrong)).toMatchObject({ reason: 'invalid' });
  expect(countOf('clicks', 2e12)).toMatchObject({ reason: 'too_large' });
});

describe('times', () => {
  const expected = Date.parse('2026-03-01T12:00:00.000Z');
  it.each([
    '2026-03-01T12:00:00.000Z',
    '2026-03-01T12:00:00Z',
    '2026-03-01 12:00:00',
    '2026-03-01T12:00',
    '2026-03-01T14:00:00.000+02:00',
    '2026-03-01T14:00:00+0200',
    '2026-03-01T14:00:00+02',
    '2026-03-01T12:00:00.000000Z',
    expected,
  ])('%s is the same instant in every zone', (given) => expect(parseTime(given)).toBe(expected));

  it.each([
    ...['yesterday', '1', '2026', '01/02/2026', '2026-13-01', '2026-03-01T25:00:00Z', ''],
    ...['2026-02-29', '2026-02-30T00:00:00.000Z', '2026-04-31T12:00:00Z', '2026-01-00'],
  ])('%s is none', (given) => {
    expect(timeFault('t', given, parseTime(given), Number.POSITIVE_INFINITY)?.reason).toBe('invalid');
  });

  it('a leap day is one', () => expect(parseTime('2028-02-29')).toBe(Date.UTC(2028, 1, 29)));

  it('seconds are recognised in what is said', () => {
    expect(timeFault('t', 1_700_000_000, 1_700_000_000, Number.POSITIVE_INFINITY)).toMatchObject({
      reason: 'absurd_time',
      detail: expect.stringContaining('milliseconds'),
    });
  });
});

describe('notice addresses', () => {
  const secret = Buffer.alloc(32, 1);
  const bid: NoticedBid = {
    account: 'search',
    campaign: 'käse|1',
    channel: 'search',
    country: 'DE',
    bid: 'bid-1',
    lease: 'lease-1',
    currency: 'EUR',
    bidMicros: 1_500,
    priceUnits: 1_000,
  };
  const signedPart = (path: string): string => path.replace('/v1/n/', '');
  const addresses = signNotices(secret, bid);
  const signed = signedPart(addresses.win);

  it.each([
    ['impression', 0],
    ['click', 0],
    ['win', 1_500],
    ['loss', 1_500],
  ] as const)('say what was signed: %s', (notice, costMicros) => {
    const { bidMicros: _bidMicros, ...rest } = bid;
    expect(verifyNotice(secret, signedPart(addresses[notice]))).toEqual({ ...rest, notice, costMicros });
    const bare = signNotices(secret, { ...bid, lease: null, country: '' })[notice];
    expect(verifyNotice(secret, signedPart(bare))).toEqual({
      ...rest,
      notice,
      costMicros,
      lease: null,
      country: '',
    });
  });

  const costOf = (notice: keyof typeof addresses, price?: string) => {
    const outcome = noticeOfAddress(verifyNotice(secret, signedPart(addresses[notice]))!, price, 1);
    return outcome.taken ? outcome.record.costMicros : outcome;
  };

  it('take the price of a win, up to what was bid; an exchange may round up', () => {
    expect(['1.5', '0', '1.514', '', undefined].map((price) => costOf('win', price))).toEqual([
      1_500, 0, 1_514, 1_500, 1_500,
    ]);
    expect(costOf('win', '1500')).toEqual({
      taken: false,
      reason: 'above_bid',
      detail:
        'price 1500 is 1500000 micros, and 1500 were bid: the price must be an amount in EUR for 1000, as priceUnits of the bid request says',
    });
  });

  it('take no price but for a win: browsers see the others', () => {
    for (const notice of ['impression', 'click'] as const) expect(costOf(notice, '1e9')).toBe(0);
    expect(costOf('loss', '1e9')).toBe(1_500);
  });

  it('hold in a path as they are', () => expect(encodeURIComponent(signed)).toBe(signed));

  it('that were changed anywhere, or signed by another, are none', () => {
    for (let index = 0; index < signed.length - 1; index += 1) {
      const other = signed[index] === 'A' ? 'B' : 'A';
      expect(verifyNotice(secret, signed.slice(0, index) + other + signed.slice(index + 1))).toBeUndefined();
    }
    expect(verifyNotice(Buffer.alloc(32, 2), signed)).toBeUndefined();
    for (const wrong of ['', '.', 'a.b', 'win.b', 'win.b.1.c', `${signed}.c`, signed.split('.')[1]!])
      expect(verifyNotice(secret, wrong)).toBeUndefined();
  });

  it('of one kind are not those of another, though they say the same', () => {
    for (const one of noticeKinds) {
      const [, payload, ...rest] = signedPart(addresses[one]).split('.');
      const signature = rest.at(-1);
      for (const other of noticeKinds.filter((kind) => kind !== one)) {
        for (const said of [payload, `${payload}.${bid.bidMicros}`])
          expect(verifyNotice(secret, `${other}.${said}.${signature}`)).toBeUndefined();
      }
    }
  });

  it('that a browser sees do not tell what was bid', () => {
    const dearer = signNotices(secret, { ...bid, bidMicros: 9_999 });
    for (const kind of ['impression', 'click'] as const) expect(dearer[kind]).toBe(addresses[kind]);
    for (const kind of ['win', 'loss'] as const) expect(dearer[kind]).not.toBe(addresses[kind]);
  });
});

describe('rows', () => {
  it('of a CSV whose columns are parted by semicolons are told what parts them', () => {
    expect(() => rowsOfCsv('campaign;cost\nc1;1\n')).toThrow(
      'its header is one column, "campaign;cost": columns must be parted by commas',
    );
  });

  it('of CSV have the header’s names; a line of another width is told apart', () => {
    const rows = rowsOfCsv('\ufeffcampaign, cost\r\n"a,b",1\n\nc\nd,2,3\n');
    expect(rows).toEqual([
      { value: { campaign: 'a,b', cost: '1' } },
      {
        value: { fault: 'the line has 1 columns, the header 2', line: { campaign: 'c' } },
        fault: 'the line has 1 columns, the header 2',
      },
      {
        value: {
          fault: 'the line has 3 columns, the header 2',
          line: { campaign: 'd', cost: '2', 'column 3': '3' },
        },
        fault: 'the line has 3 columns, the header 2',
      },
    ]);
    expect(() => rowsOfCsv('')).toThrow('header');
    expect(() => rowsOfCsv('a,"b\n')).toThrow();
    expect(() => rowsOfCsv('a,a\n1,2')).toThrow('twice');
  });

  it('of JSON may be one, an array, or in an object whose other members hold for all', () => {
    expect(rowsOfJson({ a: 1 }, 'rows')).toEqual([{ value: { a: 1 } }]);
    expect(rowsOfJson([{ a: 1 }, 2], 'rows')).toEqual([{ value: { a: 1 } }, { value: 2 }]);
    expect(rowsOfJson({ currency: 'EUR', rows: [{ a: 1 }, { currency: 'USD' }] }, 'rows')).toEqual([
      { value: { currency: 'EUR', a: 1 } },
      { value: { currency: 'USD' } },
    ]);
    const empty = [{ currency: '' }, { currency: null }, { currency: ' ' }, { a: '' }];
    expect(rowsOfJson({ currency: 'USD', rows: empty }, 'rows')).toEqual([
      ...[0, 1, 2].map(() => ({ value: { currency: 'USD' } })),
      { value: { currency: 'USD', a: '' } },
    ]);
    expect(() => rowsOfJson({ rows: 1 }, 'rows')).toThrow('array');
    expect(() => rowsOfJson('x', 'rows')).toThrow('object');
  });
});
