// One viewer's stream: bounded, in order, and it says what it left out.
import { describe, expect, it } from 'vitest';
import type { LiveEvent } from '../../domain/live.ts';
import { openFrame } from '../../serve/live/frame.ts';
import { openViewer, QUEUE_MAX } from '../../serve/live/viewer.ts';

function event(number: number, more: Partial<LiveEvent> = {}): LiveEvent {
  return {
    id: `events:1:0:${number}`,
    topic: 'events',
    partition: 0,
    offset: number,
    kind: 'track',
    key: 'u:1',
    person: 'u:1',
    source: 'site',
    messageId: `m${number}`,
    // Larger than the buffer of the connection after a few.
    event: 'x'.repeat(1_000),
    behaviour: '',
    timeMs: Date.UTC(2026, 0, 1),
    receivedMs: 0,
    watermarkMs: 1,
    verdict: 'applied',
    reason: null,
    changes: {},
    ...more,
  };
}

async function textOf(body: AsyncIterable<unknown>): Promise<string> {
  let text = '';
  for await (const chunk of body) text += String(chunk);
  return text;
}

describe('a viewer', () => {
  it('gets what it wants, in order, and the end', async () => {
    const viewer = openViewer({ key: 'u:1', verdict: 'late' }, 2);
    viewer.say(openFrame(viewer.interest, null));
    viewer.show(event(1));
    viewer.show(event(2, { verdict: 'late', event: 'a\nb' }));
    viewer.show(event(3, { verdict: 'late', key: 'u:2', person: 'u:2' }));
    viewer.show(event(4, { verdict: 'late', key: 'a:9' }));
    viewer.show(event(5, { verdict: 'late' }));
    const text = await textOf(viewer.body);
    expect(text.match(/^id: .*$/gm)).toEqual(['id: events:1:0:2', 'id: events:1:0:4']);
    expect(text).toContain('"event":"a\\nb"');
    expect(text).toContain('"time":"2026-01-01T00:00:00.000Z","receivedAt":null');
    expect(text).toMatch(
      /^retry: 1000\nevent: open\ndata: \{"watching":\{"key":"u:1","verdict":"late"\},"resumed":null,"note":"live only/,
    );
  });

  it('who does not read loses the oldest and is told how many', async () => {
    const viewer = openViewer({}, Number.POSITIVE_INFINITY);
    const shown = QUEUE_MAX + 500;
    viewer.body.read(0);
    for (let number = 0; number < shown; number += 1) viewer.show(event(number));
    viewer.end();
    const text = await textOf(viewer.body);
    const ids = [...text.matchAll(/^id: events:1:0:(\d+)$/gm)].map(([, number]) => Number(number));
    const dropped = Number(/event: dropped\ndata: \{"count":(\d+),"by":"reader"/.exec(text)![1]);
    expect(dropped).toBeGreaterThan(0);
    expect(ids.length + dropped).toBe(shown);
    expect(ids).toEqual([...ids].sort((a, b) => a - b));
    expect(ids.at(-1)).toBe(shown - 1);
  });

  it('a connection that is gone takes nothing more', () => {
    const viewer = openViewer({}, 10);
    viewer.body.destroy();
    viewer.show(event(1));
    viewer.heartbeat();
    viewer.end();
    expect(viewer.body.destroyed).toBe(true);
  });
});
