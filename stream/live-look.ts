// What one record did, for the live debugger: a look before the fold and one behind it. Pure: it reads, and changes nothing.
import { type Buyer, newBuyer } from '../domain/buyer.ts';
import type { SegmentRecord } from '../domain/buyer-record.ts';
import type { EffectTable } from '../domain/effect.ts';
import { idHash53 } from '../domain/hash.ts';
import type { Definitions } from '../domain/in-force.ts';
import type { LiveChanges, LiveReason } from '../domain/live.ts';
import type { Verdict } from '../domain/record.ts';
import type { Batch } from './batch.ts';
import { columns } from './rows.ts';

const attributeNames = ['country', 'industry', 'channel', 'level'] as const;
const DAY_MS = 86_400_000;
/** Tables whose new rows tell what a record did. */
const toldTables = ['transitions', 'opportunities', 'triggers', 'exposures'] as const satisfies EffectTable[];
type ToldTable = (typeof toldTables)[number];

/** What is remembered of a buyer, and of the batch at hand, before a record is folded: states change in place. */
export interface BeforeLook {
  readonly known: boolean;
  readonly attributes: readonly string[];
  readonly counted: ReadonlyMap<string, number>;
  readonly visitDays: readonly number[];
  readonly rows: Readonly<Record<ToldTable, number>>;
}

function attributesOf(buyer: Buyer): string[] {
  return attributeNames.map((name) => buyer[name]?.value ?? '');
}

function countedOf(buyer: Buyer): Map<string, number> {
  return new Map(buyer.funnels.map(({ id, revision, counted }) => [`${id}:${revision}`, counted]));
}

/** The event time of the applied record that has the same message id; undefined if none is remembered. */
function firstTimeOf({ ids }: Buyer, messageId: string): number | undefined {
  const hash = idHash53(messageId);
  for (let index = 0; index < ids.length; index += 2) if (ids[index] === hash) return ids[index + 1];
  return undefined;
}

function rowsOf(batch: Batch, table: ToldTable): number {
  return batch.rows.get(table)?.length ?? 0;
}

export function lookBefore(buyer: Buyer | undefined, batch: Batch): BeforeLook {
  const state = buyer ?? newBuyer('');
  return {
    known: buyer !== undefined,
    attributes: attributesOf(state),
    counted: countedOf(state),
    visitDays: [...state.visitDays],
    rows: {
      transitions: rowsOf(batch, 'transitions'),
      opportunities: rowsOf(batch, 'opportunities'),
      triggers: rowsOf(batch, 'triggers'),
      exposures: rowsOf(batch, 'exposures'),
    },
  };
}

type NamedRow = Readonly<Record<string, unknown>>;

/** The rows that a table got since the look, by column name. */
function newRows(before: BeforeLook, batch: Batch, table: ToldTable): NamedRow[] {
  const rows = batch.rows.get(table)?.slice(before.rows[table]) ?? [];
  return rows.map((row) => Object.fromEntries(columns[table].map((name, index) => [name, row[index]])));
}

function funnelChanges(before: BeforeLook, buyer: Buyer, definitions: Definitions) {
  return buyer.funnels.flatMap(({ id, revision, counted }) => {
    const from = before.counted.get(`${id}:${revision}`) ?? 0;
    if (counted <= from) return [];
    const steps = definitions.funnels.find((funnel) => funnel.id === id)?.document.steps ?? [];
    return [{ funnel: id, revision, from, to: counted, steps: steps.slice(from, counted) }];
  });
}

function attributeChanges(before: BeforeLook, buyer: Buyer) {
  return attributesOf(buyer).flatMap((to, index) => {
    const from = before.attributes[index]!;
    return from === to ? [] : [{ name: attributeNames[index]!, from, to }];
  });
}

function rowChanges(before: BeforeLook, batch: Batch): LiveChanges {
  const [stages, opportunities, triggers, exposures] = toldTables.map((table) =>
    newRows(before, batch, table),
  ) as [NamedRow[], NamedRow[], NamedRow[], NamedRow[]];
  const told = {
    stages: stages.map((row) => ({ from: row.from_stage, to: row.to_stage, reason: row.reason })),
    opportunities: opportunities.map((row) => ({
      id: row.opportunity_id,
      change: row.change,
      subject: row.subject,
      stage: row.stage,
      quality: row.quality,
    })),
    triggers: triggers.map((row) => ({
      id: row.trigger_id,
      status: row.status,
      definition: row.definition,
      to: row.to_stage,
    })),
    exposures: exposures.map((row) => ({ experiment: row.experiment, variant: row.variant })),
  };
  return Object.fromEntries(Object.entries(told).filter(([, list]) => list.length > 0)) as LiveChanges;
}

function countedBy(before: BeforeLook, buyer: Buyer, eventMs: number, changes: LiveChanges) {
  const day = Math.floor(eventMs / DAY_MS);
  const changed = (change: string): number =>
    changes.opportunities?.filter((one) => one.change === change).length ?? 0;
  return {
    visitors: buyer.visitDays.includes(day) && !before.visitDays.includes(day) ? 1 : 0,
    opportunities: changed('opened'),
    qualityOpportunities: changed('qualified'),
    funnelSteps: (changes.funnels ?? []).reduce((sum, { from, to }) => sum + to - from, 0),
  };
}

/** What a record changed. @param eventMs its event time */
export function changesSince(
  before: BeforeLook,
  buyer: Buyer | undefined,
  batch: Batch,
  definitions: Definitions,
  eventMs: number,
): LiveChanges {
  const rows = rowChanges(before, batch);
  if (buyer === undefined) return rows;
  const attributes = attributeChanges(before, buyer);
  const funnels = funnelChanges(before, buyer, definitions);
  const changes: LiveChanges = {
    ...(before.known ? {} : { newBuyer: true as const }),
    ...(attributes.length > 0 ? { attributes } : {}),
    ...(funnels.length > 0 ? { funnels } : {}),
    ...rows,
  };
  const counted = countedBy(before, buyer, eventMs, changes);
  return Object.values(counted).some((count) => count > 0) ? { ...changes, counted } : changes;
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}

/**
 * Why a collected record came to its verdict; null if it was applied and there is nothing to say.
 * @param buyer as the record left it; a duplicate leaves it as it was
 */
export function reasonOf(
  record: SegmentRecord,
  verdict: Verdict,
  behaviour: string,
  buyer: Buyer | undefined,
  watermarkMs: number,
  allowedMs: number,
): LiveReason | null {
  switch (verdict) {
    case 'late':
      return {
        code: 'late',
        detail:
          `the event time ${iso(record.timestamp)} is ${seconds(watermarkMs - record.timestamp)} behind ` +
          `the watermark ${iso(watermarkMs)} of its partition; ${seconds(allowedMs)} are allowed`,
      };
    case 'duplicate': {
      const firstMs = buyer === undefined ? undefined : firstTimeOf(buyer, record.messageId);
      return {
        code: 'duplicate',
        detail:
          `message id ${record.messageId} was applied before` +
          (firstMs === undefined ? '' : `, with the event time ${iso(firstMs)}`),
      };
    }
    case 'applied': {
      if (behaviour !== '') return null;
      const name = record.event === undefined ? '' : ` ${JSON.stringify(record.event)}`;
      return {
        code: 'unmapped',
        detail: `no behaviours definition has a rule for ${record.kind}${name}: attributes only`,
      };
    }
    case 'rejected':
    case 'control':
      return null;
    default:
      return verdict satisfies never;
  }
}
