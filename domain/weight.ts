// The weights of definitions, by names that buyers bring.
import { countryMeant } from './attributes.ts';

/** What a name weighs; 0 for none. Names come from outside: one that every object has, such as `constructor`, has no weight. */
export function weightOf(weights: Readonly<Record<string, number>>, name: string | undefined): number {
  return name !== undefined && Object.hasOwn(weights, name) ? weights[name]! : 0;
}

/** What a country weighs, by its code in force: a definition of before GB stood for UK goes on to mean the same. */
export function countryWeightOf(weights: Readonly<Record<string, number>>, country: string): number {
  const meant = countryMeant(country);
  const isByOldName = meant === countryMeant('UK') && !Object.hasOwn(weights, meant);
  return weightOf(weights, isByOldName ? 'UK' : meant);
}
