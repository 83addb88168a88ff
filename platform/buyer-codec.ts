// A buyer's state in bytes: fields in a fixed order, times relative to a base, first byte the schema version.
// The same state gives the same bytes.
import type {
  ArrivingHistory,
  Buyer,
  BuyerFunnel,
  BuyerPart,
  EngagementSums,
  Exposed,
  LifecycleStage,
  OpenOpportunity,
  RememberedBehaviour,
  Stamped,
  VisitorLinks,
} from '../domain/buyer.ts';
import type { MergeBase } from '../domain/record.ts';
import { BinaryReader, BinaryWriter } from './binary.ts';

export const buyerSchemaVersion = 2;

const standard = ['visit', 'search', 'view', 'contact', 'inquiry', 'order', 'fulfil'];
const standardCodes = new Map(standard.map((behaviour, index) => [behaviour, index + 1]));
const stages: readonly (LifecycleStage | null)[] = [null, 'new', 'mature', 'retained', 'churned'];
const opportunityStages = ['contact', 'inquiry', 'order'] as const;

const writer = new BinaryWriter();

/** A standard behaviour is its number + 1; any other is 0 and its name. */
function writeBehaviour(behaviour: string): void {
  const index = standardCodes.get(behaviour) ?? 0;
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

function readFunnels(reader: BinaryReader, base: number): BuyerFunnel[] {
  return reader.list(() => {
    const id = reader.text();
    const revision = reader.unsigned();
    const counted = reader.unsigned();
    let index = 0;
    const settled = reader.list(() => (index++ === 0 ? reader.unsigned() : reader.signed() + base));
    return { id, revision, counted, settled, reached: [], early: [], backfilled: false };
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
      shares: [],
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

// — what links brought: written only where there is any —

function writeTotals(totals: Buyer['totals']): void {
  writer.unsigned(totals.length);
  for (const { behaviour, count } of totals) {
    writeBehaviour(behaviour);
    writer.unsigned(count);
  }
}

function readTotals(reader: BinaryReader): Buyer['totals'] {
  return reader.list(() => ({ behaviour: readBehaviour(reader), count: reader.unsigned() }));
}

function readExposures(reader: BinaryReader, base: number): Exposed[] {
  return reader.list(() => ({
    experiment: reader.text(),
    variant: reader.text(),
    timeMs: reader.signed() + base,
    messageId: reader.text(),
  }));
}

const ends = ['superseded', 'revoked', 'expired'] as const;

function writeLinks(links: VisitorLinks | null, base: number): void {
  writer.unsigned(links === null ? 0 : links.current === null ? 1 : 2);
  if (links === null) return;
  if (links.current !== null) {
    const { id, user, sinceMs, stage } = links.current;
    writer.text(id);
    writer.text(user);
    writer.signed(sinceMs - base);
    writer.unsigned(stages.indexOf(stage));
  }
  writer.text(links.history);
  writer.unsigned(links.past.length);
  for (const { id, user, how } of links.past) {
    writer.text(id);
    writer.text(user);
    writer.unsigned(ends.indexOf(how));
  }
  writer.unsigned(links.bornOffset);
}

function readLinks(reader: BinaryReader, base: number): VisitorLinks | null {
  const kind = reader.unsigned();
  if (kind === 0) return null;
  const current =
    kind === 1
      ? null
      : {
          id: reader.text(),
          user: reader.text(),
          sinceMs: reader.signed() + base,
          stage: stages[reader.unsigned()] ?? null,
        };
  return {
    current,
    history: reader.text(),
    past: reader.list(() => ({ id: reader.text(), user: reader.text(), how: ends[reader.unsigned()]! })),
    bornOffset: reader.unsigned(),
  };
}

function writePart(part: BuyerPart, base: number): void {
  writer.unsigned(part.number);
  writer.text(part.link);
  writer.text(part.visitor);
  writer.signed(part.mergedMs - base);
  writer.unsigned(part.ended ? 1 : 0);
  writeTime(part.firstMs, base);
  writeTime(part.lastMs, base);
  writeStamp(part.country, base);
  writeStamp(part.industry, base);
  writeStamp(part.channel, base);
  writeStamp(part.level, base);
  writeStamp(part.company, base);
  writeEngagement(part.engagement);
  writeTotals(part.totals);
  writeExposures(part.exposures, base);
}

function readPart(reader: BinaryReader, base: number): BuyerPart {
  return {
    number: reader.unsigned(),
    link: reader.text(),
    visitor: reader.text(),
    mergedMs: reader.signed() + base,
    ended: reader.unsigned() === 1,
    firstMs: readTime(reader, base),
    lastMs: readTime(reader, base),
    country: readStamp(reader, base),
    industry: readStamp(reader, base),
    channel: readStamp(reader, base),
    level: readStamp(reader, base),
    company: readStamp(reader, base),
    engagement: readEngagement(reader),
    totals: readTotals(reader),
    exposures: readExposures(reader, base),
  };
}

/** Waits for its last chunk, which comes soon: the base stays as it came. */
function writeArriving({ link, visitor, base, chunks, behaviours }: ArrivingHistory): void {
  writer.text(link);
  writer.text(visitor);
  writer.text(JSON.stringify(base));
  writer.unsigned(chunks);
  writer.text(JSON.stringify(behaviours));
}

function readArriving(reader: BinaryReader): ArrivingHistory {
  return {
    link: reader.text(),
    visitor: reader.text(),
    base: JSON.parse(reader.text()) as MergeBase,
    chunks: reader.unsigned(),
    behaviours: JSON.parse(reader.text()) as ArrivingHistory['behaviours'],
  };
}

/** Which part each behaviour, level and share of an opportunity is of. */
function writeShares(buyer: Buyer): void {
  for (const { part } of buyer.behaviours) writer.unsigned(part);
  for (const { reached } of buyer.funnels) {
    writer.unsigned(reached.length);
    for (const { level, parts } of reached) {
      writer.unsigned(level);
      writer.unsigned(parts.length);
      for (const part of parts) writer.unsigned(part);
    }
  }
  for (const { shares, openedMs } of buyer.opportunities) {
    writer.unsigned(shares.length);
    for (const { part, stage, updatedMs, quality } of shares) {
      writer.unsigned(part);
      writer.unsigned(opportunityStages.indexOf(stage));
      writer.signed(updatedMs - openedMs);
      writer.double(quality);
    }
  }
}

function readShares(reader: BinaryReader, buyer: Buyer): void {
  for (const behaviour of buyer.behaviours) behaviour.part = reader.unsigned();
  for (const funnel of buyer.funnels) {
    funnel.reached = reader.list(() => ({
      level: reader.unsigned(),
      parts: reader.list(() => reader.unsigned()),
    }));
  }
  for (const opportunity of buyer.opportunities) {
    opportunity.shares = reader.list(() => ({
      part: reader.unsigned(),
      stage: opportunityStages[reader.unsigned()]!,
      updatedMs: reader.signed() + opportunity.openedMs,
      quality: reader.double(),
    }));
  }
}

/** Which funnels' pasts are known, and what was counted while they were not. */
function writePasts(funnels: readonly BuyerFunnel[], base: number): void {
  for (const { early, backfilled } of funnels) {
    writer.unsigned(early.length * 2 + (backfilled ? 1 : 0));
    for (const { column, timeMs, cell, nextPart } of early) {
      writer.unsigned(column);
      writer.signed(timeMs - base);
      writer.text(cell);
      writer.unsigned(nextPart);
    }
  }
}

function readPasts(reader: BinaryReader, funnels: readonly BuyerFunnel[], base: number): void {
  for (const funnel of funnels) {
    const coded = reader.unsigned();
    funnel.backfilled = coded % 2 === 1;
    for (let left = coded >> 1; left > 0; left -= 1) {
      const column = reader.unsigned();
      const timeMs = reader.signed() + base;
      funnel.early.push({ column, timeMs, cell: reader.text(), nextPart: reader.unsigned() });
    }
  }
}

const LINKS = 1;
const PARTS = 2;
const PASTS = 4;

function writeIdentity(buyer: Buyer, base: number): void {
  const hasParts = buyer.nextPart > 1 || buyer.arriving.length > 0;
  const hasPasts = buyer.funnels.some(({ early, backfilled }) => backfilled || early.length > 0);
  writer.unsigned((buyer.links === null ? 0 : LINKS) | (hasParts ? PARTS : 0) | (hasPasts ? PASTS : 0));
  if (hasPasts) writePasts(buyer.funnels, base);
  if (buyer.links !== null) writeLinks(buyer.links, base);
  if (!hasParts) return;
  writer.unsigned(buyer.nextPart);
  writer.unsigned(buyer.parts.length);
  for (const part of buyer.parts) writePart(part, base);
  writer.unsigned(buyer.arriving.length);
  for (const arriving of buyer.arriving) writeArriving(arriving);
  writeShares(buyer);
}

function readIdentity(reader: BinaryReader, buyer: Buyer, base: number): void {
  const there = reader.unsigned();
  if ((there & PASTS) !== 0) readPasts(reader, buyer.funnels, base);
  if ((there & LINKS) !== 0) buyer.links = readLinks(reader, base);
  if ((there & PARTS) === 0) return;
  buyer.nextPart = reader.unsigned();
  buyer.parts = reader.list(() => readPart(reader, base));
  buyer.arriving = reader.list(() => readArriving(reader));
  readShares(reader, buyer);
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
  writeStamp(buyer.country, base);
  writeStamp(buyer.industry, base);
  writeStamp(buyer.channel, base);
  writeStamp(buyer.level, base);
  writeStamp(buyer.company, base);
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

/** Reads version 1, of before links, too. @throws StateSchemaError for a blob of a newer schema version. */
export function decodeBuyer(key: string, bytes: Buffer): Buyer {
  const reader = new BinaryReader(bytes);
  const version = reader.unsigned();
  if (version < 1 || version > buyerSchemaVersion)
    throw new StateSchemaError(`buyer ${key}`, version, buyerSchemaVersion);
  const base = reader.unsigned();
  // The fields stand in the order in which they are read here.
  const buyer: Buyer = {
    key,
    firstMs: base,
    lastMs: reader.signed() + base,
    country: readStamp(reader, base),
    industry: readStamp(reader, base),
    channel: readStamp(reader, base),
    level: readStamp(reader, base),
    company: version === 1 ? null : readStamp(reader, base),
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
  if (version > 1) readIdentity(reader, buyer, base);
  return buyer;
}
