// What definitions refer to: found in a document as it was written, also in one that is wrong elsewhere, so that all reasons come at once.
import {
  type BehaviourMap,
  type DefinitionType,
  definitionTypes,
  standardBehaviours,
} from '../domain/definition.ts';

/** A set of definitions that refer to each other. */
export interface DefinitionSet {
  list<Document>(type: DefinitionType): readonly { readonly id: string; readonly document: Document }[];
}

/** `behaviour` is one that a rule maps; `knownBehaviour` may also be a standard one. */
type Target = 'account' | 'score' | 'segment' | 'trigger' | 'behaviour' | 'knownBehaviour';

interface Reference {
  /** The field that refers, such as `steps`. */
  readonly field: string;
  readonly to: Target;
  readonly id: string;
}

/** A reference that leads nowhere. */
export interface Dangling {
  readonly type: DefinitionType;
  readonly id: string;
  readonly field: string;
  /** What is not there. */
  readonly lacks: string;
}

type Targets = Readonly<Record<Target, ReadonlySet<string>>>;

function fieldOf(document: unknown, name: string): unknown {
  return typeof document === 'object' && document !== null
    ? (document as Record<string, unknown>)[name]
    : undefined;
}

function textsOf(value: unknown): string[] {
  const texts = Array.isArray(value) ? value : [value];
  return [...new Set(texts.filter((text) => typeof text === 'string'))];
}

function namesOf(value: unknown): string[] {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.keys(value) : [];
}

function referencesOf(type: DefinitionType, document: unknown): Reference[] {
  const refer = (field: string, to: Target, ids: readonly string[]): Reference[] =>
    ids.map((id) => ({ field, to, id }));
  const own = (field: string, to: Target) => refer(field, to, textsOf(fieldOf(document, field)));
  switch (type) {
    case 'campaign':
      return [...own('accountId', 'account'), ...own('scoreId', 'score')];
    case 'funnel':
      return own('steps', 'behaviour');
    case 'lifecycle':
      return own('matureBehaviours', 'behaviour');
    case 'score':
      return refer('engagement', 'knownBehaviour', namesOf(fieldOf(document, 'engagement')));
    case 'experiment': {
      const targeting = fieldOf(document, 'targeting');
      const segments = Array.isArray(targeting) ? targeting.map((each) => fieldOf(each, 'segment')) : [];
      return refer('targeting', 'segment', textsOf(segments));
    }
    case 'receiver':
      return own('triggers', 'trigger');
    case 'settings':
    case 'behaviours':
    case 'opportunity':
    case 'account':
    case 'segment':
    case 'trigger':
      return [];
  }
}

function targetsOf(set: DefinitionSet): Targets {
  const ids = (type: DefinitionType) => new Set(set.list(type).map(({ id }) => id));
  const mapped = set
    .list<BehaviourMap>('behaviours')
    .flatMap(({ document }) => document.rules.map((rule) => rule.behaviour));
  return {
    account: ids('account'),
    score: ids('score'),
    segment: ids('segment'),
    trigger: ids('trigger'),
    behaviour: new Set(mapped),
    knownBehaviour: new Set([...standardBehaviours, ...mapped]),
  };
}

function missing(type: DefinitionType, id: string, document: unknown, targets: Targets): Dangling[] {
  return referencesOf(type, document)
    .filter((reference) => !targets[reference.to].has(reference.id))
    .map(({ field, to, id: target }) => {
      const lacks =
        to === 'behaviour' || to === 'knownBehaviour'
          ? `no rule of the behaviours maps an event to ${target}`
          : `there is no ${to} ${target}`;
      return { type, id, field, lacks };
    });
}

/** A sentence for each thing that is not there, with all that refer to it: one rule taken away may break many. */
export function reasonsOf(dangling: readonly Dangling[]): string[] {
  const byWhat = new Map<string, Set<string>>();
  for (const { type, id, lacks } of dangling)
    byWhat.set(lacks, (byWhat.get(lacks) ?? new Set()).add(`${type} ${id}`));
  return [...byWhat].map(([lacks, referrers]) => `${[...referrers].join(', ')}: ${lacks}`);
}

/** What one document refers to and the set does not have; the document may be wrong otherwise. */
export function missingTargets(
  type: DefinitionType,
  id: string,
  document: unknown,
  set: DefinitionSet,
): Dangling[] {
  return missing(type, id, document, targetsOf(set));
}

/**
 * Everything that points to nothing in the set: campaign → account and score; experiment → segment; receiver → trigger; funnel, lifecycle →
 * a behaviour that a rule maps; score → such a one or a standard one.
 */
export function danglingReferences(set: DefinitionSet): Dangling[] {
  const targets = targetsOf(set);
  return definitionTypes.flatMap((type) =>
    set.list(type).flatMap(({ id, document }) => missing(type, id, document, targets)),
  );
}
