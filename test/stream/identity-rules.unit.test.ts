// The rules of docs/decisions/identity.md, one by one: every record that a partition sends arrives again and again, and every
// owner dies after every record.
import { describe, expect, it } from 'vitest';
import { levelOf } from '../../domain/funnel-levels.ts';
import { encodeBuyer } from '../../platform/buyer-codec.ts';
import {
  aliases,
  at,
  buyerOf,
  DAY_MS,
  does,
  exposes,
  groups,
  identifies,
  MINUTE_MS,
  openScene,
  revokes,
  type Scene,
  START_MS,
  totals,
} from './support/identity-scene.ts';

function level(scene: Scene, key: string, funnel = 'purchase'): number {
  const buyer = buyerOf(scene, key);
  const own = buyer.funnels.find(({ id }) => id === funnel);
  return own === undefined ? 0 : levelOf(buyer, own);
}
const changes = (scene: Scene, table: 'identities' | 'opportunities' | 'transitions'): string[] =>
  scene
    .rows(table)
    .map(
      ({ key, change, reason, stage, to_stage: to }) =>
        `${key} ${change ?? `${reason} ${to}`}${stage ? ` ${stage}` : ''}`,
    );

describe('a visitor who says who it is', () => {
  it('brings its history: the funnel goes on, and no step is counted twice', () => {
    const scene = openScene();
    scene.play(does('a:v', 'view', at(0)), does('a:v', 'contact', at(1)), does('u:u', 'view', at(2)));
    scene.play(identifies('u:u', 'a:v', at(3)), does('u:u', 'order', at(4)));
    expect(level(scene, 'u:u')).toBe(3);
    // The user's own view was counted before anybody knew; the visitor's steps are not counted for the user again.
    expect(scene.counted('purchase')).toEqual([2, 1, 1]);
    expect(totals(scene, 'u:u')).toEqual({ view: 2, contact: 1, order: 1 });
    expect(changes(scene, 'identities')).toEqual(expect.arrayContaining(['a:v linked', 'u:u merged']));
  });

  it('goes on in silence: what it does is counted for the user alone', () => {
    const scene = openScene();
    scene.play(identifies('u:u', 'a:v', at(0)));
    scene.play(does('a:v', 'view', at(1)), does('u:u', 'contact', at(2)), does('a:v', 'order', at(3)));
    expect(level(scene, 'u:u')).toBe(3);
    expect(scene.counted('purchase')).toEqual([1, 1, 1]);
    expect(changes(scene, 'transitions').filter((change) => change.startsWith('a:'))).toEqual([]);
    expect(scene.rows('triggers').every(({ key }) => key === 'u:u')).toBe(true);
  });

  it('is linked by a late identify, not by one that is a duplicate, and not by a track that names both', () => {
    const scene = openScene();
    const late = identifies('u:u', 'a:late', at(0));
    scene.play(does('u:u', 'view', at(60)), late);
    expect(buyerOf(scene, 'a:late').links!.current!.user).toBe('u:u');
    const again = identifies('u:u', 'a:v', at(60));
    scene.play(again, again);
    expect(scene.rows('identities').filter(({ change }) => change === 'linked')).toHaveLength(2);
    const both = JSON.parse(does('u:u', 'view', at(61)).value);
    scene.engine.run([
      { ...does('u:u', 'view', at(61)), value: JSON.stringify({ ...both, anonymousId: 'other' }) },
    ]);
    expect(scene.engine.of('a:other').buyer('a:other')).toBeUndefined();
  });

  it('says so again: nothing', () => {
    const scene = openScene();
    scene.play(does('a:v', 'view', at(0)), identifies('u:u', 'a:v', at(1)), identifies('u:u', 'a:v', at(2)));
    scene.play(aliases('u:u', 'v', at(3)));
    expect(totals(scene, 'u:u')).toEqual({ view: 1 });
    expect(buyerOf(scene, 'u:u').parts).toHaveLength(2);
  });

  it('is linked by an alias; a user that an alias names is not', () => {
    const scene = openScene();
    scene.play(does('a:v', 'view', at(0)), does('u:old', 'contact', at(0)));
    scene.play(aliases('u:u', 'v', at(1)), aliases('u:u', 'old', at(2)));
    expect(totals(scene, 'u:u')).toEqual({ view: 1 });
    expect(buyerOf(scene, 'u:old').links).toBeNull();
    expect(totals(scene, 'u:old')).toEqual({ contact: 1 });
  });

  it('keeps the first variant that either was shown', () => {
    const scene = openScene();
    scene.play(
      exposes('u:u', 'long', at(2)),
      exposes('a:v', 'short', at(1)),
      identifies('u:u', 'a:v', at(3)),
    );
    expect(buyerOf(scene, 'u:u').exposures).toMatchObject([{ variant: 'short' }]);
    scene.play(exposes('a:v', 'other', at(0)));
    expect(buyerOf(scene, 'u:u').exposures).toMatchObject([{ variant: 'other' }]);
    scene.play(revokes('a:v', scene.linkOf('a:v'), at(4)));
    expect(buyerOf(scene, 'u:u').exposures).toMatchObject([{ variant: 'long' }]);
    expect(buyerOf(scene, 'a:v').exposures).toMatchObject([{ variant: 'other' }]);
  });
});

