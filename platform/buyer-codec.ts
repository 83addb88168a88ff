// A buyer's state in bytes: fields in a fixed order, times relative to a base, first byte the schema version.
// The same state gives the same bytes.
import {
  type Buyer,
  type BuyerFunnel,
  newFunnel,
  type OpenOpportunity,
  type RememberedBehaviour,
} from '../domain/buyer.ts';
import { decidedAt, type FunnelProgress, NOTHING_YET } from '../domain/funnel.ts';
import { byCodeInForce } from '../domain/history.ts';
import { BinaryReader } from './binary.ts';
import {
  ATTRIBUTES,
  opportunityStages,
  readBehaviour,
  readEngagement,
  readExposures,
  readStamps,
  readTime,
  readTotals,
  stages,
  writeBehaviour,
  writeEngagement,
  writeExposures,
  writer,
  writeStamps,
  writeTime,
  writeTotals,
} from './buyer-fields-codec.ts';
import { readIdentity, writeIdentity } from './buyer-identity-codec.ts';

export const buyerSchemaVersion = 4;

function writeIds(ids: readonly number[], base: number): void {
  writer.unsigned(ids.length / 2);
  for (let index = 0; index < ids.length; index += 2) {
    writer.unsigned(ids[index]!);
    writer.signed(ids[index + 1]! - base);
  }
}

function readIds(reader: BinaryReader, base: number): number[] {
  const isHash = (index: number): boolean => index % 2 === 0;
  return reader.numbers(2 * reader.unsigned(), (index) =>
    isHash(index) ? reader.unsigned() : reader.signed() + base,
  );
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
    return { timeMs, behaviour: readBehaviour(reader), epoch: reader.unsigned(), part: 0 };
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

function readProgress(reader: BinaryReader, base: number): FunnelProgress {
  const count = reader.unsigned();
  if (count === 0) return NOTHING_YET;
  if (count === 1) return decidedAt(reader.unsigned());
  return reader.numbers(count, (index) => (index === 0 ? reader.unsigned() : reader.signed() + base));
}

function readFunnels(reader: BinaryReader, base: number): BuyerFunnel[] {
  return reader.list(() => {
    const id = reader.name();
    const revision = reader.unsigned();
    const counted = reader.unsigned();
    return newFunnel(id, revision, counted, readProgress(reader, base));
  });
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
      shares: [],
    };
  });
}

/** Canonical bytes of a buyer's state. The key is not in it: it is the Redis key. */
export function encodeBuyer(buyer: Buyer): Buffer {
  return Buffer.from(viewBuyer(buyer));
}

/** As `encodeBuyer`, in a buffer that is used again: good until the next call. */
export function viewBuyer(buyer: Buyer): Buffer {
  const base = buyer.firstMs;
  writer.unsigned(buyerSchemaVersion);
  writer.unsigned(base);
  writer.signed(buyer.lastMs - base);
  writeStamps(buyer, base);
  writeIds(buyer.ids, base);
  writeBehaviours(buyer.behaviours, base);
  writer.unsigned(buyer.settledCount);
  writeFunnels(buyer.funnels, base);
  writeEngagement(buyer.engagement);
  writeTotals(buyer.totals);
  writer.unsigned(buyer.visitDays.length);
  for (const day of buyer.visitDays) writer.signed(day);
  writer.unsigned(stages.indexOf(buyer.stage));
  writeTime(buyer.stageSinceMs, base);
  writeTime(buyer.maturedMs, base);
  writeOpportunities(buyer.opportunities, base);
  writeExposures(buyer.exposures, base);
  writeTime(buyer.timerMs, base);
  writer.unsigned(buyer.overflow ? 1 : 0);
  writeIdentity(buyer, base);
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

/** Reads version 1, of before links, 2, in which no attributes share a message, and 3, in which links say not when they were said, too. @throws StateSchemaError for a blob of a newer schema version. */
export function decodeBuyer(key: string, bytes: Buffer): Buyer {
  const reader = new BinaryReader(bytes);
  const version = reader.unsigned();
  if (version < 1 || version > buyerSchemaVersion)
    throw new StateSchemaError(`buyer ${key}`, version, buyerSchemaVersion);
  const base = reader.unsigned();
  const lastMs = reader.signed() + base;
  const [country, industry, channel, level, company] = readStamps(
    reader,
    base,
    version === 1 ? 4 : ATTRIBUTES,
  );
  // The fields stand in the order in which they are read here.
  const buyer: Buyer = {
    key,
    firstMs: base,
    lastMs,
    country: byCodeInForce(country),
    industry,
    channel,
    level,
    company,
    ids: readIds(reader, base),
    behaviours: readBehaviours(reader, base),
    settledCount: reader.unsigned(),
    funnels: readFunnels(reader, base),
    engagement: readEngagement(reader),
    totals: readTotals(reader),
    visitDays: reader.list(() => reader.signed()),
    stage: stages[reader.unsigned()] ?? null,
    stageSinceMs: readTime(reader, base),
    maturedMs: readTime(reader, base),
    opportunities: readOpportunities(reader, base),
    exposures: readExposures(reader, base),
    timerMs: readTime(reader, base),
    overflow: reader.unsigned() === 1,
    links: null,
    parts: [],
    nextPart: 1,
    arriving: [],
  };
  if (version > 1) readIdentity(reader, buyer, base, version);
  return buyer;
}
