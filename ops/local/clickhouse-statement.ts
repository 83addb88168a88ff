// Reads just enough of a ClickHouse statement to treat it as the real server's HTTP interface does:
// where an insert's data begins, which format was asked for, and whether a second statement hides behind the first.

interface Token {
  kind: 'word' | 'quoted' | 'symbol';
  text: string;
  start: number;
  end: number;
}

/** What the front has to know of a statement before it runs it. */
export type Statement =
  | { kind: 'empty' }
  | { kind: 'several'; position: number }
  /** Its result would go to a file of whoever runs the engine; over HTTP the server writes none. */
  | { kind: 'into-outfile' }
  /** Its rows would go to what a table function names: a file of whoever runs the engine, or another host. */
  | { kind: 'into-function' }
  | { kind: 'insert-with-data'; target: string; settings: string; format: string; dataStart: number }
  | { kind: 'other'; outputFormat: string | undefined };

/** Words that show that an insert's rows come from elsewhere. */
const NOT_FROM_DATA = new Set(['SELECT', 'WITH', 'WATCH', 'INFILE']);
const BEGINS_SELECT = new Set(['SELECT', 'WITH']);
const BEFORE_TABLE = new Set(['INTO', 'TABLE']);
const QUOTES = new Set(["'", '"', '`']);
/** Typographic ones end at their counterpart, and know no escapes. */
const PAIRED_QUOTES = new Map([
  ['‘', '’'],
  ['“', '”'],
]);
const LINE_COMMENTS = ['--', '//', '#!', '# '];
const WORD = /[\p{L}\p{N}_$]/u;

/** Classifies `sql`; positions are offsets into it. The engine's own parser remains the judge of its syntax. */
export function readStatement(sql: string): Statement {
  const tokens = tokensOf(sql);
  const first = tokens.next();
  if (first.done) return { kind: 'empty' };
  const data = keywordOf(first.value) === 'INSERT' ? findData(sql, tokens) : undefined;
  return data ?? readToEnd(sql);
}

/** Reads an insert up to where its data begins; undefined when its rows come from elsewhere (SELECT, INFILE). */
function findData(sql: string, tokens: Generator<Token, void>): Statement | undefined {
  let depth = 0;
  let tableSeen = false;
  let settingsStart: number | undefined;
  let previous: Token | undefined;
  for (let next = tokens.next(); !next.done; next = tokens.next()) {
    const token = next.value;
    const keyword = keywordOf(token);
    depth += depthChange(token);
    if (keyword === 'FUNCTION' && depth === 0) return { kind: 'into-function' };
    if (tableSeen && previous?.text === '(' && BEGINS_SELECT.has(keyword) && !isListed(sql, token))
      return undefined;
    if (tableSeen && depth === 0) {
      if (NOT_FROM_DATA.has(keyword)) return undefined;
      if (keyword === 'SETTINGS') settingsStart = token.start;
      if (keyword === 'VALUES') return insertWithData(sql, token.start, settingsStart, 'Values', token.end);
      if (isFormatName(token, previous)) {
        return insertWithData(sql, previous!.start, settingsStart, token.text, token.end);
      }
    }
    tableSeen ||= token.kind !== 'symbol' && !BEFORE_TABLE.has(keyword);
    previous = token;
  }
  return undefined;
}

/** From its first token, whatever was looked for in it before: nothing of a statement is left out. */
function readToEnd(sql: string): Statement {
  let depth = 0;
  let previous: Token | undefined;
  let outputFormat: string | undefined;
  let finished = false;
  let isToFile = false;
  let inserts = false;
  let isToFunction = false;
  for (const token of tokensOf(sql)) {
    if (finished && !isSemicolon(token)) return { kind: 'several', position: token.start };
    finished ||= isSemicolon(token);
    depth += depthChange(token);
    if (depth === 0 && isFormatName(token, previous)) outputFormat = token.text;
    // Whatever stands before it: the engine takes more characters for blanks than are read here.
    isToFile ||= keywordOf(token) === 'OUTFILE';
    isToFunction ||= inserts && keywordOf(token) === 'FUNCTION';
    inserts ||= keywordOf(token) === 'INSERT';
    previous = token;
  }
  if (isToFile) return { kind: 'into-outfile' };
  if (isToFunction) return { kind: 'into-function' };
  return { kind: 'other', outputFormat };
}

