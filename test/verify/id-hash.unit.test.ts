// Two hands wrote the hash of an id: whatever the id, they say the same.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { idHash53 } from '../../domain/hash.ts';
import { idHash } from '../../verify/id-hash.ts';

it('is the engine’s, for texts of any length and sign', () => {
  const text = fc.oneof(
    fc.string(),
    fc.string({ unit: 'binary' }),
    fc.string({ unit: fc.constantFrom('ä', '😀', '\ud800', 'x') }),
  );
  fc.assert(
    fc.property(text, (id) => {
      expect(idHash(id)).toBe(idHash53(id));
    }),
    { numRuns: 3_000 },
  );
});
