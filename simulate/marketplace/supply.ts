// The other side: suppliers by category, a few of whom get most of the attention.
import { between, pick, type Random, randomOf, weighted } from './random.ts';
import { industries } from './world.ts';

export interface Supplier {
  readonly id: string;
  readonly industry: string;
  readonly category: string;
  /** Usual quantity of one inquiry. */
  readonly quantity: number;
  readonly priceUsd: number;
  readonly products: readonly string[];
}

export interface Supply {
  readonly suppliers: readonly Supplier[];
  /** A supplier of a category; the popular ones more often (rank^-0.9). */
  draw(category: string, random: Random): Supplier;
}

const SUPPLIERS_PER_CATEGORY = 28;
const PRODUCTS_PER_SUPPLIER = 12;

/** The same suppliers for the same seed. */
export function supplyOf(seed: string): Supply {
  const random = randomOf(`${seed}/supply`);
  const suppliers: Supplier[] = [];
  const draws = new Map<string, (random: Random) => Supplier>();
  for (const industry of industries) {
    for (const category of industry.categories) {
      const own = Array.from({ length: SUPPLIERS_PER_CATEGORY }, (_, index): Supplier => {
        const id = `s-${category}-${index + 1}`;
        return {
          id,
          industry: industry.name,
          category,
          quantity: industry.quantity * between(random, 0.4, 1.8),
          priceUsd: industry.priceUsd * between(random, 0.5, 2),
          products: Array.from(
            { length: PRODUCTS_PER_SUPPLIER },
            (__, product) => `p-${category}-${index + 1}-${product + 1}`,
          ),
        };
      });
      suppliers.push(...own);
      draws.set(
        category,
        weighted(own, (_, index) => (index + 1) ** -0.9),
      );
    }
  }
  return { suppliers, draw: (category, draw) => (draws.get(category) ?? ((r) => pick(r, suppliers)))(draw) };
}
