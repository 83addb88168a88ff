// What is said of all sources' health at one moment.
import type { Quiet } from './quiet.ts';
import type { ShapeChange } from './shape.ts';

export interface SourceHealth {
  readonly source: string;
  readonly quiet: Quiet;
  /** The gravest, at most `CHANGES_TOLD_MAX`. */
  readonly changes: readonly ShapeChange[];
  /** How many there are. */
  readonly changesCount: number;
}

export interface SourceHealthReport {
  readonly evaluatedMs: number;
  readonly sources: readonly SourceHealth[];
}

export const CHANGES_TOLD_MAX = 50;

export interface SourceAlert {
  readonly alert: 'quiet' | ShapeChange['change'];
  /** `info`: something new, which may well be wanted. */
  readonly severity: 'warning' | 'info';
  readonly kind: string;
  readonly event: string;
  readonly path: string;
  readonly detail: string;
}

function duration(ms: number): string {
  const minutes = Math.round(ms / 60_000);
  return minutes < 120 ? `${minutes} min` : `${(minutes / 60).toFixed(1)} h`;
}

/** What somebody should look at, the grave ones first. */
export function alertsOf({ quiet, changes }: SourceHealth): SourceAlert[] {
  const alerts: SourceAlert[] = changes.map(({ change, kind, event, path, detail }) => {
    const isNew = change === 'property_new' || change === 'event_new';
    return { alert: change, severity: isNew ? 'info' : 'warning', kind, event, path, detail };
  });
  if (quiet.status !== 'quiet') return alerts;
  const detail =
    `nothing for ${duration(quiet.silentMs)}: ${quiet.missedMinutes.toFixed(1)} minutes with events were to be ` +
    `expected in that time, its rhythm allows for ${quiet.allowedMinutes.toFixed(1)}`;
  return [{ alert: 'quiet', severity: 'warning', kind: '', event: '', path: '', detail }, ...alerts];
}
