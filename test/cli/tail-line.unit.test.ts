// The line that `flywheel tail` prints of an event.
import { expect, it } from 'vitest';
import { eventLine, type ShownEvent } from '../../cli/tail-line.ts';

const shown: ShownEvent = {
  id: 'events:1:3:120',
  topic: 'events',
  partition: 3,
  offset: 120,
  kind: 'track',
  key: 'u:7',
  person: 'u:7',
  source: 'site',
  messageId: 'm',
  event: 'Inquiry Sent',
  behaviour: 'inquiry',
  time: '2026-01-15T09:30:00.000Z',
  receivedAt: '2026-01-15T09:30:01.500Z',
  verdict: 'applied',
  reason: null,
  changes: {
    newBuyer: true,
    attributes: [{ name: 'country', from: '', to: 'DE' }],
    funnels: [{ funnel: 'sourcing', revision: 1, from: 1, to: 2, steps: ['inquiry'] }],
    stages: [{ from: 'new', to: 'mature', reason: 'matured' }],
    opportunities: [{ id: '3-120', change: 'opened', subject: 'pumps', stage: 'inquiry', quality: 0.5 }],
    triggers: [{ id: 't', status: 'created', definition: 'matured-buyer', to: 'mature' }],
  },
};

it('says who did what, and what it changed', () => {
  expect(eventLine(shown, false)).toBe(
    '09:30:01.500 applied   u:7  track "Inquiry Sent" = inquiry; new buyer; country – → DE; ' +
      'funnel sourcing 1 → 2 (inquiry); stage new → mature; opportunity 3-120 opened (pumps, 0.50); ' +
      'trigger matured-buyer mature created  [site events:1:3:120]',
  );
});

it('says why not, and lets no text from outside move the cursor', () => {
  const reason = { code: 'late', detail: 'too late' };
  const line = eventLine(
    { ...shown, verdict: 'late', behaviour: '', key: 'u:\u001b[2J\u202eA\u2028', reason, changes: {} },
    false,
  );
  expect(line).toBe(
    '09:30:01.500 late      u:\ufffd[2J\ufffdA\ufffd (u:7)  track "Inquiry Sent"  late: too late  [site events:1:3:120]',
  );
});

it('has colours for a terminal', () => {
  expect(eventLine(shown, true)).toContain('\u001b[32mapplied  \u001b[39m');
});
