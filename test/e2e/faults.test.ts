// The short form of `npm run faults`: five kills of seed 1 under load, against the run's parts.
import { describe, expect, inject, it } from 'vitest';
import { killFlywheel } from '../../loadtest/faults/kill-flywheel.ts';
import { runFaults } from '../../loadtest/faults/runner.ts';

const KILLS = 5;
const EVENTS_PER_SECOND = 100;
/** It takes two minutes on a calm machine; beside other tests, starts and catching up take several times as long. */
const ENDS_WITHIN_MS = 600_000;

describe('kill -9 of stream, serve and jobs at random moments under load', () => {
  it('loses nothing, doubles nothing, tells nobody twice and overspends nothing', {
    timeout: ENDS_WITHIN_MS,
  }, async () => {
    const lines: string[] = [];
    const [result] = await runFaults({
      faults: [killFlywheel],
      seeds: [1],
      kills: KILLS,
      eventsPerSecond: EVENTS_PER_SECOND,
      addresses: {
        kafkaBrokers: inject('kafkaBrokers'),
        redisUrl: inject('redisUrl'),
        clickhouseUrl: inject('clickhouseUrl'),
      },
      print: (line) => lines.push(line),
    });
    expect(result!.faults, lines.join('\n')).toEqual([]);
    expect(result!.evidence).toHaveLength(KILLS);
    expect(result!.judgement!.triggers).toBeGreaterThan(0);
    expect(result!.judgement!.acknowledged).toBeGreaterThan(0);
    const cleared = Object.values(result!.judgement!.money).map((one) => one.cleared);
    expect(Math.max(...cleared)).toBeGreaterThan(0);
  });
});