describe('two users on one device', () => {
  it('the first keeps the history, the second gets what comes after', () => {
    const scene = openScene();
    scene.play(does('a:v', 'view', at(0)), identifies('u:one', 'a:v', at(1)), does('a:v', 'contact', at(2)));
    scene.play(identifies('u:two', 'a:v', at(3)), does('a:v', 'order', at(4)));
    expect(totals(scene, 'u:one')).toEqual({ view: 1, contact: 1 });
    expect(totals(scene, 'u:two')).toEqual({ order: 1 });
    expect(totals(scene, 'a:v')).toEqual({ view: 1, contact: 1, order: 1 });
    expect(buyerOf(scene, 'u:one').parts[1]!.ended).toBe(true);
    expect(changes(scene, 'identities')).toContain('a:v superseded');
  });

  it('a link that was superseded can be taken back; then the history is free for the next', () => {
    const scene = openScene();
    scene.play(does('a:v', 'view', at(0)), identifies('u:one', 'a:v', at(1)));
    const first = scene.linkOf('a:v');
    scene.play(identifies('u:two', 'a:v', at(2)), revokes('a:v', first, at(3)));
    expect(totals(scene, 'u:one')).toEqual({});
    expect(buyerOf(scene, 'a:v').links!.current!.user).toBe('u:two');
    scene.play(revokes('a:v', scene.linkOf('a:v'), at(4)), identifies('u:three', 'a:v', at(5)));
    expect(totals(scene, 'u:three')).toEqual({ view: 1 });
  });
});

