// The weights of definitions, by names that buyers bring.

/** What a name weighs; 0 for none. Names come from outside: one that every object has, such as `constructor`, has no weight. */
export function weightOf(weights: Readonly<Record<string, number>>, name: string | undefined): number {
  return name !== undefined && Object.hasOwn(weights, name) ? weights[name]! : 0;
}
