// What Redis says of links: a visitor's side, a user's parts, and the levels that stand because of them.
import type { Buyer, BuyerPart, Stamped } from '../../domain/buyer.ts';
import type { Person } from '../person.ts';
import type { EventsScope, Scope } from '../scope.ts';
import { sumsAt } from './gathering.ts';
import type { LinkedPerson, Part, StandingLevel } from './linked-person.ts';

/** Links, parts and histories on their way; for most there are none, and then there must be none. */
export function compareIdentity(scope: Scope, events: EventsScope, person: Person, state: Buyer): void {
  const { comparison } = scope;
  const where = `buyer ${person.key}`;
  if (person.links !== null || state.links !== null) {
    comparison.equal('links', where, person.links, state.links);
  }
  const parts = person.linked?.parts ?? [];
  const expected = { nextPart: person.linked?.nextPart ?? 1, parts: parts.map(({ number }) => number) };
  const kept = { nextPart: state.nextPart, parts: state.parts.map(({ number }) => number) };
  const hasAny = kept.nextPart > 1 || expected.nextPart > 1;
  if (hasAny) comparison.fields('parts', where, expected, kept);
  for (const part of parts) comparePart(scope, events, where, part, state);
  const arriving = person.linked?.arriving ?? [];
  if (arriving.length > 0 || state.arriving.length > 0)
    comparison.equal('parts', `${where} arriving`, arriving, state.arriving);
}

function comparePart(
  { comparison }: Scope,
  { walk }: EventsScope,
  buyer: string,
  part: Part,
  state: Buyer,
): void {
  const where = `${buyer} part ${part.number}`;
  const kept = state.parts.find(({ number }) => number === part.number);
  const { number, link, visitor, mergedMs, ended, gathered } = part;
  const { firstMs, lastMs, known, totals, exposures } = gathered;
  comparison.fields(
    'parts',
    where,
    {
      ...{ number, link, visitor, mergedMs, ended, firstMs, lastMs, ...known },
      totals: byName([...totals].map(([behaviour, count]) => ({ behaviour, count }))),
      exposures: byExperiment([...exposures.values()]),
    },
    kept && fieldsOf(kept),
  );
  if (kept === undefined) return;
  const actual = new Map(kept.engagement.map((sums) => [sums.halfLifeMs, sums]));
  for (const { halfLifeMs, sums } of sumsAt(gathered, walk.watermarkMs)) {
    const found = actual.get(halfLifeMs);
    actual.delete(halfLifeMs);
    for (const behaviour of new Set([...sums.keys(), ...(found?.sums.map((each) => each.behaviour) ?? [])])) {
      const sum = found?.sums.find((each) => each.behaviour === behaviour)?.sum ?? Number.NaN;
      const decayed = sum * 2 ** (((found?.referenceMs ?? 0) - walk.watermarkMs) / halfLifeMs);
      comparison.near('parts', `${where} ${halfLifeMs} ${behaviour}`, sums.get(behaviour) ?? 0, decayed);
    }
  }
  for (const halfLifeMs of actual.keys())
    comparison.differ('parts', `${where} ${halfLifeMs}`, 'not in force', 'sums');
}

function fieldsOf(part: BuyerPart): Readonly<Record<string, unknown>> {
  const { totals, exposures, ...rest } = part;
  return { ...rest, totals: byName(totals), exposures: byExperiment(exposures) };
}

function byName<Named extends { readonly behaviour: string }>(named: readonly Named[]): Named[] {
  return [...named].sort((a, b) => (a.behaviour < b.behaviour ? -1 : 1));
}

function byExperiment<Named extends Pick<Stamped, 'timeMs'> & { readonly experiment: string }>(
  named: readonly Named[],
): Named[] {
  return [...named].sort((a, b) => (a.experiment < b.experiment ? -1 : 1));
}

/** Exactly the behaviours that are held, each with the part that it came by. */
export function heldAs({ held }: Pick<LinkedPerson, 'held'>, { behaviours }: Buyer): string {
  const named = (each: { timeMs: number; behaviour: string; part: number }): string =>
    `${each.timeMs} ${each.behaviour} ${each.part}`;
  const expected = held.map(named).join();
  const actual = behaviours.map(named).join();
  return expected === actual ? 'as applied' : `${actual} instead of ${expected}`;
}

/** The steps that were counted, and each level that stands with the parts that it needs. */
export function compareStanding(
  { comparison }: Scope,
  key: string,
  { funnels, nextPart }: LinkedPerson,
  state: Buyer,
): void {
  for (const { id, revision, counted, standing } of funnels) {
    const kept = state.funnels.find((each) => each.id === id && each.revision === revision);
    const expected = { counted, standing: nextPart > 1 ? inOrder(standing) : [] };
    const actual = { counted: kept?.counted ?? 0, standing: inOrder(kept?.reached ?? []) };
    comparison.fields('linked levels', `buyer ${key} funnel ${id} revision ${revision}`, expected, actual);
  }
}

function inOrder(standing: readonly StandingLevel[]): string[] {
  return standing.map(({ level, parts }) => `${level} needs ${parts.join() || 'none'}`).sort();
}
