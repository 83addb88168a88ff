// The definitions in force in one partition, arranged for the transition: looked up once when one changes, not per record.

import type { SegmentKind } from './buyer-record.ts';
import {
  type AccountDefinition,
  type BehaviourMap,
  type CampaignDefinition,
  type DefinitionType,
  type FunnelDefinition,
  type InForce,
  type LastSaid,
  type LifecycleDefinition,
  type OpportunityDefinition,
  type ScoreDefinition,
  type Settings,
  settings as settingsSchema,
} from './definition.ts';
import type { TriggerDefinition } from './receiver-definition.ts';
import { noFloors, type TimeFloors } from './time-floors.ts';

/** A definition as a partition keeps it. */
export interface KeptDefinition extends InForce {
  readonly type: DefinitionType;
  /** How many definitions had come into force in this partition, with this one. */
  readonly epoch: number;
  /** The partition's watermark at its record; absent in what an older version has stored. */
  readonly sinceMs?: number;
  /** Of `settings`: what those before them had let go. */
  readonly floors?: TimeFloors;
  /** Of an account or a campaign that was withdrawn: its last document. Absent in what an older version has stored. */
  readonly last?: unknown;
}

export interface FunnelInForce extends InForce<FunnelDefinition> {
  /** Its steps are counted when they are settled, not when they are reached. */
  readonly strict: boolean;
  readonly series: string;
  /** Its place among the funnels in force, by id: where a buyer who has been in all of them has its own. */
  readonly place: number;
  /** The epoch of its record: behaviours of an earlier one came before it. */
  readonly epoch: number;
  /** The partition's watermark at its record, 0 if nothing had happened there; undefined: its past is not folded in. */
  readonly sinceMs: number | undefined;
}

/** A funnel that a behaviour is a step of. */
export interface ReachableFunnel {
  readonly funnel: FunnelInForce;
  /** The last of the steps that it is, counted from 1. */
  readonly highestStep: number;
}

export interface Definitions {
  readonly settings: Settings;
  readonly floors: TimeFloors;
  /** How many definitions have come into force in this partition. */
  readonly epoch: number;
  readonly funnels: readonly FunnelInForce[];
  readonly strictFunnels: readonly FunnelInForce[];
  /** The `default` funnels that have this behaviour as a step. */
  readonly funnelsByBehaviour: ReadonlyMap<string, readonly ReachableFunnel[]>;
  readonly longestWindowMs: number;
  readonly lifecycle: InForce<LifecycleDefinition> | undefined;
  readonly opportunity: InForce<OpportunityDefinition> | undefined;
  readonly triggers: readonly InForce<TriggerDefinition>[];
  /** Distinct half-lives of the scores, ascending. */
  readonly halfLivesMs: readonly number[];
  /** The behaviour of a site event, '' if none is mapped. */
  behaviourOf(kind: SegmentKind, event: string | undefined): string;
  /** Withdrawn ones too. */
  account(id: string): LastSaid<AccountDefinition> | undefined;
  campaign(id: string): LastSaid<CampaignDefinition> | undefined;
}

