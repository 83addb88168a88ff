// Which definitions are in force at which offset of one partition, by the log alone.
import {
  type AccountDefinition,
  type BehaviourMap,
  type CampaignDefinition,
  type FunnelDefinition,
  type LifecycleDefinition,
  type OpportunityDefinition,
  readDocument,
  type ScoreDefinition,
  type Settings,
  settings as settingsSchema,
} from '../domain/definition.ts';
import type { TriggerDefinition } from '../domain/receiver-definition.ts';
import type { DefinitionRecord } from '../domain/record.ts';

/** A definition and the offset of the record that brought it into force here. */
export interface Standing<Document = unknown> {
  readonly type: string;
  readonly id: string;
  readonly revision: number;
  readonly hash: string;
  readonly document: Document;
  readonly sinceOffset: number;
}

/**
 * The latest event times that settings before these had let go of: settled, forgotten, closed. Each revision of them, at
 * whatever watermark it ended, has an end of its own, and the latest of the ends stays.
 */
export interface LetGo {
  readonly settledMs: number;
  readonly idsMs: number;
  readonly closedMs: Readonly<Record<'m' | 'h' | 'd', number>>;
}

/** Everything in force from `sinceOffset` on, until the next epoch begins. */
export interface Epoch {
  readonly sinceOffset: number;
  readonly all: readonly Standing[];
  readonly settings: Settings;
  readonly letGo: LetGo;
  readonly behaviourRules: BehaviourMap['rules'];
  readonly funnels: readonly Standing<FunnelDefinition>[];
  readonly lifecycle: Standing<LifecycleDefinition> | undefined;
  readonly opportunity: Standing<OpportunityDefinition> | undefined;
  readonly triggers: readonly Standing<TriggerDefinition>[];
  readonly halfLivesMs: readonly number[];
  readonly accounts: readonly Standing<AccountDefinition>[];
  /** What each account and campaign said last, whether it was withdrawn since or not, by its id. */
  readonly paidBy: ReadonlyMap<string, AccountDefinition>;
  readonly spentFor: ReadonlyMap<string, CampaignDefinition>;
}

export interface DefinitionHistory {
  /** Takes a definition record in the order of the log; false if its revision is not above the one in force. */
  accept(offset: number, record: DefinitionRecord, watermarkMs: number): boolean;
  at(offset: number): Epoch;
  readonly epochs: readonly Epoch[];
}

export function openHistory(): DefinitionHistory {
  /** By type and id, the withdrawn ones too: a revision counts on. */
  const latest = new Map<string, Standing<unknown>>();
  const paidBy = new Map<string, AccountDefinition>();
  const spentFor = new Map<string, CampaignDefinition>();
  const ended: { readonly settings: Settings; readonly watermarkMs: number }[] = [];
  const epochs: Epoch[] = [epochOf(-1, [], letGoBy([]), { paidBy: new Map(), spentFor: new Map() })];
  return {
    epochs,
    at(offset) {
      let index = epochs.length - 1;
      while (index > 0 && epochs[index]!.sinceOffset > offset) index -= 1;
      return epochs[index]!;
    },
    accept(offset, record, watermarkMs) {
      const name = `${record.type}/${record.id}`;
      const known = latest.get(name);
      if (known !== undefined && record.revision <= known.revision) return false;
      const { type, id, revision, hash } = record;
      // As its schema reads it: one that was written straight into the log may lack its defaults.
      const document = readDocument(type, record.document) ?? null;
      latest.set(name, { type, id, revision, hash, document, sinceOffset: offset });
      if (type === 'settings') ended.push({ settings: epochs.at(-1)!.settings, watermarkMs });
      if (document !== null && type === 'account') paidBy.set(id, document as AccountDefinition);
      if (document !== null && type === 'campaign') spentFor.set(id, document as CampaignDefinition);
      const standing = [...latest.values()].filter((each) => each.document !== null);
      const money = { paidBy: new Map(paidBy), spentFor: new Map(spentFor) };
      epochs.push(epochOf(offset, standing, letGoBy(ended), money));
      return true;
    },
  };
}

function letGoBy(ended: readonly { readonly settings: Settings; readonly watermarkMs: number }[]): LetGo {
  const latest = (behindMs: (settings: Settings) => number): number =>
    Math.max(0, ...ended.map(({ settings, watermarkMs }) => watermarkMs - behindMs(settings)));
  return {
    settledMs: latest(({ latenessMs }) => latenessMs),
    idsMs: latest(({ idMemoryMs }) => idMemoryMs),
    closedMs: {
      m: latest(({ latenessMs, minuteRetentionMs }) => latenessMs + minuteRetentionMs),
      h: latest(({ latenessMs, hourRetentionMs }) => latenessMs + hourRetentionMs),
      d: latest(({ latenessMs, dayRetentionMs }) => latenessMs + dayRetentionMs),
    },
  };
}

/** What happened before it is settled at this watermark, and a record of before it is late. */
export function settledBefore({ settings, letGo }: Epoch, watermarkMs: number): number {
  return Math.max(watermarkMs - settings.latenessMs, letGo.settledMs);
}

function epochOf(
  sinceOffset: number,
  all: readonly Standing[],
  letGo: LetGo,
  money: Pick<Epoch, 'paidBy' | 'spentFor'>,
): Epoch {
  const of = <Document>(type: string): Standing<Document>[] =>
    all
      .filter((standing) => standing.type === type)
      .map((standing) => standing as Standing<Document>)
      .sort((a, b) => (a.id < b.id ? -1 : 1));
  return {
    sinceOffset,
    all,
    settings: of<Settings>('settings')[0]?.document ?? settingsSchema.parse({}),
    letGo,
    behaviourRules: of<BehaviourMap>('behaviours').flatMap((map) => map.document.rules),
    funnels: of<FunnelDefinition>('funnel'),
    lifecycle: of<LifecycleDefinition>('lifecycle')[0],
    opportunity: of<OpportunityDefinition>('opportunity')[0],
    triggers: of<TriggerDefinition>('trigger'),
    halfLivesMs: [...new Set(of<ScoreDefinition>('score').map((score) => score.document.halfLifeMs))],
    accounts: of<AccountDefinition>('account'),
    ...money,
  };
}

/** A funnel's revision and the offsets between which it was in force: after `sinceOffset`, before `untilOffset`. */
export interface FunnelSpan extends Standing<FunnelDefinition> {
  readonly untilOffset: number;
}

/** Every revision of every funnel that was ever in force, in the order in which they came. */
export function funnelSpans({ epochs }: DefinitionHistory): FunnelSpan[] {
  const spans = new Map<string, FunnelSpan>();
  epochs.forEach((epoch, index) => {
    const untilOffset = epochs[index + 1]?.sinceOffset ?? Number.POSITIVE_INFINITY;
    for (const funnel of epoch.funnels)
      spans.set(`${funnel.id}:${funnel.revision}`, { ...funnel, untilOffset });
  });
  return [...spans.values()];
}

/** The first rule that fits names the behaviour; '' if none does. */
export function behaviourBy(rules: BehaviourMap['rules'], kind: string, event: string | undefined): string {
  for (const rule of rules) {
    if (rule.kind === kind && (rule.event === undefined || rule.event === event)) return rule.behaviour;
  }
  return '';
}
