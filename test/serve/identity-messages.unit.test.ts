// Messages that say who is who, judged by the Segment spec: what links nobody and nothing comes back with what it lacks.
import { describe, expect, it } from 'vitest';
import { takeMessage } from '../../serve/collect/message.ts';

const envelope = {
  kind: undefined,
  nowMs: Date.UTC(2026, 0, 15),
  sentAt: undefined,
  receivedAt: undefined,
  trusted: false,
  source: 'test',
};

describe('a message that says who is who', () => {
  it.each([
    [{ type: 'alias', userId: 'u', previousId: 'v' }, 'u:u'],
    // As browsers send it: the visitor's own id is the previous one.
    [{ type: 'alias', userId: 'u', anonymousId: 'v' }, 'u:u'],
    [{ type: 'alias', userId: 7, previousId: 8 }, 'u:7'],
    [{ type: 'group', anonymousId: 'v', groupId: 'g' }, 'a:v'],
    [{ type: 'group', userId: 'u', groupId: 'g', traits: { industry: 'toys' } }, 'u:u'],
    [{ type: 'identify', userId: 'u', anonymousId: 'v' }, 'u:u'],
    [{ type: 'identify', anonymousId: 'v', traits: { country: 'DE' } }, 'a:v'],
  ])('%j is taken', (message, key) => {
    expect(takeMessage(message, envelope)).toMatchObject({ taken: true, key, kind: message.type });
  });

  it.each([
    [{ type: 'alias', userId: 'u' }, 'invalid', 'previousId'],
    [{ type: 'alias', userId: 'u', previousId: '' }, 'invalid', 'previousId'],
    [{ type: 'alias', previousId: 'v', anonymousId: 'v' }, 'invalid', 'userId'],
    [{ type: 'alias', previousId: 'v' }, 'missing_id', 'userId'],
    [{ type: 'alias', userId: 'u', previousId: ['v'] }, 'invalid', 'previousId'],
    [{ type: 'group', userId: 'u' }, 'invalid', 'groupId'],
    [{ type: 'group', userId: 'u', groupId: null }, 'invalid', 'groupId'],
    [{ type: 'group', groupId: 'g' }, 'missing_id', 'userId'],
    [{ type: 'group', userId: 'u', groupId: 'g'.repeat(257) }, 'invalid', 'groupId'],
    [{ type: 'identify', traits: {} }, 'missing_id', 'userId'],
  ])('%j is turned away', (message, reason, lack) => {
    expect(takeMessage(message, envelope)).toEqual({
      taken: false,
      reason,
      detail: expect.stringContaining(lack),
    });
  });
});
