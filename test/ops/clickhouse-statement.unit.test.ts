// What the ClickHouse front reads out of a statement: where an insert's data begins, and second statements.

import { describe, expect, test } from 'vitest';
import { readStatement, sqlLiteral } from '../../ops/local/clickhouse-statement.ts';

describe('inserts whose data follows', () => {
  test.each([
    ['INSERT INTO t FORMAT JSONEachRow', 'INSERT INTO t', '', 'JSONEachRow'],
    [
      'insert into db.t (a, format) format JSONCompactEachRow\n',
      'insert into db.t (a, format)',
      '',
      'JSONCompactEachRow',
    ],
    [
      "INSERT INTO TABLE `t FORMAT x` SETTINGS a = 1, b = 'VALUES' FORMAT CSV",
      'INSERT INTO TABLE `t FORMAT x`',
      "SETTINGS a = 1, b = 'VALUES'",
      'CSV',
    ],
    [
      '/* SELECT */ INSERT INTO t -- FORMAT Null\n VALUES',
      '/* SELECT */ INSERT INTO t -- FORMAT Null',
      '',
      'Values',
    ],
    ['INSERT INTO t (with, n) FORMAT TSV', 'INSERT INTO t (with, n)', '', 'TSV'],
    ['INSERT INTO `function` (function) FORMAT TSV', 'INSERT INTO `function` (function)', '', 'TSV'],
  ])('%s', (sql, target, settings, format) => {
    expect(readStatement(sql)).toMatchObject({ kind: 'insert-with-data', target, settings, format });
  });

  test('the data is not read as SQL', () => {
    const sql = 'INSERT INTO t FORMAT JSONEachRow\n{"a":1}\n\n; DROP TABLE t';
    const statement = readStatement(sql);
    expect(statement).toMatchObject({ kind: 'insert-with-data', format: 'JSONEachRow' });
    if (statement.kind === 'insert-with-data') {
      expect(sql.slice(statement.dataStart)).toBe('\n{"a":1}\n\n; DROP TABLE t');
    }
  });
});

describe('other statements', () => {
  test.each([
    ['SELECT 1', undefined],
    ["SELECT format('{}', 1) AS x\nFORMAT JSONEachRow", 'JSONEachRow'],
    ['INSERT INTO t SELECT 1', undefined],
    ['INSERT INTO t (SELECT 1) FORMAT CSV', 'CSV'],
    ['CREATE FUNCTION plus_one AS (x) -> x + 1', undefined],
    ["INSERT INTO t FROM INFILE 'x' FORMAT CSV", 'CSV'],
    ["SELECT ';' /* ; */ -- ;\n;", undefined],
    ["SELECT 'it''s; \\'quoted\\'; ', $tag$;$tag$, \"a;b\" ; ;", undefined],
  ])('%s', (sql, outputFormat) => {
    expect(readStatement(sql)).toEqual({ kind: 'other', outputFormat });
  });

  test.each([
    "INSERT INTO FUNCTION file('x') SELECT 1",
    "insert into table function file('x') VALUES ('a')",
    "INSERT INTO FUNCTION file('x;y') FORMAT TSV",
    "INSERT INTO FUNCTION file('x') (SELECT 1)",
    "INSERT INTO\u200bFUNCTION file('x') SELECT 1",
    "INSERT INTO −− t SELECT\n FUNCTION file('x') SELECT 1",
    "\u200bINSERT INTO FUNCTION file('x') SELECT 1",
    "WITH 1 AS x INSERT INTO FUNCTION file('x') SELECT x",
    "EXPLAIN INSERT INTO FUNCTION file('x') SELECT 1",
  ])('into a function: %s', (sql) => {
    expect(readStatement(sql)).toEqual({ kind: 'into-function' });
  });

  test('a second statement is seen, and where it starts', () => {
    expect(readStatement('SELECT 1; DROP TABLE t')).toEqual({ kind: 'several', position: 10 });
    expect(readStatement("SELECT 1 /* /* */ ' */; SELECT 2 -- '").kind).toBe('several');
    expect(readStatement("SELECT $ $'$ $; SELECT 2 -- '").kind).toBe('several');
    expect(readStatement('SELECT 1 /* /* ; */').kind).toBe('other');
    expect(readStatement("SELECT 'a\\\\'; SELECT 2")).toEqual({ kind: 'several', position: 14 });
    expect(readStatement('INSERT INTO t (SELECT 1); SELECT 2')).toEqual({ kind: 'several', position: 26 });
    expect(readStatement("INSERT INTO t (SELECT 1); SHOW TABLES INTO OUTFILE 'x'").kind).toBe('several');
  });

  test('what goes to a file is seen, and no name or text that reads so', () => {
    for (const sql of [
      "SELECT 1 INTO OUTFILE 'a'",
      "EXPLAIN (SELECT 1 into outfile 'a')",
      "INSERT INTO t SELECT 1 INTO OUTFILE 'a'",
      // As the engine reads them: comments stand within each other, and any text may name a heredoc.
      "SELECT 1 /* /* */ ' */ INTO OUTFILE '/x' -- '",
      "SELECT $ $'$ $ INTO OUTFILE '/x' -- '",
    ])
      expect(readStatement(sql)).toEqual({ kind: 'into-outfile' });
    for (const sql of ["SELECT ‘it's into outfile ;’", "SELECT `outfile`, “outfile”, 'outfile'"])
      expect(readStatement(sql)).toEqual({ kind: 'other', outputFormat: undefined });
    expect(readStatement('SELECT ‘\\’; SELECT 2')).toEqual({ kind: 'several', position: 12 });
  });

  test('nothing but comments is empty', () => {
    expect(readStatement(' -- nothing\n/* here */ ')).toEqual({ kind: 'empty' });
  });
});

test('a literal cannot be left', () => {
  expect(sqlLiteral("it's a \\ path")).toBe("'it\\'s a \\\\ path'");
});