describe('a link that is taken back', () => {
  it('leaves both as if it had never been, but for what was counted and told', () => {
    const scene = openScene();
    scene.play(does('u:u', 'view', at(0)), does('a:v', 'contact', at(1)), identifies('u:u', 'a:v', at(2)));
    scene.play(does('a:v', 'order', at(3)), does('u:u', 'inquiry', at(4)));
    expect(level(scene, 'u:u')).toBe(3);
    const told = scene.rows('triggers').length;
    scene.play(revokes('a:v', scene.linkOf('a:v'), at(5)));
    expect(level(scene, 'u:u')).toBe(1);
    expect(totals(scene, 'u:u')).toEqual({ view: 1, inquiry: 1 });
    expect(totals(scene, 'a:v')).toEqual({ contact: 1, order: 1 });
    expect(level(scene, 'a:v')).toBe(0);
    expect(scene.counted('purchase')).toEqual([1, 1, 1]);
    expect(scene.rows('triggers')).toHaveLength(told);
    // Reached once more, but not counted once more.
    scene.play(does('u:u', 'contact', at(6)), does('u:u', 'order', at(7)));
    expect(level(scene, 'u:u')).toBe(3);
    expect(scene.counted('purchase')).toEqual([1, 1, 1]);
  });

  it('takes back what it brought to an opportunity, and gives the visitor its own', () => {
    const scene = openScene();
    scene.play(does('a:v', 'contact', at(0)), identifies('u:u', 'a:v', at(1)));
    scene.play(does('u:u', 'inquiry', at(2)), does('a:v', 'contact', at(3), { category: 'other' }));
    expect(buyerOf(scene, 'u:u').opportunities).toMatchObject([{ stage: 'inquiry' }, { subject: 'other' }]);
    scene.play(revokes('a:v', scene.linkOf('a:v'), at(4)));
    expect(buyerOf(scene, 'u:u').opportunities).toMatchObject([
      { subject: 'c', stage: 'inquiry', shares: [] },
    ]);
    expect(buyerOf(scene, 'a:v').opportunities.map(({ subject }) => subject)).toEqual(['c', 'other']);
    const said = changes(scene, 'opportunities');
    expect(said).toEqual(
      expect.arrayContaining(['a:v moved contact', 'u:u merged contact', 'u:u revoked contact']),
    );
    expect(said.filter((change) => change.startsWith('a:v returned'))).toHaveLength(2);
  });

  it('falls with any link that a level needs, and stands on what is left', () => {
    const scene = openScene();
    scene.play(does('u:u', 'view', at(0)), does('a:one', 'contact', at(1)), does('a:two', 'contact', at(1)));
    scene.play(
      identifies('u:u', 'a:one', at(2)),
      identifies('u:u', 'a:two', at(2)),
      does('u:u', 'order', at(3)),
    );
    expect(level(scene, 'u:u')).toBe(3);
    scene.play(revokes('a:one', scene.linkOf('a:one'), at(4)));
    expect(level(scene, 'u:u')).toBe(3);
    scene.play(revokes('a:two', scene.linkOf('a:two'), at(5)));
    expect(level(scene, 'u:u')).toBe(1);
  });

  it('twice, or one that nobody knows: nothing', () => {
    const scene = openScene();
    scene.play(does('a:v', 'view', at(0)), identifies('u:u', 'a:v', at(1)));
    const link = scene.linkOf('a:v');
    scene.play(
      revokes('a:v', link, at(2)),
      revokes('a:v', link, at(3)),
      revokes('a:nobody', '1-1-nobody', at(3)),
    );
    scene.play(revokes('a:v', '0-99-v', at(4)));
    expect(changes(scene, 'identities').filter((change) => /revoked|dropped/.test(change))).toHaveLength(2);
  });

  it('is refused when it is no longer kept apart: after its time, or when there were too many', () => {
    const scene = openScene({ linkMemoryMs: DAY_MS, maxLinksPerBuyer: 2 });
    scene.play(does('a:v', 'view', at(0)), identifies('u:u', 'a:v', at(1)));
    scene.pass(START_MS + 2 * DAY_MS);
    scene.play(revokes('a:v', scene.linkOf('a:v'), at(5)));
    expect(totals(scene, 'u:u')).toEqual({ view: 1 });
    expect(changes(scene, 'identities')).toContain('u:u inseparable');
  });
});

