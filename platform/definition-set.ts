// A whole set of definitions at once, such as a team keeps in files: what it would change, and whether it may.
import type { DefinitionType } from '../domain/definition.ts';
import { definitionTypes } from '../domain/definition.ts';
import type { DefinitionRecord } from '../domain/record.ts';
import { canonicalHash } from './canonical.ts';
import { forbiddenChanges } from './definition-changes.ts';
import {
  type DefinitionHistory,
  lastDocument,
  newlyDangling,
  type ProposedChange,
  whyNeeded,
} from './definition-check.ts';
import { checkDocument, isDefinitionType, publishOrder } from './definition-document.ts';
import { reasonsOf } from './definition-references.ts';

/** A definition as somebody wants it; of which type is not yet known to be right. */
export interface WantedDefinition {
  readonly type: string;
  readonly id: string;
  readonly document: unknown;
}

export interface PlannedChange extends ProposedChange {
  readonly action: 'create' | 'change' | 'withdraw';
  /** With all defaults filled in; null withdraws it. */
  readonly document: Record<string, unknown> | null;
  /** What is there now, also one that was withdrawn. */
  readonly before: DefinitionRecord | undefined;
}

export type SetPlan =
  | {
      readonly ok: true;
      /** In an order in which each finds what it needs as far as an order can do that. */
      readonly changes: readonly PlannedChange[];
      readonly unchanged: number;
    }
  /** Everything that is wrong; nothing of the set may be published. */
  | { readonly ok: false; readonly reasons: readonly string[] };

type Checked = { readonly type: DefinitionType; readonly id: string; document: Record<string, unknown> };

function checkWanted(
  log: DefinitionHistory,
  wanted: readonly WantedDefinition[],
  reasons: string[],
): Checked[] {
  const seen = new Set<string>();
  return wanted.flatMap(({ type, id, document }) => {
    const name = `${type}/${id}`;
    if (seen.has(name)) reasons.push(`${name}: it is there twice`);
    seen.add(name);
    if (!isDefinitionType(type)) {
      reasons.push(`${name}: there is no such type; there are ${definitionTypes.join(', ')}`);
      return [];
    }
    const before = lastDocument(log, type, id);
    const checked = checkDocument(type, id, document, before);
    if (!checked.ok) {
      reasons.push(...checked.reasons.map((reason) => `${name}: ${reason}`));
      return [];
    }
    reasons.push(...forbiddenChanges(type, before, checked.document).map((reason) => `${name}: ${reason}`));
    return [{ type, id, document: checked.document }];
  });
}

function withdrawals(log: DefinitionHistory, kept: readonly Checked[]): PlannedChange[] {
  const names = new Set(kept.map(({ type, id }) => `${type}/${id}`));
  return [...publishOrder].reverse().flatMap((type) =>
    log
      .list(type)
      .filter(({ id }) => !names.has(`${type}/${id}`))
      .map(({ id }) => {
        const before = log.historyOf(type, id).at(-1);
        return { action: 'withdraw' as const, type, id, document: null, before };
      }),
  );
}

/**
 * What would change if the set were in force; refused as a whole when any of it is wrong.
 * References are looked for in the end state: what each other needs may come in one set.
 * @param withdrawOthers withdraw what the set does not name
 */
export function planSet(
  log: DefinitionHistory,
  wanted: readonly WantedDefinition[],
  { withdrawOthers }: { readonly withdrawOthers: boolean },
): SetPlan {
  const reasons: string[] = wanted.length === 0 ? ['there is no definition in the set'] : [];
  const checked = checkWanted(log, wanted, reasons);
  const ordered = [...checked].sort(
    (left, right) =>
      publishOrder.indexOf(left.type) - publishOrder.indexOf(right.type) || (left.id < right.id ? -1 : 1),
  );
  const changed = ordered.flatMap(({ type, id, document }): PlannedChange[] => {
    const before = log.historyOf(type, id).at(-1);
    if (before?.hash === canonicalHash(document)) return [];
    const action = before === undefined || before.document === null ? 'create' : 'change';
    return [{ action, type, id, document, before }];
  });
  const withdrawn = withdrawOthers && reasons.length === 0 ? withdrawals(log, checked) : [];
  const changes = [...changed, ...withdrawn];
  for (const { type, id, before } of withdrawn) {
    const needed = whyNeeded(type, id, before?.document);
    if (needed !== undefined) reasons.push(needed);
  }
  reasons.push(...reasonsOf(newlyDangling(log, changes)));
  if (reasons.length > 0) return { ok: false, reasons };
  return { ok: true, changes, unchanged: ordered.length - changed.length };
}
