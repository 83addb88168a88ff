// Names from outside, whole: half of a character is kept as U+FFFD, by which two names would become one.

/** What is wrong with a text that holds half of a character; undefined if it holds none. */
export function halfFault(name: string, text: string): string | undefined {
  return text.isWellFormed()
    ? undefined
    : `${name} holds half of a character (a lone surrogate): send it as UTF-8`;
}