describe('stages of one person', () => {
  it('are joined without telling anybody; what activity then leads to is told', () => {
    const scene = openScene();
    scene.play(does('a:v', 'contact', at(0)), does('u:u', 'view', at(1)));
    const told = scene.rows('triggers').length;
    scene.play(identifies('u:u', 'a:v', at(2)));
    expect(buyerOf(scene, 'u:u')).toMatchObject({ stage: 'mature', maturedMs: at(0) });
    expect(scene.rows('triggers')).toHaveLength(told);
    expect(changes(scene, 'transitions')).toContain('u:u merged mature');
    scene.play(does('a:v', 'view', START_MS + 3 * DAY_MS));
    expect(buyerOf(scene, 'u:u').stage).toBe('retained');
    const last = scene.rows('triggers').findLast(({ key }) => key === 'u:u');
    expect(last).toMatchObject({ to_stage: 'retained' });
  });

  it('fall with what made them, and the visitor says where it stands', () => {
    const scene = openScene();
    scene.play(does('u:u', 'view', at(0)), identifies('u:u', 'a:v', at(1)), does('a:v', 'contact', at(2)));
    expect(buyerOf(scene, 'u:u').stage).toBe('mature');
    scene.play(revokes('a:v', scene.linkOf('a:v'), at(3)));
    expect(buyerOf(scene, 'u:u')).toMatchObject({ stage: 'new', maturedMs: 0 });
    expect(changes(scene, 'transitions')).toEqual(
      expect.arrayContaining(['u:u revoked new', 'a:v unlinked mature']),
    );
  });

  it('a silent visitor does not churn aloud', () => {
    const scene = openScene();
    scene.play(does('a:v', 'view', at(0)), identifies('u:u', 'a:v', at(1)));
    scene.pass(START_MS + 20 * DAY_MS);
    expect(changes(scene, 'transitions').filter((change) => change.endsWith('churned'))).toEqual([
      'u:u absent churned',
    ]);
    expect(buyerOf(scene, 'a:v').stage).toBe('churned');
  });
});

describe('opportunities of a visitor who is linked again', () => {
  it('do not stay open once it falls silent, though a link that still stands has its history', () => {
    const scene = openScene();
    const openOf = (key: string): unknown[] => {
      const last = new Map(scene.rows('opportunities').map((row) => [row.opportunity_id, row]));
      const over = ['fulfilled', 'completed', 'lost', 'evicted', 'moved', 'revoked'];
      return [...last.values()].filter((row) => row.key === key && !over.includes(String(row.change)));
    };
    scene.play(does('a:v', 'inquiry', at(0)), identifies('u:one', 'a:v', at(1)));
    expect([openOf('a:v').length, openOf('u:one').length]).toEqual([0, 1]);
    scene.play(identifies('u:two', 'a:v', at(2)));
    scene.play(revokes('a:v', scene.linkOf('a:v'), at(3)), does('a:v', 'contact', at(4)));
    expect(openOf('a:v')).not.toEqual([]);
    scene.play(identifies('u:three', 'a:v', at(5)));
    expect(openOf('a:v')).toEqual([]);
    expect(openOf('u:one')).toHaveLength(1);
    scene.play(revokes('a:v', scene.linkOf('a:v'), at(6)));
    expect(openOf('a:v')).not.toEqual([]);
  });
});