function ofType<Document>(kept: readonly KeptDefinition[], type: DefinitionType): InForce<Document>[] {
  return kept
    .filter((definition) => definition.type === type)
    .map((definition) => definition as unknown as InForce<Document>)
    .sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** Of accounts and campaigns, which are spent by after they were withdrawn: a bid may still win, a platform reports late. */
export function lastDocument({ type, document, last }: KeptDefinition): unknown {
  return type === 'account' || type === 'campaign' ? (document ?? last) : undefined;
}

function lastSaid<Document>(
  all: readonly KeptDefinition[],
  type: DefinitionType,
): ReadonlyMap<string, LastSaid<Document>> {
  const said = new Map<string, LastSaid<Document>>();
  for (const definition of all) {
    const { id, revision, hash } = definition;
    const document = lastDocument(definition);
    if (definition.type !== type || document === null || document === undefined) continue;
    const withdrawn = definition.document === null ? { isWithdrawn: true as const } : {};
    said.set(id, { id, revision, hash, document: document as Document, ...withdrawn });
  }
  return said;
}

function behaviourLookup(maps: readonly InForce<BehaviourMap>[]): Definitions['behaviourOf'] {
  const rules = maps.flatMap((map) => map.document.rules);
  const known = new Map<string, string>();
  return (kind, event) => {
    const name = `${kind}\u0000${event ?? ''}`;
    const cached = known.get(name);
    if (cached !== undefined) return cached;
    const rule = rules.find(
      (candidate) => candidate.kind === kind && (candidate.event === undefined || candidate.event === event),
    );
    const behaviour = rule?.behaviour ?? '';
    // Names come from outside: the memory is bounded, not the names.
    if (known.size < 10_000) known.set(name, behaviour);
    return behaviour;
  };
}

/** How many definitions have come into force, withdrawn ones too. */
export function epochOf(kept: readonly KeptDefinition[]): number {
  return kept.reduce((latest, { epoch }) => Math.max(latest, epoch), 0);
}

function funnelsInForce(kept: readonly KeptDefinition[]): FunnelInForce[] {
  return ofType<FunnelDefinition>(kept, 'funnel').map((funnel, place) => ({
    ...funnel,
    place,
    epoch: (funnel as unknown as KeptDefinition).epoch,
    sinceMs: (funnel as unknown as KeptDefinition).sinceMs,
    strict: funnel.document.mode !== 'default',
    series: `funnel:${funnel.id}`,
  }));
}

function byBehaviour(funnels: readonly FunnelInForce[]): Map<string, ReachableFunnel[]> {
  const result = new Map<string, ReachableFunnel[]>();
  for (const funnel of funnels) {
    if (funnel.strict) continue;
    const { steps } = funnel.document;
    for (const step of new Set(steps)) {
      const list = result.get(step) ?? [];
      list.push({ funnel, highestStep: steps.lastIndexOf(step) + 1 });
      result.set(step, list);
    }
  }
  return result;
}

/** Whether what waits for a time, in whatever buyer, may have to happen sooner than it had to before. */
export function bringsForward(before: Definitions, after: Definitions): boolean {
  const never = Number.POSITIVE_INFINITY;
  const waits = ({ settings, lifecycle, opportunity }: Definitions): number[] => [
    settings.latenessMs,
    lifecycle?.document.churnedAfterMs ?? never,
    opportunity?.document.closeAfterMs ?? never,
  ];
  const longest = waits(before);
  return waits(after).some((waitMs, index) => waitMs < longest[index]!);
}

/** Arranges what a partition has kept; withdrawn ones (document null) are not in force. Where no `settings` are, the schema's defaults hold. */
export function arrange(all: readonly KeptDefinition[]): Definitions {
  const kept = all.filter((definition) => definition.document !== null);
  const funnels = funnelsInForce(kept);
  const accounts = lastSaid<AccountDefinition>(all, 'account');
  const campaigns = lastSaid<CampaignDefinition>(all, 'campaign');
  const halfLives = new Set(ofType<ScoreDefinition>(kept, 'score').map((score) => score.document.halfLifeMs));
  return {
    epoch: epochOf(all),
    settings: ofType<Settings>(kept, 'settings')[0]?.document ?? settingsSchema.parse({}),
    floors: all.find(({ type }) => type === 'settings')?.floors ?? noFloors,
    funnels,
    strictFunnels: funnels.filter((funnel) => funnel.strict),
    funnelsByBehaviour: byBehaviour(funnels),
    longestWindowMs: funnels.reduce((longest, funnel) => Math.max(longest, funnel.document.windowMs), 0),
    lifecycle: ofType<LifecycleDefinition>(kept, 'lifecycle')[0],
    opportunity: ofType<OpportunityDefinition>(kept, 'opportunity')[0],
    triggers: ofType<TriggerDefinition>(kept, 'trigger'),
    halfLivesMs: [...halfLives].sort((a, b) => a - b),
    behaviourOf: behaviourLookup(ofType<BehaviourMap>(kept, 'behaviours')),
    account: (id) => accounts.get(id),
    campaign: (id) => campaigns.get(id),
  };
}
