// What became of links, at both owners: the rows of `identities` that follow from the log.
import type { LinkChange } from './links.ts';

/** What became of a link, at the user's owner: a row of `identities`. */
export interface PartChange {
  readonly offset: number;
  readonly timeMs: number;
  readonly link: string;
  readonly visitor: string;
  readonly change: 'merged' | 'dropped' | 'inseparable';
}

/** A row without its position but for the offset. */
export interface IdentityChange {
  readonly offset: number;
  readonly key: string;
  readonly timeMs: number;
  readonly link: string;
  readonly visitor: string;
  readonly user: string;
  readonly change: LinkChange['change'] | PartChange['change'];
  readonly fromOffset: number;
  readonly messageId: string;
  readonly by: string;
  readonly why: string;
}

export function visitorChanges(key: string, changes: readonly LinkChange[]): IdentityChange[] {
  return changes.map(({ dueMs: _dueMs, ...change }) => ({ ...change, key, visitor: key }));
}

export function partChanges(key: string, changes: readonly PartChange[]): IdentityChange[] {
  const silent = { fromOffset: 0, messageId: '', by: '', why: '' };
  return changes.map((change) => ({ ...silent, ...change, key, user: key }));
}
