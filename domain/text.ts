// Text from outside, as long as it may be.

/** The first characters (UTF-16 units); one that is cut in half becomes U+FFFD, as it would be wherever text is stored as UTF-8. */
export function firstOf(text: string, charactersMax: number): string {
  return text.length <= charactersMax ? text : text.slice(0, charactersMax).toWellFormed();
}
