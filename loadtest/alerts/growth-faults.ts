// Faults of what a team lives with: receivers that do not take their triggers, experiments, pasts of funnels, sources.
import { Admin } from '@platformatic/kafka';
import { insertCompact } from '../../platform/clickhouse.ts';
import { columns } from '../../stream/rows.ts';
import { define, type Fault, many, nothing, PER_TICK, post, run, signal, type Victim } from './victim.ts';

const MINUTE_MS = 60_000;
/** Nothing listens there: the discard service. */
const NOBODY = 'http://127.0.0.1:9/hooks';
const PAIRS_PER_TICK = 5;
const HISTORY_DAYS = 15;
const HISTORY_STEP_MINUTES = 10;
const QUIET_MINUTES = 180;
const CHANGED_EVENTS = 2_000;

/** Asks for the variant of the shipped experiment. */
export async function evaluate(victim: Victim, context: Record<string, string>): Promise<void> {
  await post(victim, '/ofrep/v1/evaluate/flags/inquiry-form', { context });
}

/** Each opens an opportunity of a buyer who had none. */
async function inquire(victim: Victim, tick: number, prefix: string): Promise<void> {
  const inquiry = { type: 'track', event: 'Inquiry Sent', properties: { category: 'pumps' } };
  await post(
    victim,
    '/v1/batch',
    many((index) => ({ ...inquiry, userId: `${prefix}-${tick}-${index}` })),
  );
}

async function defineReceivers(victim: Victim): Promise<void> {
  await run(victim, 'deliveries', ['secret', 'nobody']);
  await define(victim, 'trigger/opened', () => ({ name: 'Opened', on: 'opportunity', to: ['opened'] }));
  const receiver = { url: NOBODY, triggers: ['opened'], secret: 'nobody', timeoutMs: 1_000 };
  await define(victim, 'receiver/patient', () => ({ ...receiver, name: 'p', retryAfterMs: [600_000] }));
  await define(victim, 'receiver/hasty', () => ({ ...receiver, name: 'h', retryAfterMs: [100] }));
}

/** Two weeks of two sources: one fell silent, the other sends something else in its last minutes. */
async function insertHistory({ clickhouse }: Victim): Promise<void> {
  const nowMs = Date.now();
  const rows: unknown[][] = [];
  const add = (source: string, receivedMs: number, properties: Record<string, unknown>): void => {
    const record = JSON.stringify({ kind: 'track', properties });
    const named: Record<string, unknown> = {
      ...{
        key: `u:${source}`,
        time: receivedMs,
        generation: 1,
        partition: 0,
        offset: 1_000_000 + rows.length,
      },
      ...{ kind: 'track', event: 'Viewed', verdict: 'applied', source, record },
      ...{ received_at: receivedMs, appended_at: receivedMs },
    };
    rows.push(columns.events.map((column) => named[column] ?? ''));
  };
  for (let ago = HISTORY_DAYS * 1_440; ago > 0; ago -= HISTORY_STEP_MINUTES) {
    if (ago > QUIET_MINUTES) add('silent', nowMs - ago * MINUTE_MS, { sku: 'a' });
    add('changed', nowMs - ago * MINUTE_MS, { sku: 'a' });
  }
  for (let index = 0; index < CHANGED_EVENTS; index += 1) add('changed', nowMs - index, { article: 7 });
  await insertCompact(clickhouse, 'events', columns.events, rows);
}

/** So that the leader has a place in that partition; what stands there is no trigger, and is passed by. */
const CUT_PARTITION = 1;
const CUT_AT_TICK = 5;

async function writeTriggers({ producer, namespace }: Victim): Promise<void> {
  const message = { topic: namespace.topics.triggers, partition: CUT_PARTITION, key: null, value: 'cut' };
  await producer.sendBatch(Array.from({ length: PER_TICK }, () => message));
}

/** Deletes all that is in the partition, while the leader stands still; then another one begins. */
async function cutTriggers(victim: Victim): Promise<void> {
  const topic = victim.namespace.topics.triggers;
  signal(victim, 'jobs', 'SIGSTOP');
  await writeTriggers(victim);
  const admin = new Admin({ clientId: 'alerts', bootstrapBrokers: [victim.config.kafkaBrokers] });
  // Up to the end.
  const cut = { partition: CUT_PARTITION, offset: -1n };
  await admin.deleteRecords({ topics: [{ name: topic, partitions: [cut] }] });
  await admin.close();
  signal(victim, 'jobs', 'SIGKILL');
}

export const growthFaults: readonly Fault[] = [
  {
    name: 'receivers do not take their triggers',
    alerts: ['FlywheelDeliveriesDead', 'FlywheelDeliveriesOld'],
    async cause(victim, tick) {
      if (tick === 0) await defineReceivers(victim);
      await inquire(victim, tick, 'unheard');
    },
    mend: nothing,
  },
  {
    name: 'the topic triggers is cut above what the jobs have taken',
    alerts: ['FlywheelTriggersLost'],
    async cause(victim, tick) {
      if (tick === 0) await writeTriggers(victim);
      if (tick === CUT_AT_TICK) await cutTriggers(victim);
    },
    mend: nothing,
  },
  {
    name: 'triggers are kept for a second only, and nobody pulls them',
    alerts: ['FlywheelTriggersExpire'],
    async cause(victim, tick) {
      if (tick === 0)
        await define(victim, 'settings/default', (before) => ({ ...before, triggerTtlMs: 1_000 }));
      await inquire(victim, tick, 'expired');
    },
    mend: (victim) =>
      define(victim, 'settings/default', (before) => ({ ...before, triggerTtlMs: 604_800_000 })),
  },
  {
    name: 'a site names its buyers by other keys from one page to the next',
    alerts: ['FlywheelCrossoversMany'],
    async cause(victim, tick) {
      for (let pair = 0; pair < PAIRS_PER_TICK; pair += 1) {
        const userId = `seen-${tick}-${pair}`;
        await evaluate(victim, { targetingKey: userId });
        await evaluate(victim, { targetingKey: `a:device-${tick}-${pair}` });
        const before = tick - 3;
        await evaluate(victim, {
          ...{ targetingKey: `seen-${before}-${pair}`, anonymousId: `device-${before}-${pair}` },
        });
      }
    },
    mend: nothing,
  },
  {
    name: 'sources fall silent, and send something else',
    alerts: ['FlywheelSourceQuiet', 'FlywheelSourceShapeChanged', 'FlywheelSourceSendsNew'],
    async cause(victim, tick) {
      if (tick === 0) await insertHistory(victim);
    },
    mend: nothing,
  },
  {
    name: 'the table of events was renamed, and a funnel is defined',
    alerts: ['FlywheelBackfillFailed'],
    async cause(victim, tick) {
      if (tick > 0) return;
      await define(victim, 'funnel/forgotten', () => ({
        ...{ name: 'Forgotten', steps: ['visit', 'inquiry'], windowMs: 86_400_000 },
      }));
      await victim.clickhouse.command({ query: 'RENAME TABLE events TO events_elsewhere' });
    },
    mend: async ({ clickhouse }) => {
      await clickhouse.command({ query: 'RENAME TABLE events_elsewhere TO events' });
    },
  },
];
