// The sources' health for Prometheus. The labels are names of write keys, of the largest sources only.
import { Gauge, type Registry } from 'prom-client';
import type { SourceHealth, SourceHealthReport } from '../domain/source-health/report.ts';
import { shapeChangeKinds } from '../domain/source-health/shape.ts';

export interface SourceMetrics {
  /** Null while another process leads. */
  show(report: SourceHealthReport | null): void;
}

export function createSourceMetrics(registry: Registry, nowMs: () => number): SourceMetrics {
  let report: SourceHealthReport | null = null;
  function gauge<Label extends string>(
    name: string,
    help: string,
    labelNames: Label[],
    set: (self: Gauge<Label>, source: SourceHealth) => void,
  ): void {
    new Gauge<Label>({
      name,
      help,
      labelNames,
      registers: [registry],
      collect() {
        this.reset();
        for (const source of report?.sources ?? []) set(this, source);
      },
    });
  }

  gauge<'source'>(
    'flywheel_source_quiet',
    '1 while nothing came by this write key for longer than its own rhythm allows.',
    ['source'],
    (self, { source, quiet }) => self.set({ source }, quiet.status === 'quiet' ? 1 : 0),
  );
  gauge<'source'>(
    'flywheel_source_last_event_age_seconds',
    'Since the latest receipt by this write key.',
    ['source'],
    (self, { source, quiet }) => self.set({ source }, Math.max(0, nowMs() - quiet.lastMs) / 1_000),
  );
  gauge<'source' | 'change'>(
    'flywheel_source_shape_changes',
    'Differences between the newest events of this write key and those of past days.',
    ['source', 'change'],
    (self, { source, changes }) => {
      for (const change of shapeChangeKinds) {
        self.set({ source, change }, changes.filter((one) => one.change === change).length);
      }
    },
  );
  new Gauge({
    name: 'flywheel_sources_evaluated_timestamp_seconds',
    help: 'When the sources were evaluated last, by the process that leads.',
    registers: [registry],
    collect() {
      this.reset();
      if (report !== null) this.set(report.evaluatedMs / 1_000);
    },
  });
  return {
    show(latest) {
      report = latest;
    },
  };
}
