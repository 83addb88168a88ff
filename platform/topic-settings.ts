// The settings that the topics of a namespace need, and what is wrong with those of topics that somebody else made beforehand.
import type { Namespace } from './namespace.ts';
import { topicPartitions } from './namespace.ts';

type TopicName = keyof Namespace['topics'];
export type TopicSettings = Readonly<Record<string, string>>;

/**
 * Of what one write brings; packed, it may be more. A reject carries up to a whole refused body (5 MiB at collect) as base64, and
 * its reason.
 */
export const messageBytesMax: Record<TopicName, number> = {
  events: 1_048_576,
  spend: 1_048_576,
  definitions: 1_048_576,
  rejected: 8_388_608,
  triggers: 1_048_576,
  deliveries: 1_048_576,
};

export function topicSettings(name: TopicName): TopicSettings {
  return {
    'message.timestamp.type': 'LogAppendTime',
    'max.message.bytes': String(messageBytesMax[name]),
    // Each record of a delivery is its whole state; the week before compaction keeps every intent for the oracle.
    ...(name === 'deliveries'
      ? { 'cleanup.policy': 'compact', 'min.compaction.lag.ms': '604800000' }
      : { 'cleanup.policy': 'delete' }),
    // The log is what everything is replayed from: how long it is kept is a decision of operations, not of age.
    'retention.ms': '-1',
    'retention.bytes': '-1',
  };
}

/** More of these does no harm. */
const AT_LEAST: readonly string[] = ['max.message.bytes', 'min.compaction.lag.ms'];

const WHY: Readonly<Record<string, string>> = {
  'message.timestamp.type': "what is judged by the time of append would rest on its senders' clocks",
  'max.message.bytes': 'larger records are refused',
  'cleanup.policy': 'it keeps another part of its records than it has to',
  'min.compaction.lag.ms': '`flywheel verify` misses intents that are compacted before',
  'retention.ms': 'what is older is gone, and no state can be made anew from it',
  'retention.bytes': 'what is beyond is gone, and no state can be made anew from it',
};

export interface TopicFault {
  readonly said: string;
  /** Nothing right comes of it: it can not be used as it is. Else an operator may have wanted it. */
  readonly isFatal: boolean;
}

/** @param actual null: the settings are not known, only the count is looked at */
export function topicFaults(
  name: TopicName,
  topic: string,
  partitions: number,
  actual: TopicSettings | null,
): TopicFault[] {
  const faults: TopicFault[] = [];
  const count = topicPartitions[name];
  if (partitions !== count) {
    const said = `${topic} has ${partitions} partitions and must have ${count}: delete it if it is empty, then migrate makes it; or choose another namespace`;
    // More of them than are written to stay empty.
    faults.push({ said, isFatal: partitions < count || name !== 'triggers' });
  }
  for (const [setting, wanted] of Object.entries(actual === null ? {} : topicSettings(name))) {
    const given = actual?.[setting];
    // A broker of another kind may not know the setting.
    if (given === undefined || given === wanted) continue;
    if (AT_LEAST.includes(setting) && Number(given) >= Number(wanted)) continue;
    // What is compacted is not deleted by age.
    if (setting.startsWith('retention') && actual?.['cleanup.policy'] === 'compact') continue;
    const command = `kafka-configs.sh --alter --topic ${topic} --add-config ${setting}=${wanted}`;
    faults.push({
      said: `${topic} has ${setting} ${given}, not ${wanted}: ${WHY[setting]} (${command})`,
      isFatal: setting === 'message.timestamp.type',
    });
  }
  return faults;
}
