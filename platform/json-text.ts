// JSON text of what came as JSON: `JSON.parse` takes any depth, `JSON.stringify` ends where the call stack does.

function countOf(text: string, character: string): number {
  let count = 0;
  for (let at = text.indexOf(character); at !== -1; at = text.indexOf(character, at + 1)) count += 1;
  return count;
}

/** Whether objects and lists of JSON text stand in each other deeper than so many levels. */
export function isNestedDeeper(json: string, levelsMax: number): boolean {
  // Most records are too short for so many levels, which have two brackets each, or have too few brackets: that is seen fast.
  if (json.length <= 2 * levelsMax || countOf(json, '[') + countOf(json, '{') <= levelsMax) return false;
  let levels = 0;
  let isInText = false;
  for (let place = 0; place < json.length; place += 1) {
    const character = json[place];
    if (isInText) {
      if (character === '\\') place += 1;
      else if (character === '"') isInText = false;
    } else if (character === '"') isInText = true;
    else if (character === ']' || character === '}') levels -= 1;
    else if (character === '[' || character === '{') {
      levels += 1;
      if (levels > levelsMax) return true;
    }
  }
  return false;
}

/** What JSON text says; undefined for text that is none. */
export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

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