describe('much, and long ago', () => {
  it('a visitor with 100,000 events brings whole totals, and as many behaviours as the caps keep', () => {
    const scene = openScene({ maxBehavioursPerBuyer: 50, mergeChunkBehaviours: 7 }, false, 5_000);
    const many = Array.from({ length: 100_000 }, (_, index) => does('a:v', 'view', START_MS + index * 1_000));
    scene.engine.of('a:v').run(many.map(({ value }) => value));
    scene.play(identifies('u:u', 'a:v', at(1_700)));
    expect(totals(scene, 'u:u')).toEqual({ view: 100_000 });
    expect(buyerOf(scene, 'u:u').behaviours).toHaveLength(50);
    expect(buyerOf(scene, 'u:u').overflow).toBe(true);
    expect(level(scene, 'u:u')).toBe(1);
  });

  it('a user of ever more visitors stays bounded; the oldest become its own', () => {
    const scene = openScene({ maxLinksPerBuyer: 5, maxBehavioursPerBuyer: 20 }, false);
    let bytes = 0;
    for (let number = 0; number < 600; number += 1) {
      scene.play(does(`a:v${number}`, 'view', at(number)), identifies('u:u', `a:v${number}`, at(number)));
      if (number === 300) bytes = encodeBuyer(buyerOf(scene, 'u:u')).length;
    }
    const user = buyerOf(scene, 'u:u');
    expect(totals(scene, 'u:u')).toEqual({ view: 600 });
    expect(user.parts).toHaveLength(6);
    // Remembered ids of identifies, which their own cap bounds, are all that grows.
    expect(encodeBuyer({ ...user, ids: [] }).length).toBeLessThan(bytes);
    scene.play(revokes('a:v0', scene.linkOf('a:v0'), at(601)));
    expect(totals(scene, 'u:u')).toEqual({ view: 600 });
  });

  it('a link of 400 silent days ends: the id is a new visitor, and may become somebody else', () => {
    const scene = openScene();
    scene.play(does('a:v', 'view', at(0)), identifies('u:one', 'a:v', at(1)));
    const later = START_MS + 401 * DAY_MS;
    scene.play(does('a:v', 'contact', later));
    expect(totals(scene, 'a:v')).toEqual({ contact: 1 });
    expect(totals(scene, 'u:one')).toEqual({ view: 1 });
    expect(changes(scene, 'identities')).toContain('a:v expired');
    scene.play(identifies('u:two', 'a:v', later));
    expect(totals(scene, 'u:two')).toEqual({ contact: 1 });
    const linked = scene
      .rows('identities')
      .filter(({ change, user }) => change === 'linked' && user === 'u:two');
    expect(linked[0]!.from_offset).toBeGreaterThan(0);
  });

  it('what comes for a closed hour or day is a row of its own', () => {
    const scene = openScene({ hourRetentionMs: 60 * MINUTE_MS, dayRetentionMs: 60 * MINUTE_MS });
    scene.play(does('u:u', 'view', at(0)), does('a:v', 'contact', at(1)));
    scene.pass(START_MS + 3 * DAY_MS);
    scene.play(identifies('u:u', 'a:v', at(2)));
    const { column, amount, start, series } = scene.rows('adjustments')[0]!;
    expect({ column, amount, start, series }).toEqual({
      series: 'funnel:purchase',
      column: 1,
      amount: 1,
      start: Math.floor(at(1) / 3_600_000) * 3_600,
    });
  });
});

describe('a company', () => {
  it('stands where its members brought it together; nothing is counted or told for it', () => {
    const scene = openScene();
    scene.play(
      groups('u:one', 'acme', at(0), { country: 'DE', industry: 'pumps' }),
      groups('a:two', 'acme', at(0)),
    );
    scene.play(does('u:one', 'view', at(1)), does('a:two', 'contact', at(2)), does('u:one', 'order', at(3)));
    const company = buyerOf(scene, 'c:acme');
    expect(company).toMatchObject({ stage: null, country: { value: 'DE' }, opportunities: [], timerMs: 0 });
    expect(level(scene, 'c:acme')).toBe(3);
    expect(totals(scene, 'c:acme')).toEqual({ view: 1, contact: 1, order: 1 });
    expect(scene.counted('purchase')).toEqual([1, 0, 0]);
    expect(scene.rows('triggers').some(({ key }) => key === 'c:acme')).toBe(false);
  });

  it('hears of a linked visitor through its user, once', () => {
    const scene = openScene();
    scene.play(groups('a:v', 'acme', at(0)), does('a:v', 'view', at(1)), identifies('u:u', 'a:v', at(2)));
    scene.play(does('a:v', 'contact', at(3)));
    expect(totals(scene, 'c:acme')).toEqual({ view: 1, contact: 1 });
    scene.play(groups('u:u', 'other', at(4)), does('a:v', 'order', at(5)));
    expect(totals(scene, 'c:acme')).toEqual({ view: 1, contact: 1 });
    expect(totals(scene, 'c:other')).toEqual({ order: 1 });
  });
});
