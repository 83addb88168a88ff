// Links that every run has under way before its fault: a device of two users, and one that is taken back. The traffic makes more,
// by chance, of which a short run may have none.
import type { Arena } from './arena.ts';
import { revokeLinkOf } from './revoke.ts';
import type { Message } from './traffic.ts';
import { until } from './wait.ts';

const SHARED = 'shared-device';
const LENT = 'lent-device';
const REVOKED_WITHIN_MS = 30_000;

/** Who said that it is on which device; two of one device: one of its links takes the place of the other. */
export function deviceMessages(prefix: string, timeMs: number): Message[] {
  const said: readonly (readonly [user: string, visitor: string])[] = [
    ['user-1', SHARED],
    ['user-2', SHARED],
    ['user-3', LENT],
  ];
  const timestamp = new Date(timeMs).toISOString();
  return said.map(([userId, anonymousId], index) => ({
    messageId: `${prefix}-device-${index}`,
    ...{ type: 'identify', userId, anonymousId, timestamp },
  }));
}

/** Resolves when the log has the links, and that one of them is taken back. */
export async function linkDevices(arena: Arena, behindMs: number): Promise<void> {
  await arena.feeder.send(deviceMessages(arena.namespace.name, Date.now() - behindMs));
  const target = { url: arena.url, secretKey: arena.keys.secret };
  await until('a link is taken back', () => revokeLinkOf(target, LENT), REVOKED_WITHIN_MS);
}
