// The fields that a buyer's own state and its parts by links have in common, in bytes.
import type {
  Buyer,
  BuyerHistory,
  EngagementSums,
  Exposed,
  LifecycleStage,
  Stamped,
} from '../domain/buyer.ts';
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
  return index === 0 ? reader.name() : standard[index - 1]!;
}

/** In the order in which they are stored. */
const attributes = ['country', 'industry', 'channel', 'level', 'company'] as const;
export const ATTRIBUTES = attributes.length;
/** What stands in front of each: that there is none, that its time and message follow, or, from here on, whose it shares. */
const NOTHING = 0;
const OWN_MESSAGE = 1;
const MESSAGE_OF = 2;

export type Stamps = Pick<BuyerHistory, (typeof attributes)[number]>;

/** The first attribute before this one that the same message brought; -1 if there is none. */
function sharedWith(stamps: Stamps, index: number, { timeMs, messageId }: Stamped): number {
  for (let earlier = 0; earlier < index; earlier += 1) {
    const stamped = stamps[attributes[earlier]!];
    if (stamped !== null && stamped.timeMs === timeMs && stamped.messageId === messageId) return earlier;
  }
  return -1;
}

/** One message often brings several: its time and id are written once. */
export function writeStamps(stamps: Stamps, base: number): void {
  for (let index = 0; index < attributes.length; index += 1) {
    const stamped = stamps[attributes[index]!];
    if (stamped === null) {
      writer.unsigned(NOTHING);
      continue;
    }
    const shared = sharedWith(stamps, index, stamped);
    writer.unsigned(shared === -1 ? OWN_MESSAGE : MESSAGE_OF + shared);
    writer.text(stamped.value);
    if (shared !== -1) continue;
    writer.signed(stamped.timeMs - base);
    writer.text(stamped.messageId);
  }
}

function readStamp(reader: BinaryReader, base: number, before: StampsRead): Stamped | null {
  const coded = reader.unsigned();
  if (coded === NOTHING) return null;
  const value = reader.name();
  if (coded === OWN_MESSAGE) return { value, timeMs: reader.signed() + base, messageId: reader.text() };
  const { timeMs, messageId } = before[coded - MESSAGE_OF]!;
  return { value, timeMs, messageId };
}

type One = Stamped | null;
type StampsRead = readonly [country: One, industry: One, channel: One, level: One, company: One];
const stampsRead: [One, One, One, One, One] = [null, null, null, null, null];

/** @param count how many attributes a state of its version has. @returns them in their order, good until the next are read */
export function readStamps(reader: BinaryReader, base: number, count: number): StampsRead {
  for (let index = 0; index < count; index += 1) stampsRead[index] = readStamp(reader, base, stampsRead);
  stampsRead.fill(null, count);
  return stampsRead;
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
    experiment: reader.name(),
    variant: reader.name(),
    timeMs: reader.signed() + base,
    messageId: reader.text(),
  }));
}
