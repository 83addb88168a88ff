// Links between visitors and users: how one stands, and taking it back. The API only asks: the visitor's owner decides, by
// the order of its log (docs/decisions/identity.md).
import { createHash } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import type { BuyerPart } from '../../domain/buyer.ts';
import { type Settings, settings as settingsSchema } from '../../domain/definition.ts';
import type { RevokeRecord } from '../../domain/identity-record.ts';
import { buyerPartition } from '../../platform/keys.ts';
import { iso, isoOrNull, isoTime } from '../answer.ts';
import type { Dependencies } from '../dependencies.ts';
import type { Intake } from '../intake.ts';
import { problemError } from '../problem-details.ts';
import { requestSchema, responses } from '../schema.ts';
import { type BuyerReading, fromRedis, type StateReader } from '../state.ts';
import { type LinkId, linkIdOf, linkIdText, unknownLink } from './link-id.ts';
import {
  type KnownLink,
  knownLink,
  levelsThatNeed,
  type Separability,
  separabilityOf,
} from './link-standing.ts';

type Ports = Pick<Dependencies, 'definitionLog' | 'namespace' | 'clock'> & { readonly intake: Intake };

const tags = ['buyers'];
const params = z.object({ id: linkIdText });
const nullableTime = isoTime.nullable();

const brought = z.object({
  merged: isoTime.meta({ description: 'When it was joined, by the watermark of the user’s partition.' }),
  firstSeen: nullableTime,
  lastSeen: nullableTime,
  totals: z.array(z.object({ behaviour: z.string(), count: z.int() })),
  behaviours: z.int().meta({ description: 'Behaviours that are still held, for funnels.' }),
  levels: z
    .array(z.object({ funnel: z.string(), revision: z.int(), level: z.int(), without: z.int() }))
    .meta({ description: 'Funnel levels of the user that need it, and what remains without it.' }),
  opportunities: z
    .array(z.object({ id: z.string(), subject: z.string(), alone: z.boolean() }))
    .meta({ description: 'Open ones that it has a share in; alone: nobody else has.' }),
});

const linkAnswer = z.object({
  id: z.string(),
  visitor: z.string().meta({ examples: ['a:visitor-1'] }),
  user: z.string().meta({ examples: ['u:buyer-42'] }),
  status: z.enum(['active', 'superseded', 'revoked', 'expired']),
  since: nullableTime.meta({
    description: 'By the watermark of the visitor’s partition; null once it has ended.',
  }),
  asOf: nullableTime.meta({ description: 'The watermark of the user’s partition.' }),
  brought: brought.nullable().meta({
    description:
      'Null while it is on its way, after it was taken back, and once it is the user’s own for good.',
  }),
  revocable: z.boolean(),
  revocableUntil: nullableTime.meta({ description: 'Null if it is not, or as long as it is on its way.' }),
  notRevocable: z.string().nullable().meta({ description: 'Why it cannot be taken back.' }),
});

const revocation = z.object({
  author: z
    .string()
    .min(1)
    .max(128)
    .meta({ description: 'Who takes it back.', examples: ['ana@example.com'] }),
  reason: z
    .string()
    .min(1)
    .max(1_024)
    .meta({ description: 'Why.', examples: ['a shared computer'] }),
});

const accepted = z.object({
  id: z.string(),
  visitor: z.string(),
  user: z.string(),
  messageId: z.string().meta({ description: 'The same for the same link: repeats are one.' }),
  takesBack: brought.nullable().meta({ description: 'What the user loses; null if it is still on its way.' }),
  visitorSpeaksAgain: z
    .boolean()
    .meta({ description: 'The link is in force: the visitor is somebody of its own again from then on.' }),
});

interface Standing {
  readonly link: KnownLink;
  readonly user: BuyerReading;
  readonly separability: Separability;
}

/** How far the user's owner has taken what this partition sent it; `<partition>:<offset>:<ordinal>`, comma separated, in its head. */
function receivedOffset(text: string | null, partition: number): number {
  const own = (text ?? '').split(',').find((position) => position.startsWith(`${partition}:`));
  return own === undefined ? -1 : Number(own.split(':')[1]);
}

/** @throws 404 */
async function standingOf(reader: StateReader, id: LinkId, settings: Settings): Promise<Standing> {
  const visitor = await reader.buyer(id.visitor);
  const link = knownLink(visitor.buyer, id);
  if (link === null) throw unknownLink(id);
  const { head } = reader.keysOf('events', buyerPartition(link.user));
  const [received, user] = await Promise.all([
    fromRedis(reader.redis.hget(head, 'received')),
    reader.buyer(link.user),
  ]);
  const separability = separabilityOf(id, link, user, receivedOffset(received, id.partition), settings);
  return { link, user, separability };
}

