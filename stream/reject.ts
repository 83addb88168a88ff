// A record that cannot be taken, written down with its reason, its place and its bytes.
import type { RejectedRecord } from '../domain/record.ts';
import { type RawSubject, subjectOfRaw } from '../domain/reject-subject.ts';
import type { StatefulTopic } from '../platform/keys.ts';
import type { Message } from './decode.ts';

export function rejectedRecordOf(
  topic: StatefulTopic,
  message: Message,
  reason: string,
  detail: string,
): RejectedRecord {
  const bytes = message.value ?? Buffer.alloc(0);
  return {
    kind: 'rejected',
    sourceTopic: topic,
    sourcePartition: message.partition,
    sourceOffset: message.offset,
    sourceId: '',
    route: '',
    source: subjectOfRaw(bytes.toString('utf8')).source,
    reason,
    detail,
    raw: bytes.toString('base64'),
    at: message.appendMs,
  };
}

/** What the bytes of a reject say of themselves. */
export function subjectOfReject({ raw }: RejectedRecord): RawSubject {
  return subjectOfRaw(Buffer.from(raw, 'base64').toString('utf8'));
}
