// One owned partition as it is now: what its owner knows, and what the consumer knows of the log.
import type { Namespace } from '../platform/namespace.ts';
import type { Owner } from './owner.ts';
import type { PartitionFigures } from './partition-metrics.ts';
import type { Source } from './source.ts';

interface FiguresParts {
  readonly namespace: Namespace;
  now(): number;
}

/** What is told of a partition when Prometheus asks. */
export function figuresOf(
  { namespace, now }: FiguresParts,
  source: Pick<Source, 'highOffset' | 'isPaused'>,
  owner: Owner,
): PartitionFigures {
  const { id, head, states, windows, triggers } = owner.work;
  const partition = { topic: namespace.topics[id.topic], partition: id.partition };
  // What the last fetch said is old where none comes any more: nothing is fetched of a partition of which enough waits.
  const high = Math.max(source.highOffset(partition), owner.logEnd);
  const sinceMs = (timeMs: number | undefined): number =>
    timeMs === undefined ? 0 : Math.max(0, now() - timeMs);
  return {
    topic: id.topic,
    partition: id.partition,
    lag: Math.max(0, high - head.offset),
    watermarkMs: head.watermarkMs,
    waitingMs: sinceMs(owner.oldestMs),
    undelivered: owner.undelivered,
    undeliveredMs: sinceMs(owner.undeliveredSinceMs),
    states: states.size,
    windows: windows.size,
    triggers: triggers.size,
    paused: owner.isHeld,
    full: source.isPaused(partition),
  };
}