/** A single-quoted SQL literal of `text`. */
export function sqlLiteral(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

function keywordOf(token: Token): string {
  return token.kind === 'word' ? token.text.toUpperCase() : '';
}

function isFormatName(token: Token, previous: Token | undefined): boolean {
  return token.kind === 'word' && previous !== undefined && keywordOf(previous) === 'FORMAT';
}

function isSemicolon(token: Token): boolean {
  return token.kind === 'symbol' && token.text === ';';
}

function depthChange(token: Token): number {
  if (token.kind !== 'symbol') return 0;
  return token.text === '(' ? 1 : token.text === ')' ? -1 : 0;
}

/** Whether it is the first name of a list of columns. */
function isListed(sql: string, { end }: Token): boolean {
  return /^\s*[,)]/.test(sql.slice(end, end + 100));
}

function insertWithData(
  sql: string,
  clauseStart: number,
  settingsStart: number | undefined,
  format: string,
  dataStart: number,
): Statement {
  const targetEnd = settingsStart ?? clauseStart;
  const settings = settingsStart === undefined ? '' : sql.slice(settingsStart, clauseStart).trim();
  return { kind: 'insert-with-data', target: sql.slice(0, targetEnd).trim(), settings, format, dataStart };
}

function* tokensOf(sql: string): Generator<Token, void> {
  let at = 0;
  while (at < sql.length) {
    const character = sql[at]!;
    const closing = PAIRED_QUOTES.get(character);
    if (/\s/.test(character)) {
      at += 1;
    } else if (LINE_COMMENTS.some((beginning) => sql.startsWith(beginning, at))) {
      at = endOf(sql, '\n', at);
    } else if (sql.startsWith('/*', at)) {
      at = endOfComment(sql, at);
    } else if (QUOTES.has(character) || closing !== undefined) {
      const end = closing === undefined ? endOfQuoted(sql, at, character) : endOf(sql, closing, at + 1);
      yield { kind: 'quoted', text: sql.slice(at, end), start: at, end };
      at = end;
    } else {
      const end = endOfHeredoc(sql, at) ?? endOfWord(sql, at);
      if (end > at) {
        const kind = character === '$' ? 'quoted' : 'word';
        yield { kind, text: sql.slice(at, end), start: at, end };
        at = end;
      } else {
        yield { kind: 'symbol', text: character, start: at, end: at + 1 };
        at += 1;
      }
    }
  }
}

function endOf(sql: string, terminator: string, from: number): number {
  const found = sql.indexOf(terminator, from);
  return found === -1 ? sql.length : found + terminator.length;
}

function endOfQuoted(sql: string, start: number, quote: string): number {
  let at = start + 1;
  while (at < sql.length) {
    if (sql[at] === '\\') at += 2;
    else if (sql[at] === quote && sql[at + 1] === quote) at += 2;
    else if (sql[at] === quote) return at + 1;
    else at += 1;
  }
  return sql.length;
}

/** Comments of several lines stand within each other. */
function endOfComment(sql: string, start: number): number {
  let depth = 0;
  let at = start;
  do {
    const opening = sql.startsWith('/*', at);
    const closing = sql.startsWith('*/', at);
    depth += opening ? 1 : closing ? -1 : 0;
    at += opening || closing ? 2 : 1;
  } while (depth > 0 && at < sql.length);
  return Math.min(at, sql.length);
}

/** Its name is whatever stands up to the next `$`. */
function endOfHeredoc(sql: string, start: number): number | undefined {
  if (sql[start] !== '$') return undefined;
  const nameEnd = sql.indexOf('$', start + 1);
  if (nameEnd === -1) return undefined;
  const opening = sql.slice(start, nameEnd + 1);
  const closing = sql.indexOf(opening, start + opening.length);
  return closing === -1 ? undefined : closing + opening.length;
}

function endOfWord(sql: string, start: number): number {
  let at = start;
  while (at < sql.length && WORD.test(sql[at]!)) at += 1;
  return at;
}
