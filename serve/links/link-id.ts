// A link's id, `<partition>-<offset>-<anonymousId>`: the position of its record in the log of the visitor's owner, and who the visitor is.
import { z } from 'zod';
import { buyerPartition } from '../../platform/keys.ts';
import { problemError } from '../problem-details.ts';

const FORM = /^(\d{1,4})-(\d{1,16})-(.+)$/s;

export const linkIdText = z
  .string()
  .min(1)
  .max(300)
  .meta({
    description: '`<partition>-<offset>-<anonymousId>`, as `GET /v1/buyers/{key}` names it.',
    examples: ['7-1204-visitor-1'],
  });

export interface LinkId {
  readonly text: string;
  /** Of the visitor's owner. */
  readonly partition: number;
  readonly offset: number;
  /** The visitor's key. */
  readonly visitor: string;
}

/** @throws 400 for what has not the form of an id, 404 if the visitor belongs to another partition than the id says */
export function linkIdOf(given: string): LinkId {
  const text = given.toWellFormed();
  const [, partition, offset, anonymousId] = FORM.exec(text) ?? [];
  if (anonymousId === undefined) {
    throw problemError({
      status: 400,
      code: 'invalid',
      detail: `${JSON.stringify(text)} is no link id: they are <partition>-<offset>-<anonymousId>, such as 7-1204-visitor-1.`,
    });
  }
  const id = { text, partition: Number(partition), offset: Number(offset), visitor: `a:${anonymousId}` };
  if (buyerPartition(id.visitor) !== id.partition) throw unknownLink(id);
  return id;
}

export function unknownLink({ text, visitor }: LinkId) {
  return problemError({
    status: 404,
    code: 'unknown_link',
    detail: `There is no link ${JSON.stringify(text)}, or more than 16 came after it. GET /v1/buyers/{key} of the user, or of ${visitor}, names those that there are.`,
  });
}
