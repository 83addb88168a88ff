// What a definition said last, withdrawn or not: money that was spent by it is named and counted by it all the same.
import type { LastSaid } from '../domain/definition.ts';
import type { DefinitionRecord } from '../domain/record.ts';

/** By all revisions that hold, the first one first; undefined if none had a document. */
export function lastSaid<Document>(history: readonly DefinitionRecord[]): LastSaid<Document> | undefined {
  const said = history.findLast(({ document }) => document !== null);
  const last = history.at(-1);
  if (said === undefined || last === undefined) return undefined;
  const { id, revision, hash } = last;
  const withdrawn = last.document === null ? { isWithdrawn: true as const } : {};
  return { id, revision, hash, document: said.document as Document, ...withdrawn };
}
