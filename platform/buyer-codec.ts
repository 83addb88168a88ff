// A buyer's state in bytes: fields in a fixed order, times relative to a base, first byte the schema version.
// The same state gives the same bytes.
import type {
  Buyer,
  BuyerFunnel,
  EngagementSums,
  Exposed,
  LifecycleStage,
  OpenOpportunity,
  RememberedBehaviour,
  Stamped,
} from '../domain/buyer.ts';
import { BinaryReader, BinaryWriter } from './binary.ts';

export const buyerSchemaVersion = 1;

const standard = ['visit', 'search', 'view', 'contact', 'inquiry', 'order', 'fulfil'];
const stages: readonly (LifecycleStage | null)[] = [null, 'new', 'mature', 'retained', 'churned'];
const opportunityStages = ['contact', 'inquiry', 'order'] as const;

const writer = new BinaryWriter();

/** A standard behaviour is its number + 1; any other is 0 and its name. */
function writeBehaviour(behaviour: string): void {
  const index = standard.indexOf(behaviour) + 1;
  writer.unsigned(index);
  if (index === 0) writer.text(behaviour);
}

function readBehaviour(reader: BinaryReader): string {
  const index = reader.unsigned();
  return index === 0 ? reader.text() : standard[index - 1]!;
}

function writeStamp(stamped: Stamped | null, base: number): void {
  writer.unsigned(stamped === null ? 0 : 1);
  if (stamped === null) return;
  writer.text(stamped.value);
  writer.signed(stamped.timeMs - base);
  writer.text(stamped.messageId);
}

function readStamp(reader: BinaryReader, base: number): Stamped | null {
  if (reader.unsigned() === 0) return null;
  return { value: reader.text(), timeMs: reader.signed() + base, messageId: reader.text() };
}

/** 0 stands for "never". */
function writeTime(timeMs: number, base: number): void {
  writer.unsigned(timeMs === 0 ? 0 : 1);
  if (timeMs !== 0) writer.signed(timeMs - base);
}

function readTime(reader: BinaryReader, base: number): number {
  return reader.unsigned() === 0 ? 0 : reader.signed() + base;
}

function writeIds(ids: readonly number[], base: number): void {
  writer.unsigned(ids.length / 2);
  for (let index = 0; index < ids.length; index += 2) {
    writer.unsigned(ids[index]!);
    writer.signed(ids[index + 1]! - base);
  }
}

function readIds(reader: BinaryReader, base: number): number[] {
  const ids: number[] = [];
  for (let left = reader.unsigned(); left > 0; left -= 1) ids.push(reader.unsigned(), reader.signed() + base);
  return ids;
}

function writeBehaviours(behaviours: readonly RememberedBehaviour[], base: number): void {
  writer.unsigned(behaviours.length);
  let before = base;
  for (const { timeMs, behaviour, epoch } of behaviours) {
    writer.signed(timeMs - before);
    writeBehaviour(behaviour);
    writer.unsigned(epoch);
    before = timeMs;
  }
}

function readBehaviours(reader: BinaryReader, base: number): RememberedBehaviour[] {
  let before = base;
  return reader.list(() => {
    const timeMs = reader.signed() + before;
    before = timeMs;
    return { timeMs, behaviour: readBehaviour(reader), epoch: reader.unsigned() };
  });
}

/** Progress is a level and then times. */
function writeFunnels(funnels: readonly BuyerFunnel[], base: number): void {
  writer.unsigned(funnels.length);
  for (const { id, revision, counted, settled } of funnels) {
    writer.text(id);
    writer.unsigned(revision);
    writer.unsigned(counted);
    writer.unsigned(settled.length);
    for (let index = 0; index < settled.length; index += 1) {
      if (index === 0) writer.unsigned(settled[0]!);
      else writer.signed(settled[index]! - base);
    }
  }
}

function readFunnels(reader: BinaryReader, base: number): BuyerFunnel[] {
  return reader.list(() => {
    const id = reader.text();
    const revision = reader.unsigned();
    const counted = reader.unsigned();
    let index = 0;
    const settled = reader.list(() => (index++ === 0 ? reader.unsigned() : reader.signed() + base));
    return { id, revision, counted, settled };
  });
}

function writeEngagement(engagement: readonly EngagementSums[]): void {
  writer.unsigned(engagement.length);
  for (const { halfLifeMs, referenceMs, sums } of engagement) {
    writer.unsigned(halfLifeMs);
    writer.unsigned(referenceMs);
    writer.unsigned(sums.length);
    for (const { behaviour, sum } of sums) {
      writeBehaviour(behaviour);
      writer.double(sum);
    }
  }
}

