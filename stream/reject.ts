// A record that cannot be taken, written down with its reason, its place and its bytes.
import type { RejectedRecord } from '../domain/record.ts';
import { type RawSubject, subjectOfRaw } from '../domain/reject-subject.ts';
import { firstOf } from '../domain/text.ts';
import type { StatefulTopic } from '../platform/keys.ts';
import type { Message } from './decode.ts';

/** As base64 that is what a reject may have beside its reason. What stands in the log can be larger: its writer may have packed it. */
const RAW_BYTES_MAX = 5 * 1024 * 1024;
const DETAIL_CHARACTERS_MAX = 2_048;

/** As many of the bytes as are kept, and the detail, which says so if they are not all. */
export function rawOf(bytes: Buffer, detail: string): Pick<RejectedRecord, 'raw' | 'detail'> {
  if (bytes.length <= RAW_BYTES_MAX) return { raw: bytes.toString('base64'), detail };
  const cut = `(kept: the first ${RAW_BYTES_MAX} of ${bytes.length} bytes)`;
  return {
    raw: bytes.subarray(0, RAW_BYTES_MAX).toString('base64'),
    detail: firstOf(`${cut} ${detail}`, DETAIL_CHARACTERS_MAX),
  };
}

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
    ...rawOf(bytes, detail),
    at: message.appendMs,
  };
}

/** What the bytes of a reject say of themselves. */
export function subjectOfReject({ raw }: RejectedRecord): RawSubject {
  return subjectOfRaw(Buffer.from(raw, 'base64').toString('utf8'));
}
