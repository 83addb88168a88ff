// The fields that a buyer's own state and its parts by links have in common, in bytes.
import type { Buyer, EngagementSums, Exposed, LifecycleStage, Stamped } from '../domain/buyer.ts';
import { type BinaryReader, BinaryWriter } from './binary.ts';

const standard = ['visit', 'search', 'view', 'contact', 'inquiry', 'order', 'fulfil'];
const standardCodes = new Map(standard.map((behaviour, index) => [behaviour, index + 1]));
export const stages: readonly (LifecycleStage | null)[] = [null, 'new', 'mature', 'retained', 'churned'];
export const opportunityStages = ['contact', 'inquiry', 'order'] as const;

/** One for all: a state is encoded in one go, and what comes of it is taken before the next one begins. */
export const writer = new BinaryWriter();

/** A standard behaviour is its number + 1; any other is 0 and its name. */
export function writeBehaviour(behaviour: string): void {
  const index = standardCodes.get(behaviour) ?? 0;
  writer.unsigned(index);
  if (index === 0) writer.text(behaviour);
}

export function readBehaviour(reader: BinaryReader): string {
  const index = reader.unsigned();
  return index === 0 ? reader.text() : standard[index - 1]!;
}

export function writeStamp(stamped: Stamped | null, base: number): void {
  writer.unsigned(stamped === null ? 0 : 1);
  if (stamped === null) return;
  writer.text(stamped.value);
  writer.signed(stamped.timeMs - base);
  writer.text(stamped.messageId);
}

export function readStamp(reader: BinaryReader, base: number): Stamped | null {
  if (reader.unsigned() === 0) return null;
  return { value: reader.text(), timeMs: reader.signed() + base, messageId: reader.text() };
}

/** 0 stands for "never". */
export function writeTime(timeMs: number, base: number): void {
  writer.unsigned(timeMs === 0 ? 0 : 1);
  if (timeMs !== 0) writer.signed(timeMs - base);
}

export function readTime(reader: BinaryReader, base: number): number {
  return reader.unsigned() === 0 ? 0 : reader.signed() + base;
}

export function writeEngagement(engagement: readonly EngagementSums[]): void {
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

export function readEngagement(reader: BinaryReader): EngagementSums[] {
  return reader.list(() => ({
    halfLifeMs: reader.unsigned(),
    referenceMs: reader.unsigned(),
    sums: reader.list(() => ({ behaviour: readBehaviour(reader), sum: reader.double() })),
  }));
}

export function writeTotals(totals: Buyer['totals']): void {
  writer.unsigned(totals.length);
  for (const { behaviour, count } of totals) {
    writeBehaviour(behaviour);
    writer.unsigned(count);
  }
}

export function readTotals(reader: BinaryReader): Buyer['totals'] {
  return reader.list(() => ({ behaviour: readBehaviour(reader), count: reader.unsigned() }));
}

export function writeExposures(exposures: readonly Exposed[], base: number): void {
  writer.unsigned(exposures.length);
  for (const { experiment, variant, timeMs, messageId } of exposures) {
    writer.text(experiment);
    writer.text(variant);
    writer.signed(timeMs - base);
    writer.text(messageId);
  }
}

export function readExposures(reader: BinaryReader, base: number): Exposed[] {
  return reader.list(() => ({
    experiment: reader.text(),
    variant: reader.text(),
    timeMs: reader.signed() + base,
    messageId: reader.text(),
  }));
}
