// What the definition routes share: the shape of an answer, its entity tag, and the names in an address.
import { z } from 'zod';
import { type DefinitionType, definitionTypes } from '../../domain/definition.ts';
import type { DefinitionRecord } from '../../domain/record.ts';
import { iso, isoTime } from '../answer.ts';
import type { DefinitionView } from '../dependencies.ts';
import { entityTagOf } from '../entity-tag.ts';
import { problemError } from '../problem-details.ts';

export const tags = ['definitions'];

const document = z.record(z.string(), z.unknown());
const author = z.string().meta({
  description: 'Who made the change; the name of the key if absent.',
  examples: ['ana@example.com'],
});
const reason = z.string().meta({
  description: 'Why; a change without it is refused (422).',
  examples: ['orders come after a call now'],
});

const described = {
  type: z.string().meta({ examples: ['funnel'] }),
  id: z.string().meta({ examples: ['sourcing'] }),
  revision: z.int().meta({ description: 'Counts on with every change, also over a withdrawal.' }),
  hash: z.string().meta({ description: 'SHA-256 of the canonical document.' }),
  author,
  reason,
  changedAt: isoTime,
};
export const definition = z.object({ ...described, document });
export const revision = z.object({
  ...described,
  document: document.nullable().meta({ description: 'Null: this revision withdrew it.' }),
});

/** What a writer sends: the same shape as an answer, of which only these are read. */
export const writing = z.object({
  document: z.record(z.string(), z.unknown()).meta({
    description:
      'The document by its kind (`components.schemas["Definition.<kind>"]`), as in the files `definitions/<kind>/<id>.json`.',
  }),
  author: author.max(128).optional(),
  reason: reason.max(1_024).optional(),
});

/** What a change is made for; who makes it is the key's name where nobody is named. @throws 422 without a reason */
export function reasonOf(said: string | undefined): string {
  if (said !== undefined && said.trim() !== '') return said;
  throw problemError({
    status: 422,
    code: 'reason_required',
    detail: 'Nothing was changed: say in `reason` why this is changed; it stays in the history, with who.',
  });
}

export const typeParams = z.object({
  type: z
    .string()
    .max(32)
    .meta({ description: definitionTypes.join(', '), examples: ['funnel'] }),
});
export const oneParams = typeParams.extend({
  id: z
    .string()
    .max(128)
    .meta({ examples: ['sourcing'] }),
});

/** A kind's name in an address. @throws 404 for a kind that there is not */
export function typeOf(text: string): DefinitionType {
  const type = definitionTypes.find((known) => known === text);
  if (type !== undefined) return type;
  throw problemError({
    status: 404,
    code: 'unknown_definition_type',
    detail: `There is no definition type ${JSON.stringify(text)}; there are ${definitionTypes.join(', ')}.`,
  });
}

/** Revision and hash: when a document comes back (A → B → A), who saw the first A has not seen this one. */
export function tagOf({ revision: number, hash }: Pick<DefinitionRecord, 'revision' | 'hash'>): string {
  return `"${number}-${hash.slice(0, 16)}"`;
}

/** Of everything that is in force. */
export function setTag(definitionLog: DefinitionView): string {
  return entityTagOf(
    definitionTypes.flatMap((type) =>
      definitionLog.list(type).map(({ id, revision: number, hash }) => [type, id, number, hash]),
    ),
  );
}

export function shownRevision(record: DefinitionRecord): z.infer<typeof revision> {
  const { type, id, revision: number, hash, by, why, at } = record;
  const { document: said } = record;
  return { type, id, revision: number, hash, author: by, reason: why, changedAt: iso(at), document: said };
}

/** One that is in force. */
export function shown(record: DefinitionRecord): z.infer<typeof definition> {
  return { ...shownRevision(record), document: record.document! };
}
