// Names that nobody meant: a column `Country` beside none called `country` would make a country's figures those of all countries.
// Other names that are not known stand in many platforms' files, and are passed by.

/** Names are taken for each other with one letter wrong, or two in long ones: `division` is no revision. */
const LONG_CHARACTERS = 10;
/** Two letters more or less make another word: `received` is not when. */
const LENGTH_APART_MAX = 1;
/**
 * Left out, each stands for all countries or for a default: `Country code` and `geo_country` are meant as much as `Country`. Where
 * it does stand in a row, such others beside it are passed by.
 */
const DEFAULTED: readonly string[] = ['country', 'channel', 'currency'];
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

function isMeant(given: string, known: string): boolean {
  const [a, b] = [plain(given), plain(known)];
  if (known === SHORT) return a === b || a === `${b}s`;
  if (DEFAULTED.includes(known) && a.includes(b)) return true;
  const most = b.length >= LONG_CHARACTERS ? 2 : 1;
  return Math.abs(a.length - b.length) <= LENGTH_APART_MAX && distance(a, b) <= most;
}

/** What is wrong with a row's names; undefined if nothing is. */
export function misspeltName(row: object, known: readonly string[]): string | undefined {
  const names = Object.keys(row);
  for (const name of names) {
    if (known.includes(name)) continue;
    const meant = known.find((one) => !names.includes(one) && isMeant(name, one));
    if (meant !== undefined) return `there is no ${JSON.stringify(name)}: did you mean ${meant}?`;
  }
  return undefined;
}
