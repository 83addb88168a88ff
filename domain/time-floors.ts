// What was forgotten, closed or settled stays so. A partition's watermark only rises, and with it the times before which nothing
// is remembered or open; settings that ask for a longer memory hold from then on, and bring back nothing that is gone.
import type { Settings } from './definition.ts';

/** Event times, epoch ms: before each of them, earlier settings have let go. 0 where they have not. */
export interface TimeFloors {
  /** Records before it are late: funnels have settled, days of visits are forgotten. */
  readonly lateMs: number;
  /** Ids of messages before it are forgotten. */
  readonly idMs: number;
  /** Minutes, hours and days that ended by then are closed. */
  readonly minuteMs: number;
  readonly hourMs: number;
  readonly dayMs: number;
}

export const noFloors: TimeFloors = { lateMs: 0, idMs: 0, minuteMs: 0, hourMs: 0, dayMs: 0 };

/** Where the settings come to at a watermark, at which they are replaced by others. */
export function floorsAt(before: TimeFloors, settings: Settings, watermarkMs: number): TimeFloors {
  const { latenessMs, idMemoryMs, minuteRetentionMs, hourRetentionMs, dayRetentionMs } = settings;
  const lateMs = watermarkMs - latenessMs;
  return {
    lateMs: Math.max(before.lateMs, lateMs),
    idMs: Math.max(before.idMs, watermarkMs - idMemoryMs),
    minuteMs: Math.max(before.minuteMs, lateMs - minuteRetentionMs),
    hourMs: Math.max(before.hourMs, lateMs - hourRetentionMs),
    dayMs: Math.max(before.dayMs, lateMs - dayRetentionMs),
  };
}

/** What the times of a partition are judged by. */
export interface Judging {
  readonly settings: Settings;
  readonly floors: TimeFloors;
}

/** The event time, epoch ms, from which records are in time and funnels unsettled: what comes of before it is late. */
export function unsettledFrom({ settings, floors }: Judging, watermarkMs: number): number {
  return Math.max(watermarkMs - settings.latenessMs, floors.lateMs);
}

/** The event time, epoch ms, from which the ids of messages are remembered. */
export function rememberedFrom({ settings, floors }: Judging, watermarkMs: number): number {
  return Math.max(watermarkMs - settings.idMemoryMs, floors.idMs);
}
