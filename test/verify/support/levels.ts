// What ClickHouse's `windowFunnel` would answer for everybody, by the oracle's own restatement: for worlds without a server.

import { levelOf } from '../../../verify/funnel-levels.ts';
import { funnelSpans, settledBefore } from '../../../verify/in-force.ts';
import type { Scope } from '../../../verify/scope.ts';
import { type Levels, levelName } from '../../../verify/scratch.ts';

export function levelsByBruteForce({ events }: Scope): Levels {
  const levels = new Map<string, number>();
  for (const { walk, people } of events) {
    const beforeMs = settledBefore(walk.history.at(Number.MAX_SAFE_INTEGER), walk.watermarkMs);
    const spans = funnelSpans(walk.history).filter(
      ({ untilOffset }) => untilOffset === Number.POSITIVE_INFINITY,
    );
    for (const { key, seen, settledEarly } of people.people.values()) {
      for (const { id, document, sinceOffset } of spans) {
        const counted = seen.filter(
          ({ offset, timeMs }) =>
            offset > sinceOffset &&
            (document.mode === 'default' || timeMs < beforeMs || settledEarly.has(timeMs)),
        );
        levels.set(levelName(walk.partition, id, key), levelOf(document, counted));
      }
    }
  }
  return levels;
}
