// What differs between two documents: a JSON Patch (RFC 6902) whose operations also say what was there before.
import { applyPatch, createPatch, Pointer } from 'rfc6902';
import { z } from 'zod';

/** One operation; members that RFC 6902 does not know (`was`) are ignored by who applies it (section 4). */
export const operation = z.object({
  op: z.string().meta({ examples: ['replace'] }),
  path: z.string().meta({ examples: ['/windowMs'] }),
  value: z.unknown().optional(),
  was: z.unknown().optional().meta({ description: 'What stood there before.' }),
});
export type Operation = z.infer<typeof operation>;

/** From one document to another; null where there is none. The operations hold in their order. */
export function differenceOf(from: unknown, to: unknown): Operation[] {
  // In an object of their own, so that a whole document can be put, replaced and taken away by the same rules.
  const state = { document: structuredClone(from) };
  return createPatch(state, { document: to }).map((step) => {
    const was: unknown = step.op === 'add' ? undefined : Pointer.fromJSON(step.path).get(state);
    const operation: Operation = {
      op: step.op,
      path: step.path.slice('/document'.length),
      ...('value' in step ? { value: structuredClone(step.value) as unknown } : {}),
      ...(was === undefined ? {} : { was: structuredClone(was) }),
    };
    applyPatch(state, [structuredClone(step)]);
    return operation;
  });
}
