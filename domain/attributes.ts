// What a collected record says about its buyer: country, industry, channel, level. Read from the places
// where clients of the Segment spec put them; the first that has a usable value wins.
import type { SegmentRecord } from './buyer-record.ts';

export interface BuyerAttributes {
  readonly country: string | undefined;
  readonly industry: string | undefined;
  readonly channel: string | undefined;
  readonly level: string | undefined;
}

/** What is not known of a buyer is called so, in segments and wherever a definition names it. */
export const UNKNOWN = { country: 'ZZ', industry: 'unknown', channel: 'direct', level: 'unknown' } as const;

const COUNTRY = /^[A-Za-z]{2}$/;

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' && value.length <= 64 ? value : undefined;
}

function field(source: Record<string, unknown> | undefined, name: string): unknown {
  return source === undefined ? undefined : source[name];
}

function nested(source: Record<string, unknown> | undefined, outer: string, name: string): unknown {
  const inner = field(source, outer);
  return typeof inner === 'object' && inner !== null ? (inner as Record<string, unknown>)[name] : undefined;
}

/** A separator of ours must not be forged by a value from outside. */
function label(value: unknown): string | undefined {
  const plain = text(value);
  return plain?.includes('|') ? plain.replaceAll('|', '/') : plain;
}

/**
 * ISO 3166-1 has GB for what many call UK: of all codes that it does not have the one in everyday use, and definitions may only
 * name GB. All others stay as they are: what a code means must not change with the runtime, or a replay would differ.
 */
export function countryMeant(code: string): string {
  return code === 'UK' ? 'GB' : code;
}

/** ISO 3166-1 alpha-2 in capitals. A name such as `Germany` says nothing: what is known by a code stands. */
function countryOf(value: unknown): string | undefined {
  const code = text(value);
  return code !== undefined && COUNTRY.test(code) ? countryMeant(code.toUpperCase()) : undefined;
}

/** The first that can be used: an empty field hides none that is filled. */
function firstUsable(read: (value: unknown) => string | undefined, places: unknown[]): string | undefined {
  for (const place of places) {
    const value = read(place);
    if (value !== undefined) return value;
  }
  return undefined;
}

/** The buyer's attributes as this record states them; absent where it is silent. */
export function attributesOf(record: SegmentRecord): BuyerAttributes {
  const { properties, traits, context } = record;
  const own = (name: string): unknown[] => [
    field(traits, name),
    field(properties, name),
    nested(context, 'traits', name),
  ];
  const [said, shown, remembered] = own('country');
  return {
    country: firstUsable(countryOf, [said, shown, nested(context, 'location', 'country'), remembered]),
    industry: firstUsable(label, own('industry')),
    channel: firstUsable(label, [
      field(properties, 'channel'),
      nested(context, 'campaign', 'medium'),
      nested(context, 'campaign', 'source'),
    ]),
    level: firstUsable(label, own('level')),
  };
}
