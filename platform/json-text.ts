// JSON text of what came as JSON: `JSON.parse` takes any depth, `JSON.stringify` ends where the call stack does.

/** What is left to write: text as it is, or a value. */
type Left = { readonly text: string } | { readonly value: unknown };

function isNested(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

/** The parts of an array or object, in order. */
function partsOf(value: object): Left[] {
  const isList = Array.isArray(value);
  const members = Object.entries(value).filter(([, inner]) => isList || inner !== undefined);
  const parts = members.flatMap(([key, inner], index): Left[] => [
    { text: `${index === 0 ? '' : ','}${isList ? '' : `${JSON.stringify(key)}:`}` },
    { value: inner },
  ]);
  return [{ text: isList ? '[' : '{' }, ...parts, { text: isList ? ']' : '}' }];
}

/** Slower than `JSON.stringify`, with a stack of its own. */
function deepText(value: unknown): string {
  const written: string[] = [];
  const left: Left[] = [{ value }];
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    if ('text' in next) written.push(next.text);
    else if (isNested(next.value)) for (const part of partsOf(next.value).reverse()) left.push(part);
    else written.push(JSON.stringify(next.value) ?? 'null');
  }
  return written.join('');
}

/** As `JSON.stringify`, for a value that `JSON.parse` could have made, however deep it is nested. */
export function jsonText(value: unknown): string {
  try {
    return JSON.stringify(value);
  } catch (error) {
    if (error instanceof RangeError) return deepText(value);
    throw error;
  }
}
