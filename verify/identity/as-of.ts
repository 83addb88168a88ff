// A partition's walk as it stood at one record: what anybody had come to then is what would have come of the log cut there.
import type { EventsTopicRecord } from '../../domain/record.ts';
import type { DefinitionHistory } from '../in-force.ts';
import type { Walk } from '../watermark.ts';

/** The walk up to and with the step at `index`, of which the timers have gone off before the record itself. */
export function walkAsOf(walk: Walk<EventsTopicRecord>, index: number): Walk<EventsTopicRecord> {
  const last = walk.steps[index];
  if (last === undefined) return walk;
  return {
    partition: walk.partition,
    steps: walk.steps,
    gone: index + 1,
    history: historyAsOf(walk.history, last.offset),
    watermarkMs: last.watermarkMs,
    firstReaching: (timeMs, fromIndex) => {
      const step = walk.firstReaching(timeMs, fromIndex);
      return step === undefined || step.index > index ? undefined : step;
    },
  };
}

function historyAsOf(history: DefinitionHistory, lastOffset: number): DefinitionHistory {
  return {
    epochs: history.epochs.filter(({ sinceOffset }) => sinceOffset <= lastOffset),
    at: (offset) => history.at(Math.min(offset, lastOffset)),
    accept: () => {
      throw new Error('what was is not changed');
    },
  };
}
