// What a zod schema refuses, in words that say what would be right, as validate.ts has them for Ajv: for people who wrote a document.
import type { z } from 'zod';

const kinds: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
  record: 'an object',
};

/** What is counted where a size is wrong: one of it, more of it. Of numbers nothing is. */
const counted: Readonly<Record<string, readonly [string, string]>> = {
  string: ['character', 'characters'],
  array: ['entry', 'entries'],
};

function size(origin: string, words: string, bound: number | bigint): string {
  const [one, more] = counted[origin] ?? [];
  return one === undefined
    ? `must be ${words} ${bound}`
    : `must have ${words} ${bound} ${bound === 1 ? one : more}`;
}

function oneOf(values: readonly unknown[]): string {
  const named = values.map((value) =>
    typeof value === 'string' && value !== '' ? value : JSON.stringify(value),
  );
  return `must be ${named.length > 1 ? `one of ${named.join(', ')}` : named.join()}`;
}

/** A choice between constants names them all, one between forms says of each what it lacks. */
function choice(branches: readonly (readonly z.core.$ZodIssue[])[]): string {
  const values = branches.flatMap(([first]) => (first?.code === 'invalid_value' ? first.values : []));
  if (values.length >= branches.length) return oneOf(values);
  const lacks = branches.map((faults) =>
    faults.map(({ path, message }) => `${path.join('.')} ${message}`.trim()).join(' and '),
  );
  return lacks.join(', or ');
}

/** To be given to a parse as its `error`; undefined leaves zod's own words. */
export function schemaFault(issue: z.core.$ZodRawIssue): string | undefined {
  if (issue.input === undefined) return 'must be there';
  switch (issue.code) {
    case 'invalid_type':
      return `must be ${kinds[issue.expected] ?? issue.expected}`;
    case 'too_small':
      return size(issue.origin, issue.inclusive === false ? 'more than' : 'at least', issue.minimum);
    case 'too_big':
      return size(issue.origin, issue.inclusive === false ? 'less than' : 'at most', issue.maximum);
    case 'invalid_value':
      return oneOf(issue.values);
    case 'invalid_format':
      return issue.pattern === undefined ? undefined : `must fit ${issue.pattern.replace(/^\/|\/$/g, '')}`;
    case 'invalid_union':
      return choice(issue.errors);
    case 'invalid_key':
      return `its name ${issue.issues.map(({ message }) => message).join(' and ')}`;
    default:
      return undefined;
  }
}
