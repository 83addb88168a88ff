// A visitor that is linked again, or whose links are taken back: by a repeat, after limits were lowered, while another's link still
// stands. Nobody gets twice what a link has brought, and what came about in silence is said.
import { describe, expect, it } from 'vitest';
import {
  at,
  buyerOf,
  DAY_MS,
  does,
  identifies,
  openScene,
  revokes,
  type Scene,
  START_MS,
  totals,
} from './support/identity-scene.ts';
import { definitionValue } from './support/partition.ts';

const inForce = (scene: Scene): string | undefined => buyerOf(scene, 'a:v').links!.current?.user;

describe('the history of a visitor', () => {
  it('goes to nobody as long as a link of another stands that came after it', () => {
    const scene = openScene();
    scene.play(does('a:v', 'view', at(0)), identifies('u:one', 'a:v', at(1)));
    const first = scene.linkOf('a:v');
    scene.play(identifies('u:two', 'a:v', at(2)), does('a:v', 'contact', at(3)));
    const second = scene.linkOf('a:v');
    scene.play(identifies('u:one', 'a:v', at(4)), revokes('a:v', first, at(5)));
    scene.play(revokes('a:v', scene.linkOf('a:v'), at(6)), identifies('u:two', 'a:v', at(7)));
    expect(totals(scene, 'u:two')).toEqual({ contact: 1 });
    expect(totals(scene, 'u:one')).toEqual({});
    // Once that is taken back, too, it is free.
    scene.play(revokes('a:v', second, at(8)), revokes('a:v', scene.linkOf('a:v'), at(9)));
    scene.play(identifies('u:three', 'a:v', at(10)));
    expect(totals(scene, 'u:three')).toEqual({ view: 1, contact: 1 });
  });

  it('stays where it is when more links came after it than can be named', () => {
    const scene = openScene({}, false);
    scene.play(does('a:v', 'view', at(0)), identifies('u:one', 'a:v', at(1)));
    const first = scene.linkOf('a:v');
    scene.play(identifies('u:two', 'a:v', at(2)), does('a:v', 'contact', at(3)));
    scene.play(identifies('u:one', 'a:v', at(4)), revokes('a:v', first, at(5)));
    for (let number = 0; number < 20; number += 1) {
      scene.play(identifies(`u:more${number}`, 'a:v', at(6 + 2 * number)));
      const { current, past } = buyerOf(scene, 'a:v').links!;
      for (const { id, user } of [...past, current!])
        if (user !== 'u:two') scene.play(revokes('a:v', id, at(7 + 2 * number)));
    }
    expect(buyerOf(scene, 'a:v').links!.past.map(({ user }) => user)).not.toContain('u:two');
    scene.play(identifies('u:last', 'a:v', at(60)));
    expect(totals(scene, 'u:last')).toEqual({});
  });
});

describe('an identify that is sent again', () => {
  const late = identifies('u:one', 'a:v', at(0));

  it('does not take the visitor from who signed in since, though it is late and links each time', () => {
    const scene = openScene();
    scene.play(does('u:one', 'view', at(60)), late, identifies('u:two', 'a:v', at(61)), late);
    expect(inForce(scene)).toBe('u:two');
    scene.play(identifies('u:one', 'a:v', at(62)));
    expect(inForce(scene)).toBe('u:one');
  });

  it('nor does one that only said again what was known', () => {
    const scene = openScene();
    const again = [1, 2, 3].map((minute) => identifies('u:one', 'a:v', at(minute)));
    scene.play(...again, identifies('u:two', 'a:v', at(4)));
    scene.play(does('u:one', 'view', at(72 * 60)), ...again);
    expect(inForce(scene)).toBe('u:two');
  });

  it('does not bring back a link that was taken back', () => {
    const scene = openScene();
    scene.play(does('u:one', 'view', at(60)), late);
    scene.play(revokes('a:v', scene.linkOf('a:v'), at(61)), late);
    expect(inForce(scene)).toBeUndefined();
  });

  it('links as ever where it is older than all that was said', () => {
    const scene = openScene();
    scene.play(identifies('u:one', 'a:v', at(60)), identifies('u:two', 'a:v', at(61)));
    scene.play(does('u:one', 'view', at(62)), identifies('u:one', 'a:v', at(0)));
    expect(inForce(scene)).toBe('u:one');
  });
});

describe('a link that is taken back', () => {
  it('and cannot be told apart any more stays with its user, once', () => {
    const scene = openScene({ linkMemoryMs: DAY_MS });
    scene.play(does('a:v', 'view', at(0)), identifies('u:one', 'a:v', at(1)));
    scene.pass(START_MS + 2 * DAY_MS);
    scene.play(revokes('a:v', scene.linkOf('a:v'), at(5)));
    expect(scene.rows('identities').some(({ change }) => change === 'inseparable')).toBe(true);
    scene.play(identifies('u:one', 'a:v', START_MS + 2 * DAY_MS));
    expect(totals(scene, 'u:one')).toEqual({ view: 1 });
    scene.play(identifies('u:two', 'a:v', START_MS + 2 * DAY_MS + 1));
    expect(totals(scene, 'u:two')).toEqual({});
  });

  it('says the stage of a visitor that was another user’s before it, and never told of it', () => {
    const scene = openScene();
    scene.play(does('a:v', 'view', at(0)), identifies('u:one', 'a:v', at(1)), does('a:v', 'contact', at(2)));
    scene.play(identifies('u:two', 'a:v', at(3)));
    scene.play(revokes('a:v', scene.linkOf('a:v'), at(4)));
    const said = scene.rows('transitions').filter(({ key }) => key === 'a:v');
    expect(said.map(({ reason, from_stage: from, to_stage: to }) => [reason, from, to]).at(-1)).toEqual([
      ...['unlinked', 'new', 'mature'],
    ]);
  });

  it('leaves in the funnels what a cap had settled early, with all of its instant', () => {
    const scene = openScene({ maxBehavioursPerBuyer: 10, mergeChunkBehaviours: 10 });
    const several = (key: string, count: number): void =>
      scene.play(...Array.from({ length: count }, (_, number) => does(key, 'fulfil', at(1) + number)));
    several('a:v', 5);
    scene.play(identifies('u:one', 'a:v', at(2)), identifies('u:one', 'a:w', at(2)));
    scene.play(does('u:one', 'view', at(0)));
    several('u:one', 4);
    expect(buyerOf(scene, 'u:one').settledCount).toBe(1);
    scene.play(revokes('a:v', scene.linkOf('a:v'), at(3)), does('u:one', 'contact', at(0)));
    scene.play(revokes('a:w', scene.linkOf('a:w'), at(3)), does('u:one', 'order', at(4)));
    expect(scene.counted('purchase')).toEqual([1, 1, 1]);
  });
});

it('a lowered limit of opportunities is met with the next that opens', () => {
  const scene = openScene({ maxOpportunitiesPerBuyer: 5 });
  const opens = (number: number) => does('u:one', 'contact', at(number), { category: `c${number}` });
  scene.play(...[1, 2, 3, 4, 5].map(opens));
  const lowered = definitionValue('settings', 'default', 2, { maxOpportunitiesPerBuyer: 2 });
  const { partition } = opens(6);
  scene.play({ partition, value: lowered }, opens(6));
  expect(buyerOf(scene, 'u:one').opportunities.map(({ subject }) => subject)).toEqual(['c5', 'c6']);
  expect(scene.rows('opportunities').filter(({ change }) => change === 'evicted')).toHaveLength(4);
});
