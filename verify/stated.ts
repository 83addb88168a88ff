// What a message states of its buyer, read a second time: the places and the rules of docs/architecture.md, not the code of `domain/`.
import type { SegmentRecord } from '../domain/buyer-record.ts';

export interface StatedAttributes {
  readonly country?: string;
  readonly industry?: string;
  readonly channel?: string;
  readonly level?: string;
}

const CHARACTERS_MAX = 64;

/** Where each may stand, the place that counts first in front. */
const places = {
  country: ['traits.country', 'properties.country', 'context.location.country', 'context.traits.country'],
  industry: ['traits.industry', 'properties.industry', 'context.traits.industry'],
  channel: ['properties.channel', 'context.campaign.medium', 'context.campaign.source'],
  level: ['traits.level', 'properties.level', 'context.traits.level'],
} as const;

function at(record: SegmentRecord, place: string): unknown {
  return place
    .split('.')
    .reduce<unknown>((inner, name) => (inner as Record<string, unknown> | null)?.[name], record);
}

/** What a place says of it; undefined where it has nothing that counts. A country is its code of two letters, GB where it says UK. */
function read(name: keyof typeof places, value: unknown): string | undefined {
  if (typeof value !== 'string' || value.length === 0 || value.length > CHARACTERS_MAX) return undefined;
  if (name !== 'country') return value.split('|').join('/');
  if (!/^[a-z]{2}$/i.test(value)) return undefined;
  return /^uk$/i.test(value) ? 'GB' : value.toUpperCase();
}

export function statedAttributes(record: SegmentRecord): StatedAttributes {
  const found: Partial<Record<keyof typeof places, string>> = {};
  for (const [name, all] of Object.entries(places) as [keyof typeof places, readonly string[]][]) {
    const [first] = all.map((place) => read(name, at(record, place))).filter((value) => value !== undefined);
    if (first !== undefined) found[name] = first;
  }
  return found;
}
