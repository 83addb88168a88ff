// What folds come to is told in full, once, and by topic; where partitions stand is told for those that are owned now.
import { Registry } from 'prom-client';
import { expect, it } from 'vitest';
import { createFoldMetrics } from '../../stream/fold-metrics.ts';
import { type PartitionFigures, registerPartitionMetrics } from '../../stream/partition-metrics.ts';

const step = {
  kind: 'count',
  series: 'funnel:sourcing',
  revision: 1,
  timeMs: 0,
  cell: '||',
  column: 2,
} as const;

it('counts since the last scrape are added to those before', async () => {
  const registry = new Registry();
  const metrics = createFoldMetrics(registry);
  const [events, spend] = [metrics.of('events'), metrics.of('spend')];
  events.verdict('late');
  events.verdict('late');
  spend.verdict('duplicate');
  for (const owner of [events, spend]) owner.committed();
  await registry.metrics();
  events.verdict('late');
  events.looked(5, 2);
  events.stateWritten('u:1', 100);
  events.stateWritten('c:acme', 40);
  spend.stateWritten('display-europe', 7);
  events.counted({ ...step, amount: 1 });
  events.counted({ ...step, amount: -1 });
  events.counted({ ...step, series: 'northstar', column: 1, amount: 1 });
  events.row({ kind: 'row', table: 'opportunities', row: { change: 'opened' } });
  events.row({ kind: 'row', table: 'exposures', row: {} });
  events.trigger('qualified-opportunity', 'created');
  for (const owner of [events, spend]) owner.committed();
  const lines = (await registry.metrics()).split('\n').filter((line) => /^flywheel.* [1-9]/.test(line));
  expect(lines.sort()).toEqual([
    'flywheel_funnel_steps_total{funnel="sourcing",step="3"} 1',
    'flywheel_north_star_total{measure="opportunities"} 1',
    'flywheel_opportunity_changes_total{change="opened"} 1',
    'flywheel_stream_cache_lookups_total{topic="events",result="hit"} 5',
    'flywheel_stream_cache_lookups_total{topic="events",result="miss"} 2',
    'flywheel_stream_records_total{topic="events",verdict="late"} 3',
    'flywheel_stream_records_total{topic="spend",verdict="duplicate"} 1',
    'flywheel_stream_state_written_bytes_total{topic="events",kind="buyer"} 100',
    'flywheel_stream_state_written_bytes_total{topic="events",kind="company"} 40',
    'flywheel_stream_state_written_bytes_total{topic="spend",kind="account"} 7',
    'flywheel_stream_states_written_total{topic="events",kind="buyer"} 1',
    'flywheel_stream_states_written_total{topic="events",kind="company"} 1',
    'flywheel_stream_states_written_total{topic="spend",kind="account"} 1',
    'flywheel_triggers_total{definition="qualified-opportunity",status="created"} 1',
  ]);
});

it('what a batch came to counts once it is committed, also if its owner ends before and the next one folds it again', async () => {
  const registry = new Registry();
  const metrics = createFoldMetrics(registry);
  const fold = (owner: ReturnType<typeof metrics.of>): void => {
    owner.verdict('applied');
    owner.rejected('malformed');
    owner.stateWritten('u:1', 100);
    owner.counted({ ...step, amount: 1 });
    owner.row({ kind: 'row', table: 'transitions', row: { to_stage: 'mature' } });
    owner.trigger('matured-buyer', 'created');
  };
  const told = async (): Promise<string[]> =>
    (await registry.metrics()).split('\n').filter((line) => /^flywheel.* [1-9]/.test(line));
  fold(metrics.of('events'));
  expect(await told()).toEqual([]);
  const next = metrics.of('events');
  fold(next);
  next.committed();
  // A batch of nothing follows.
  next.committed();
  expect((await told()).map((line) => line.replace(/\{.*\}/, '')).sort()).toEqual([
    'flywheel_funnel_steps_total 1',
    'flywheel_lifecycle_transitions_total 1',
    'flywheel_stream_records_total 1',
    'flywheel_stream_rejects_total 1',
    'flywheel_stream_state_written_bytes_total 100',
    'flywheel_stream_states_written_total 1',
    'flywheel_triggers_total 1',
  ]);
});

it('each reason of a refusal stands at 0 from the start: the first burst of it is a rise', async () => {
  const registry = new Registry();
  createFoldMetrics(registry);
  const text = await registry.metrics();
  for (const reason of ['malformed', 'invalid', 'future', 'misplaced'])
    expect(text).toContain(`flywheel_stream_rejects_total{topic="events",reason="${reason}"} 0`);
  for (const reason of ['misplaced', 'unknownCampaign', 'currency', 'periodStart', 'overflow'])
    expect(text).toContain(`flywheel_stream_rejects_total{topic="spend",reason="${reason}"} 0`);
});

it('a partition that has gone to another process is not shown any more', async () => {
  const registry = new Registry();
  const figures: PartitionFigures = {
    ...{ topic: 'events', partition: 3, lag: 7, watermarkMs: 2_000, waitingMs: 1_500 },
    ...{
      paused: false,
      full: false,
      undelivered: 1,
      undeliveredMs: 90_000,
      states: 2,
      windows: 3,
      triggers: 4,
    },
  };
  let owned: PartitionFigures[] = [figures];
  registerPartitionMetrics(registry, ['events', 'spend'], () => owned);
  const text = await registry.metrics();
  expect(text).toContain('flywheel_stream_lag_records{topic="events",partition="3"} 7');
  expect(text).toContain('flywheel_stream_oldest_undelivered_seconds{topic="events",partition="3"} 90');
  expect(text).toContain('flywheel_stream_watermark_timestamp_seconds{topic="events",partition="3"} 2');
  expect(text).toContain('flywheel_stream_oldest_waiting_seconds{topic="events",partition="3"} 1.5');
  expect(text).toContain('flywheel_stream_partitions_owned{topic="events"} 1');
  owned = [];
  const after = await registry.metrics();
  expect(after).not.toContain('flywheel_stream_lag_records{');
  expect(after).toContain('flywheel_stream_partitions_owned{topic="events"} 0');
});
