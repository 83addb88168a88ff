// A record that cannot be taken, written down with its reason, its place and its bytes.
import type { RejectedRecord } from '../domain/record.ts';
import type { StatefulTopic } from '../platform/keys.ts';
import type { Message } from './decode.ts';

export function rejectedRecordOf(
  topic: StatefulTopic,
  message: Message,
  reason: string,
  detail: string,
): RejectedRecord {
  return {
    kind: 'rejected',
    sourceTopic: topic,
    sourcePartition: message.partition,
    sourceOffset: message.offset,
    sourceId: '',
    route: '',
    reason,
    detail,
    raw: (message.value ?? Buffer.alloc(0)).toString('base64'),
    at: message.appendMs,
  };
}
