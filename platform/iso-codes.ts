// Which currencies and countries there are, as the runtime's own data (CLDR) has them. Codes that are already in the log are never asked.

const currencies: ReadonlySet<string> = new Set(Intl.supportedValuesOf('currency'));

/** Whether it is a currency in use by ISO 4217: no test code, no metal, nothing invented. */
export function isCurrency(code: string): boolean {
  return currencies.has(code);
}

const regions = new Intl.DisplayNames('en', { type: 'region', fallback: 'none' });

/** What CLDR names beside the countries: unions, parts of countries that ISO only reserves, `unknown` and codes for tests. */
const otherRegions: ReadonlySet<string> = new Set('AC CP CQ DG EA EU EZ IC QO TA UN XA XB ZZ'.split(' '));

/** Whether it is a country by ISO 3166-1 alpha-2, in capitals. Kosovo's XK, which everybody uses and ISO leaves to its users, is one. */
export function isCountry(code: string): boolean {
  return !otherRegions.has(code) && countryMeantBy(code) === code && regions.of(code) !== undefined;
}

/** The code that took the place of an old or another one (`UK`: GB, `DD`: DE); the same for all others, undefined for what is no code. */
export function countryMeantBy(code: string): string | undefined {
  return /^[A-Z]{2}$/.test(code) ? new Intl.Locale(`und-${code}`).region : undefined;
}

/** What each code of two letters was found to mean: asked with every row and bid, and the runtime takes its time. At most 676. */
const known = new Map<string, string | undefined>();

/** The country that a code means, by its code in force (`UK`: GB); undefined where it means none, `ZZ` too. */
export function countryOfCode(code: string): string | undefined {
  if (known.has(code)) return known.get(code);
  const meant = countryMeantBy(code);
  if (meant === undefined) return undefined;
  const country = isCountry(meant) ? meant : undefined;
  known.set(code, country);
  return country;
}
