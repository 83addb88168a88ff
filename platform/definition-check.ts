// Whether a change may be published: everything that speaks against it, at once.
import type { DefinitionType } from '../domain/definition.ts';
import type { DefinitionRecord } from '../domain/record.ts';
import { forbiddenChanges } from './definition-changes.ts';
import { checkDocument } from './definition-document.ts';
import {
  type Dangling,
  type DefinitionSet,
  danglingReferences,
  missingTargets,
  reasonsOf,
} from './definition-references.ts';

/** A change of one definition. */
export interface ProposedChange {
  readonly type: DefinitionType;
  readonly id: string;
  /** null withdraws it. */
  readonly document: unknown;
}

/** Another definition that refers to one, and by which field. */
export interface Referrer {
  readonly type: DefinitionType;
  readonly id: string;
  readonly field: string;
}

export type CheckedChange =
  | { readonly outcome: 'sound'; readonly document: Record<string, unknown> | null }
  /** There is nothing to withdraw. */
  | { readonly outcome: 'absent' }
  | { readonly outcome: 'invalid'; readonly reasons: readonly string[] }
  /** The engine itself needs what is to be withdrawn, or it is at work. */
  | { readonly outcome: 'needed'; readonly reasons: readonly string[] }
  /** Others refer to what is to be withdrawn. */
  | { readonly outcome: 'referred'; readonly reasons: readonly string[]; readonly by: readonly Referrer[] };

export interface DefinitionHistory extends DefinitionSet {
  historyOf(type: DefinitionType, id: string): readonly DefinitionRecord[];
}

/** The set as it would be with these changes; a document of null is left out. */
export function withChanges(set: DefinitionSet, changes: readonly ProposedChange[]): DefinitionSet {
  return {
    list: <Document>(type: DefinitionType) => {
      const changed = changes.filter((change) => change.type === type);
      const kept = set.list<Document>(type).filter(({ id }) => !changed.some((change) => change.id === id));
      const put = changed.filter(({ document }) => document !== null);
      return [...kept, ...put.map(({ id, document }) => ({ id, document: document as Document }))];
    },
  };
}

/** References that would lead nowhere by these changes and do not already. */
export function newlyDangling(set: DefinitionSet, changes: readonly ProposedChange[]): Dangling[] {
  const nameOf = ({ type, id, lacks }: Dangling): string => `${type} ${id}: ${lacks}`;
  const already = new Set(danglingReferences(set).map(nameOf));
  return danglingReferences(withChanges(set, changes)).filter((each) => !already.has(nameOf(each)));
}

/** The engine works by these; without them it would go on with rules that nobody wrote. */
const required: readonly DefinitionType[] = ['settings', 'behaviours', 'lifecycle', 'opportunity'];

/** Why it may not be withdrawn as it is; undefined: it may, as far as it alone is concerned. */
export function whyNeeded(type: DefinitionType, id: string, document: unknown): string | undefined {
  const { status } = document as { readonly status?: string };
  if (required.includes(type) && id === 'default')
    return `${type} default: the engine works by it; change it instead of withdrawing it`;
  if (type === 'experiment' && status === 'running')
    return `experiment ${id}: it is running; set its status to stopped first`;
  if (type === 'campaign' && status === 'active')
    return `campaign ${id}: it is active; set its status to paused first`;
  return undefined;
}

/** Each once, however many of a field's entries refer to the same one. */
function referrersOf(dangling: readonly Dangling[]): Referrer[] {
  const referrers = dangling.map(({ type, id, field }) => ({ type, id, field }));
  return [...new Map(referrers.map((one) => [`${one.type} ${one.id} ${one.field}`, one])).values()];
}

/** What a definition said last; also one that was withdrawn meanwhile: a campaign that comes back still has its account. */
export function lastDocument(
  log: DefinitionHistory,
  type: DefinitionType,
  id: string,
): DefinitionRecord['document'] {
  return log.historyOf(type, id).findLast((record) => record.document !== null)?.document ?? null;
}

/** One change against what is in force. */
export function checkChange(log: DefinitionHistory, change: ProposedChange): CheckedChange {
  const { type, id, document } = change;
  if (document === null) {
    const current = log.historyOf(type, id).at(-1)?.document ?? null;
    if (current === null) return { outcome: 'absent' };
    const needed = whyNeeded(type, id, current);
    if (needed !== undefined) return { outcome: 'needed', reasons: [needed] };
    const dangling = newlyDangling(log, [change]);
    if (dangling.length === 0) return { outcome: 'sound', document: null };
    return {
      outcome: 'referred',
      reasons: reasonsOf(dangling),
      by: referrersOf(dangling),
    };
  }
  const before = lastDocument(log, type, id);
  const checked = checkDocument(type, id, document, before);
  const sound = checked.ok ? checked.document : null;
  const reasons = checked.ok ? [] : [...checked.reasons];
  if (sound === null) {
    reasons.push(...reasonsOf(missingTargets(type, id, document, log)));
  } else {
    const dangling = newlyDangling(log, [{ type, id, document: sound }]);
    reasons.push(...forbiddenChanges(type, before, sound), ...reasonsOf(dangling));
  }
  return reasons.length === 0 ? { outcome: 'sound', document: sound } : { outcome: 'invalid', reasons };
}
