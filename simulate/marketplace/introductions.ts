// How a buyer says who it is: at signing up, at signing in on another device, and where it works.
import type { Act, PersonState } from './person-state.ts';
import type { Visit } from './ties.ts';
import { levels } from './world.ts';

/** Who the buyer is, with the visitor that it was; the first time also where it works. */
export function introductions(state: PersonState, timeMs: number): Act[] {
  const { person } = state;
  const { ties } = person;
  const isFirst = !state.introduced;
  state.introduced = true;
  const place = person.countryHidden ? {} : { country: person.country.code };
  const wasVisitor = person.startsAnonymous && !(isFirst && ties.aliases);
  const acts: Act[] = [
    {
      timeMs,
      type: 'identify',
      known: true,
      ...(wasVisitor ? { device: person.anonymousId } : {}),
      traits: { ...place, industry: person.industry.name, level: levels[state.levelIndex]!.name },
    },
  ];
  if (isFirst && person.startsAnonymous && ties.aliases) {
    acts.push({ timeMs: timeMs + 50, type: 'alias', known: true, previousId: person.anonymousId });
  }
  if (isFirst && ties.company !== null) {
    const traits = { ...place, industry: person.industry.name };
    acts.push({ timeMs: timeMs + 100, type: 'group', known: true, groupId: ties.company, traits });
  }
  return acts;
}

export function signUp(state: PersonState, timeMs: number): Act[] {
  state.known = true;
  return introductions(state, timeMs);
}

function signIn(state: PersonState, device: string, timeMs: number): Act {
  state.signedIn.add(device);
  return { timeMs, type: 'identify', known: true, device };
}

/** The same acts on another device: signed in there at once, or as its visitor until the buyer signs in at the end. */
export function onDevice(
  state: PersonState,
  visit: Visit | null,
  acts: readonly Act[],
  timeMs: number,
  endMs: number,
): readonly Act[] {
  if (visit === null) return acts;
  const { device, signedOut } = visit;
  if (!signedOut) return [signIn(state, device, timeMs + 200), ...acts];
  return [...acts.map((act) => ({ ...act, known: false, device })), signIn(state, device, endMs + 4_000)];
}
