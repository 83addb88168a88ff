// The feeder's own clock: one record into every partition, so that a replay ends at a time and not at its last event.
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import type { ClockRecord } from '../domain/record.ts';
import type { Outgoing } from '../platform/kafka.ts';
import { topicPartitions } from '../platform/namespace.ts';
import type { Dependencies } from './dependencies.ts';
import type { Intake } from './intake.ts';
import { problemError } from './problem-details.ts';
import { requestSchema, responses } from './schema.ts';
import { FUTURE_MS_MAX, parseTime, timeFault } from './time.ts';

const clockBody = z.object({
  time: z.union([z.string(), z.number()]).describe('ISO 8601 or epoch milliseconds'),
});
const clockAnswer = z.object({ success: z.literal(true), partitions: z.int() });

type Dependency = Pick<Dependencies, 'namespace' | 'clock'> & { readonly intake: Intake };

/** Register where a secret key is required. */
export async function registerClock(app: FastifyInstance, dependency: Dependency): Promise<void> {
  const { intake, clock, namespace } = dependency;
  const schema = {
    tags: ['operate'],
    summary: 'Bring the watermark of every partition up to a time (replays)',
    body: requestSchema(clockBody),
    response: responses({ 200: clockAnswer }),
  };
  app.post('/v1/clock', { schema }, async (request) => {
    const { time } = request.body as z.infer<typeof clockBody>;
    const timeMs = parseTime(time);
    const wrong = timeFault('time', time, timeMs, clock.nowMs() + FUTURE_MS_MAX);
    if (wrong !== undefined)
      throw problemError({ status: 400, code: wrong.reason, detail: `Not taken: ${wrong.detail}.` });
    const record: ClockRecord = { kind: 'clock', time: timeMs, supplied: true };
    const value = JSON.stringify(record);
    const records: Outgoing[] = (['events', 'spend'] as const).flatMap((name) =>
      Array.from({ length: topicPartitions[name] }, (_none, partition) => ({
        topic: namespace.topics[name],
        partition,
        key: null,
        value,
      })),
    );
    await intake.write(records, value.length * records.length);
    return { success: true, partitions: records.length };
  });
}
