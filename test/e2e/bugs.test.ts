// The oracle proves itself: every named bug of the stream, switched on in a real process, is found; without one there is
// nothing to find.
import { afterEach, describe, expect, it } from 'vitest';
import { bugNames } from '../../platform/bug.ts';
import { differentKinds, openFedStage, verifyStage } from '../verify/support/fed-stage.ts';
import { endChildren } from './support/child.ts';
import type { Stage } from './support/stage.ts';

let stage: Stage | undefined;
afterEach(async () => {
  await endChildren();
  await stage?.close();
  stage = undefined;
});

/** Where each bug must show, whatever else it breaks. */
const shows: Record<(typeof bugNames)[number], string> = {
  'last-row-dropped': 'events rows',
  'folded-twice': 'buyers',
  'lost-timer': 'timers',
  'stale-cache': 'buyers',
  'late-applied': 'events rows',
  'duplicate-applied': 'applied messages',
  'notice-beside-report': 'settled days',
  'lease-forgotten': 'leases held',
  'chunk-folded-twice': 'buyers',
  'chunk-skipped': 'buyers',
  'forward-judged-late': 'buyers',
  'step-counted-by-merge': 'funnel_hours rows',
  'revoked-link-counts': 'identities rows',
};

describe('flywheel verify', () => {
  it('finds no difference after a stream without a bug', async () => {
    stage = await openFedStage('bug-none');
    const verdict = await verifyStage(stage);
    expect(verdict.differences).toEqual([]);
    // No receiver is defined here and `jobs` does not run: nothing is pushed, and no funnel's past is computed.
    // Whether a link is taken back too late is decided between its records and the feed's.
    const empty = verdict.kinds.filter(({ kind, compared }) => compared === 0 && kind !== 'linkKept records');
    expect(empty.map(({ kind }) => kind)).toEqual([
      'past records',
      'backfill records',
      'deliveries',
      'deliveries owed',
    ]);
  });

  it.each(bugNames)('finds the bug %s', async (bug) => {
    stage = await openFedStage(`bug-${bug}`, bug);
    const verdict = await verifyStage(stage);
    expect(verdict.differenceCount).toBeGreaterThan(0);
    expect(differentKinds(verdict)).toContain(shows[bug]);
  });
});
