// What the messages that were sent say of who is who: what the log must come to, whatever the order in which it is read.
import type { SegmentMessage } from '../feed.ts';

/** Counts that the sent messages imply. */
export interface ImpliedIdentity {
  /** Visitors that an identify or alias gave to a user. */
  readonly visitors: number;
  readonly users: number;
  readonly usersWithSeveralVisitors: number;
  /** Shared devices. */
  readonly visitorsOfSeveralUsers: number;
  readonly aliases: number;
  readonly companies: number;
  readonly members: number;
}

export interface IdentityTally {
  count(message: SegmentMessage): void;
  implied(): ImpliedIdentity;
}

function note(sets: Map<string, Set<string>>, key: string, value: string): void {
  const set = sets.get(key);
  if (set === undefined) sets.set(key, new Set([value]));
  else set.add(value);
}

export function identityTally(): IdentityTally {
  const usersOf = new Map<string, Set<string>>();
  const visitorsOf = new Map<string, Set<string>>();
  const members = new Set<string>();
  const companies = new Set<string>();
  const aliases = new Set<string>();
  const several = (sets: Map<string, Set<string>>): number =>
    [...sets.values()].filter((set) => set.size > 1).length;
  return {
    count({ type, messageId, userId, anonymousId, previousId, groupId }) {
      if (type === 'group') {
        companies.add(groupId!);
        members.add(userId ?? anonymousId!);
      }
      if (type === 'alias') aliases.add(messageId);
      const visitor = type === 'alias' ? (previousId ?? anonymousId) : anonymousId;
      if ((type !== 'identify' && type !== 'alias') || userId === undefined || visitor === undefined) return;
      note(usersOf, visitor, userId);
      note(visitorsOf, userId, visitor);
    },
    implied: () => ({
      visitors: usersOf.size,
      users: visitorsOf.size,
      usersWithSeveralVisitors: several(visitorsOf),
      visitorsOfSeveralUsers: several(usersOf),
      aliases: aliases.size,
      companies: companies.size,
      members: members.size,
    }),
  };
}
