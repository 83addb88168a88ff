// Names that nobody meant: a column `Country` beside none called `country` would make a country's figures those of all countries.
// Other names that are not known stand in many platforms' files, and are passed by.

/** Names are taken for each other with one letter wrong, or two in long ones: `division` is no revision. */
const LONG_CHARACTERS = 10;
/** Two letters more or less make another word: `received` is not when. */
const LENGTH_APART_MAX = 1;
/**
 * Left out, each stands for all countries or for a default: `Country code` and `geo_country` are meant as much as `Country`. Where
 * it does stand in a row, such others beside it are passed by. What only has the word inside says something else:
 * `advertising_channel_type`.
 */
const DEFAULTED: readonly string[] = ['country', 'channel', 'currency'];
const DEFAULTED_END = /(country|channel|currency)(code|criterion|id|iso|name|territory)*$/;
/** A figure's name may end with the currency that it is in: `costInLocalCurrency`, `Revenue (Adv Currency)`. */
const FIGURE = /amount|bid|budget|cost|fee|price|profit|revenue|sales|spend|value/;
/** What says which currency it is, whatever its name: `cost_currency` with EUR, beside a cost, is no figure. */
const CODE = /^\s*[a-z]{3}\s*$/i;
/** So short that other words are one letter away: `Post`, `Host`. */
const SHORT = 'cost';

/** Letters that have to be put in, taken out or replaced (Levenshtein's distance). */
function distance(a: string, b: string): number {
  let before = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let row = 1; row <= a.length; row += 1) {
    const next = [row];
    for (let column = 1; column <= b.length; column += 1) {
      const replaced = before[column - 1]! + (a[row - 1] === b[column - 1] ? 0 : 1);
      next.push(Math.min(replaced, before[column]! + 1, next[column - 1]! + 1));
    }
    before = next;
  }
  return before[b.length]!;
}

const plain = (name: string): string => name.toLowerCase().replace(/[^a-z]/g, '');

function isDefaulted(given: string, known: string, value: unknown): boolean {
  if (given.startsWith(known)) return true;
  const isFigure = FIGURE.test(given) && !(typeof value === 'string' && CODE.test(value));
  if (known === 'currency' && isFigure) return false;
  return DEFAULTED_END.exec(given)?.[1] === known;
}

function isMeant(given: string, known: string, value: unknown): boolean {
  const [a, b] = [plain(given), plain(known)];
  if (known === SHORT) return a === b || a === `${b}s`;
  if (DEFAULTED.includes(known) && isDefaulted(a, b, value)) return true;
  const most = b.length >= LONG_CHARACTERS ? 2 : 1;
  return Math.abs(a.length - b.length) <= LENGTH_APART_MAX && distance(a, b) <= most;
}

function hintOf(meant: string): string {
  return DEFAULTED.includes(meant) ? ` Beside a column ${meant}, empty or not, it is passed by.` : '';
}

/** What is wrong with a row's names; undefined if nothing is. */
export function misspeltName(row: object, known: readonly string[]): string | undefined {
  const names = Object.keys(row);
  for (const [name, value] of Object.entries(row)) {
    if (known.includes(name)) continue;
    const meant = known.find((one) => !names.includes(one) && isMeant(name, one, value));
    if (meant !== undefined)
      return `there is no ${JSON.stringify(name)}: did you mean ${meant}?${hintOf(meant)}`;
  }
  return undefined;
}