function readEngagement(reader: BinaryReader): EngagementSums[] {
  return reader.list(() => ({
    halfLifeMs: reader.unsigned(),
    referenceMs: reader.unsigned(),
    sums: reader.list(() => ({ behaviour: readBehaviour(reader), sum: reader.double() })),
  }));
}

function writeOpportunities(opportunities: readonly OpenOpportunity[], base: number): void {
  writer.unsigned(opportunities.length);
  for (const { id, subject, stage, openedMs, updatedMs, quality, qualified } of opportunities) {
    writer.text(id);
    writer.text(subject);
    writer.unsigned(opportunityStages.indexOf(stage) * 2 + (qualified ? 1 : 0));
    writer.signed(openedMs - base);
    writer.signed(updatedMs - openedMs);
    writer.double(quality);
  }
}

function readOpportunities(reader: BinaryReader, base: number): OpenOpportunity[] {
  return reader.list(() => {
    const id = reader.text();
    const subject = reader.text();
    const coded = reader.unsigned();
    const openedMs = reader.signed() + base;
    const updatedMs = reader.signed() + openedMs;
    const quality = reader.double();
    return {
      id,
      subject,
      stage: opportunityStages[coded >> 1]!,
      openedMs,
      updatedMs,
      quality,
      qualified: coded % 2 === 1,
    };
  });
}

function writeExposures(exposures: readonly Exposed[], base: number): void {
  writer.unsigned(exposures.length);
  for (const { experiment, variant, timeMs, messageId } of exposures) {
    writer.text(experiment);
    writer.text(variant);
    writer.signed(timeMs - base);
    writer.text(messageId);
  }
}

/** Canonical bytes of a buyer's state. The key is not in it: it is the Redis key. */
export function encodeBuyer(buyer: Buyer): Buffer {
  const base = buyer.firstMs;
  writer.unsigned(buyerSchemaVersion);
  writer.unsigned(base);
  writer.signed(buyer.lastMs - base);
  writeStamp(buyer.country, base);
  writeStamp(buyer.industry, base);
  writeStamp(buyer.channel, base);
  writeStamp(buyer.level, base);
  writeIds(buyer.ids, base);
  writeBehaviours(buyer.behaviours, base);
  writer.unsigned(buyer.settledCount);
  writeFunnels(buyer.funnels, base);
  writeEngagement(buyer.engagement);
  writer.unsigned(buyer.totals.length);
  for (const { behaviour, count } of buyer.totals) {
    writeBehaviour(behaviour);
    writer.unsigned(count);
  }
  writer.unsigned(buyer.visitDays.length);
  for (const day of buyer.visitDays) writer.signed(day);
  writer.unsigned(stages.indexOf(buyer.stage));
  writeTime(buyer.stageSinceMs, base);
  writeTime(buyer.maturedMs, base);
  writeOpportunities(buyer.opportunities, base);
  writeExposures(buyer.exposures, base);
  writeTime(buyer.timerMs, base);
  writer.unsigned(buyer.overflow ? 1 : 0);
  return writer.take();
}

/** A blob of another version than this process knows. */
export class StateSchemaError extends Error {
  readonly code = 'STATE_SCHEMA';
  constructor(what: string, version: unknown, known: number) {
    super(
      `the stored ${what} has schema version ${version}, this process knows ${known}: start a newer flywheel`,
    );
  }
}

/** @throws StateSchemaError for a blob of another schema version. */
export function decodeBuyer(key: string, bytes: Buffer): Buyer {
  const reader = new BinaryReader(bytes);
  const version = reader.unsigned();
  if (version !== buyerSchemaVersion) throw new StateSchemaError(`buyer ${key}`, version, buyerSchemaVersion);
  const base = reader.unsigned();
  // The fields stand in the order in which they are read here.
  return {
    key,
    firstMs: base,
    lastMs: reader.signed() + base,
    country: readStamp(reader, base),
    industry: readStamp(reader, base),
    channel: readStamp(reader, base),
    level: readStamp(reader, base),
    ids: readIds(reader, base),
    behaviours: readBehaviours(reader, base),
    settledCount: reader.unsigned(),
    funnels: readFunnels(reader, base),
    engagement: readEngagement(reader),
    totals: reader.list(() => ({ behaviour: readBehaviour(reader), count: reader.unsigned() })),
    visitDays: reader.list(() => reader.signed()),
    stage: stages[reader.unsigned()] ?? null,
    stageSinceMs: readTime(reader, base),
    maturedMs: readTime(reader, base),
    opportunities: readOpportunities(reader, base),
    exposures: reader.list(() => ({
      experiment: reader.text(),
      variant: reader.text(),
      timeMs: reader.signed() + base,
      messageId: reader.text(),
    })),
    timerMs: readTime(reader, base),
    overflow: reader.unsigned() === 1,
  };
}
