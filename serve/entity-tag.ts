// Entity tags (RFC 9110, section 8.8.3): a hash of what an answer says, and whether the caller has it already.
import { createHash } from 'node:crypto';

/** A strong tag for anything that JSON can say. */
export function entityTagOf(content: unknown): string {
  return `"${createHash('sha256').update(JSON.stringify(content)).digest('base64url').slice(0, 27)}"`;
}

/** If-None-Match compares weakly: `W/"x"` and `"x"` are the same, `*` fits everything, unquoted tags are taken too. */
export function isUnchanged(ifNoneMatch: string | undefined, tag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  const bare = (text: string): string => text.trim().replace(/^W\//, '').replaceAll('"', '');
  return ifNoneMatch.split(',').some((each) => each.trim() === '*' || bare(each) === bare(tag));
}
