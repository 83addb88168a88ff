// One record as the live debugger shows it: what can be said before it is folded, and what it came to.
import type { Buyer } from '../domain/buyer.ts';
import type { LiveEvent } from '../domain/live.ts';
import type { Verdict } from '../domain/record.ts';
import { unsettledFrom } from '../domain/time-floors.ts';
import type { Batch } from './batch.ts';
import type { Decoded, Message } from './decode.ts';
import { changesSince, lookBefore, reasonOf } from './live-look.ts';
import { subjectOfReject } from './reject.ts';
import type { Work } from './work.ts';

export type Shown = Pick<
  LiveEvent,
  'key' | 'person' | 'source' | 'kind' | 'messageId' | 'event' | 'timeMs' | 'receivedMs'
> &
  Pick<LiveEvent, 'origin'>;

/**
 * Whom a record counts for. Links between visitors and users are not looked up here: the key speaks for itself.
 */
function personOf(key: string): string {
  return key;
}

/** What can be said of a record before it is folded; undefined for those that the debugger does not show. */
export function shownOf(decoded: Decoded): Shown | undefined {
  switch (decoded.kind) {
    case 'segment': {
      const { record, key } = decoded;
      const { kind, messageId, event = '', source = '', timestamp: timeMs, receivedAt: receivedMs } = record;
      return { kind, key, person: personOf(key), source, messageId, event, timeMs, receivedMs };
    }
    case 'exposure':
    case 'receipt': {
      const { record, key, kind } = decoded;
      const event = record.kind === 'exposure' ? record.experiment : record.trigger;
      const { messageId, timestamp: timeMs } = record;
      return { kind, key, person: personOf(key), source: '', messageId, event, timeMs, receivedMs: 0 };
    }
    case 'rejected': {
      const { record } = decoded;
      const subject = subjectOfReject(record);
      const { sourceTopic: topic, sourcePartition: partition, sourceOffset: offset, route } = record;
      return {
        ...subject,
        person: personOf(subject.key),
        source: record.source ?? '',
        receivedMs: record.at,
        origin: { topic, partition, offset, request: record.sourceId, route },
      };
    }
    default:
      return undefined;
  }
}

/**
 * What the record came to, once it is folded.
 * @param mayChange false: it is told only if it changed nothing, so nothing is looked at before
 */
export function toldOf(
  shown: Shown,
  work: Work,
  batch: Batch,
  message: Message,
  decoded: Decoded,
  mayChange: boolean,
): (verdict: Verdict, behaviour: string) => LiveEvent {
  const { topic, generation, partition } = work.id;
  const { offset } = message;
  const common = {
    id: `${topic}:${generation}:${partition}:${offset}`,
    topic,
    partition,
    offset,
    ...shown,
    watermarkMs: work.head.watermarkMs,
  };
  if (decoded.kind === 'rejected') {
    const { reason: code, detail } = decoded.record;
    return () => ({ ...common, behaviour: '', verdict: 'rejected', reason: { code, detail }, changes: {} });
  }
  const stateOf = (): Buyer | undefined => work.states.get(shown.key) as Buyer | undefined;
  const before = mayChange ? lookBefore(stateOf(), batch) : undefined;
  return (verdict, behaviour) => {
    const { definitions } = work.inForce;
    const allowedMs = common.watermarkMs - unsettledFrom(definitions, common.watermarkMs);
    const reason =
      decoded.kind === 'segment'
        ? reasonOf(decoded.record, verdict, behaviour, stateOf(), common.watermarkMs, allowedMs)
        : null;
    const touched = before !== undefined && (verdict === 'applied' || verdict === 'control');
    const changes = touched ? changesSince(before, stateOf(), batch, definitions, shown.timeMs) : {};
    return { ...common, behaviour, verdict, reason, changes };
  };
}