function broughtBy(user: BuyerReading, part: BuyerPart | null): z.infer<typeof brought> | null {
  const { buyer } = user;
  if (buyer === null || part === null) return null;
  const sharing = buyer.opportunities.filter(({ shares }) =>
    shares.some((each) => each.part === part.number),
  );
  return {
    merged: iso(part.mergedMs),
    firstSeen: isoOrNull(part.firstMs),
    lastSeen: isoOrNull(part.lastMs),
    totals: part.totals,
    behaviours: buyer.behaviours.filter((each) => each.part === part.number).length,
    levels: levelsThatNeed(buyer, part),
    opportunities: sharing.map(({ id, subject, shares }) => ({ id, subject, alone: shares.length === 1 })),
  };
}

function answerOf({ link, user, separability }: Standing, { visitor }: LinkId): z.infer<typeof linkAnswer> {
  const { separable, part } = separability;
  return {
    id: link.id,
    visitor,
    user: link.user,
    status: link.status,
    since: isoOrNull(link.sinceMs),
    asOf: isoOrNull(user.watermarkMs),
    brought: broughtBy(user, part),
    revocable: separable,
    revocableUntil: separable ? isoOrNull(separability.untilMs) : null,
    notRevocable: separable ? null : separability.why,
  };
}

/** The same for the same link, whoever asks. */
function revocationMessageId(link: string): string {
  return `revoke-${createHash('sha256').update(link).digest('hex').slice(0, 40)}`;
}

function refuse({ link, separability }: Standing): void {
  if (separability.separable) return;
  const revoked = link.status === 'revoked';
  throw problemError({
    status: 409,
    code: revoked ? 'already_revoked' : 'not_separable',
    detail: revoked
      ? `The link ${JSON.stringify(link.id)} was taken back before; nothing was done.`
      : `What came by the link ${JSON.stringify(link.id)} can no longer be told apart: ${separability.why}. It stays with ${link.user}.`,
  });
}

/** Register under a secret key. */
export function registerLinks(app: FastifyInstance, ports: Ports, reader: StateReader): void {
  const { definitionLog, namespace, clock, intake } = ports;
  const settingsNow = (): Settings =>
    definitionLog.list<Settings>('settings')[0]?.document ?? settingsSchema.parse({});
  const reading = {
    tags,
    summary: 'A link between a visitor and a user: how it stands, and what it brought',
    params: requestSchema(params),
    response: responses({ 200: linkAnswer }),
  };
  app.get('/v1/links/:id', { schema: reading }, async (request) => {
    const id = linkIdOf((request.params as z.infer<typeof params>).id);
    return answerOf(await standingOf(reader, id, settingsNow()), id);
  });
  const revoking = {
    tags,
    summary: 'Take a link back: the visitor was somebody else',
    description:
      'Answered once the log has it; the owners carry it out within moments. What came by the link leaves the user: ' +
      'behaviours, totals, levels that needed it. What was counted and told stays. Repeating it changes nothing.',
    params: requestSchema(params),
    body: requestSchema(revocation),
    response: responses({ 202: accepted }),
  };
  app.post('/v1/links/:id/revoke', { schema: revoking }, async (request, reply) => {
    const id = linkIdOf((request.params as z.infer<typeof params>).id);
    const { author, reason } = request.body as z.infer<typeof revocation>;
    const standing = await standingOf(reader, id, settingsNow());
    refuse(standing);
    const messageId = revocationMessageId(id.text);
    const record: RevokeRecord = {
      kind: 'revoke',
      messageId,
      key: id.visitor,
      link: id.text,
      by: author.toWellFormed(),
      why: reason.toWellFormed(),
      timestamp: clock.nowMs(),
    };
    const value = JSON.stringify(record);
    const { topics } = namespace;
    await intake.write(
      [{ topic: topics.events, partition: id.partition, key: id.visitor, value }],
      value.length,
    );
    const { link, user, separability } = standing;
    return reply.code(202).send({
      id: id.text,
      visitor: id.visitor,
      user: link.user,
      messageId,
      takesBack: broughtBy(user, separability.part),
      visitorSpeaksAgain: link.status === 'active',
    });
  });
}
