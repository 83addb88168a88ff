// What links brought to a buyer's state, in bytes: written only where there is any.
import type {
  ArrivingHistory,
  Buyer,
  BuyerFunnel,
  BuyerPart,
  SaidTimes,
  VisitorLinks,
} from '../domain/buyer.ts';
import { byCodeInForce } from '../domain/history.ts';
import type { MergeBase } from '../domain/identity-record.ts';
import type { BinaryReader } from './binary.ts';
import {
  ATTRIBUTES,
  opportunityStages,
  readEngagement,
  readExposures,
  readStamps,
  readTime,
  readTotals,
  stages,
  writeEngagement,
  writeExposures,
  writer,
  writeStamps,
  writeTime,
  writeTotals,
} from './buyer-fields-codec.ts';

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
    writeSaid(links.current, base);
  }
  writer.text(links.history);
  writer.unsigned(links.past.length);
  for (const link of links.past) {
    writer.text(link.id);
    writer.text(link.user);
    writer.unsigned(ends.indexOf(link.how));
    writeSaid(link, base);
  }
  writer.unsigned(links.bornOffset);
  writer.unsigned(links.standing);
}

function writeSaid({ saidFromMs, saidToMs }: SaidTimes, base: number): void {
  writeTime(saidFromMs, base);
  writeTime(saidToMs, base);
}

function readSaid(reader: BinaryReader, base: number): SaidTimes {
  return { saidFromMs: readTime(reader, base), saidToMs: readTime(reader, base) };
}

/** Until version 3 nothing said when a link was said. */
const unsaid: SaidTimes = { saidFromMs: 0, saidToMs: 0 };

function readLinks(reader: BinaryReader, base: number, version: number): VisitorLinks | null {
  const kind = reader.unsigned();
  if (kind === 0) return null;
  const said = (): SaidTimes => (version < 4 ? unsaid : readSaid(reader, base));
  const current =
    kind === 1
      ? null
      : {
          id: reader.text(),
          user: reader.text(),
          sinceMs: reader.signed() + base,
          stage: stages[reader.unsigned()] ?? null,
          ...said(),
        };
  const history = reader.text();
  const past = reader.list(() => ({
    id: reader.text(),
    user: reader.text(),
    how: ends[reader.unsigned()]!,
    ...said(),
  }));
  const bornOffset = reader.unsigned();
  const standing = version < 4 ? standingAmong(past, bornOffset) : reader.unsigned();
  return { current, history, past, bornOffset, standing };
}

/** Until version 3 only the list itself says which of them stand. */
function standingAmong(past: VisitorLinks['past'], bornOffset: number): number {
  return past.filter(({ id, how }) => how === 'superseded' && Number(id.split('-')[1]) >= bornOffset).length;
}

function writePart(part: BuyerPart, base: number): void {
  writer.unsigned(part.number);
  writer.text(part.link);
  writer.text(part.visitor);
  writer.signed(part.mergedMs - base);
  writer.unsigned(part.ended ? 1 : 0);
  writeTime(part.firstMs, base);
  writeTime(part.lastMs, base);
  writeStamps(part, base);
  writeEngagement(part.engagement);
  writeTotals(part.totals);
  writeExposures(part.exposures, base);
}

function readPart(reader: BinaryReader, base: number): BuyerPart {
  const number = reader.unsigned();
  const link = reader.text();
  const visitor = reader.text();
  const mergedMs = reader.signed() + base;
  const ended = reader.unsigned() === 1;
  const firstMs = readTime(reader, base);
  const lastMs = readTime(reader, base);
  const [country, industry, channel, level, company] = readStamps(reader, base, ATTRIBUTES);
  return {
    number,
    link,
    visitor,
    mergedMs,
    ended,
    firstMs,
    lastMs,
    country: byCodeInForce(country),
    industry,
    channel,
    level,
    company,
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
    if (coded < 2) continue;
    funnel.early = Array.from({ length: coded >> 1 }, () => {
      const column = reader.unsigned();
      const timeMs = reader.signed() + base;
      return { column, timeMs, cell: reader.text(), nextPart: reader.unsigned() };
    });
  }
}

const LINKS = 1;
const PARTS = 2;
const PASTS = 4;

export function writeIdentity(buyer: Buyer, base: number): void {
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

/** @param version of the buyer's bytes */
export function readIdentity(reader: BinaryReader, buyer: Buyer, base: number, version: number): void {
  const there = reader.unsigned();
  if ((there & PASTS) !== 0) readPasts(reader, buyer.funnels, base);
  if ((there & LINKS) !== 0) buyer.links = readLinks(reader, base, version);
  if ((there & PARTS) === 0) return;
  buyer.nextPart = reader.unsigned();
  buyer.parts = reader.list(() => readPart(reader, base));
  buyer.arriving = reader.list(() => readArriving(reader));
  readShares(reader, buyer);
}
