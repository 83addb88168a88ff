// Text from outside may hold lone surrogates, which are no Unicode: they become U+FFFD before anything is written.

/** In JSON a lone surrogate stands as an escape `\udXXX`; other text may look alike, so this only says "look closer". */
export function maySayLoneSurrogate(json: string): boolean {
  return /\\u[dD][89a-fA-F]/.test(json);
}

/** A copy of JSON-like data in which every text, keys too, is well-formed. Where two keys become one, the later stays. */
export function wellFormed(value: unknown): unknown {
  if (typeof value === 'string') return value.toWellFormed();
  if (Array.isArray(value)) return value.map(wellFormed);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key.toWellFormed(), wellFormed(inner)]),
  );
}
