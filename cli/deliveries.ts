// `flywheel deliveries`: what receivers are owed, dead letters and their replay, signing secrets.
import { type Command, InvalidArgumentError } from 'commander';
import {
  type DeliveriesTopicRecord,
  type Delivery,
  type DeliveryStatus,
  deliveryStatuses,
} from '../domain/delivery.ts';
import { secretName } from '../domain/receiver-definition.ts';
import { readConfig } from '../platform/config.ts';
import { deliveryMessage, eachDeliveryRecord } from '../platform/delivery-log.ts';
import { createProducer } from '../platform/kafka.ts';
import { namespaceOf } from '../platform/namespace.ts';
import { PlatformError } from '../platform/platform-error.ts';
import { adviceOn, leftBehind } from '../platform/private-file.ts';
import { addWebhookSecret } from '../platform/webhook-secrets.ts';

const DELIVERY_TIMEOUT_MS = 10_000;

interface Selection {
  readonly receiver?: string;
}

/**
 * Of the deliveries whose last record `keep` wants, what it answers, by id; the latest change last. Of the others nothing is kept.
 * There are as many as the topic has: those that are open, and what `jobs` has not forgotten yet, a week behind its trigger's end.
 */
export function createSelection<Kept>(keep: (delivery: Delivery) => Kept | null) {
  const chosen = new Map<string, Kept>();
  return {
    chosen: chosen as ReadonlyMap<string, Kept>,
    take(record: DeliveriesTopicRecord | null): void {
      if (record?.kind === 'forgotten') chosen.delete(record.key);
      if (record?.kind !== 'delivery') return;
      chosen.delete(record.id);
      const kept = keep(record);
      if (kept !== null) chosen.set(record.id, kept);
    },
  };
}

async function select<Kept>(
  { receiver }: Selection,
  status: DeliveryStatus | undefined,
  show: (delivery: Delivery) => Kept,
) {
  const config = readConfig();
  const namespace = namespaceOf(config.namespace);
  const isWanted = (each: Delivery): boolean =>
    (receiver === undefined || each.receiver === receiver) &&
    (status === undefined || each.status === status);
  const { chosen, take } = createSelection((each) => (isWanted(each) ? show(each) : null));
  await eachDeliveryRecord(config.kafkaBrokers, namespace, take);
  return { config, namespace, chosen: [...chosen.values()] };
}

/** Asks for dead deliveries to be sent again: those named, or all of the selection. */
async function replay(ids: readonly string[], selection: Selection): Promise<void> {
  const { config, namespace, chosen } = await select(selection, 'dead', (each) => each);
  const unknown = ids.filter((id) => !chosen.some((each) => each.id === id));
  if (unknown.length > 0)
    throw new PlatformError(
      'NOT_DEAD',
      `not among the dead deliveries: ${unknown.join(', ')}; see \`flywheel deliveries list --status dead\``,
    );
  const wanted = ids.length === 0 ? chosen : chosen.filter(({ id }) => ids.includes(id));
  const producer = await createProducer({
    brokers: config.kafkaBrokers,
    clientId: 'flywheel-deliveries',
    deliveryTimeoutMs: DELIVERY_TIMEOUT_MS,
  });
  const atMs = Date.now();
  await producer.sendBatch(
    wanted.map((delivery) =>
      deliveryMessage(namespace, { kind: 'replay', id: delivery.id, by: 'flywheel', atMs, delivery }),
    ),
  );
  await producer.close();
  process.stdout.write(`${wanted.length} deliveries are to be sent again\n`);
}

/**
 * A delivery as one line of the list. What a receiver has answered is shown to whoever reads it, or is cut into fields: it can neither
 * begin a line or a field, nor tell the terminal anything. The record keeps it as it came.
 */
export function lineOf({ id, status, receiver, trigger, attempt, answer, detail }: Delivery): string {
  return [id, status, receiver, trigger.id, attempt, answer, detail]
    .map((field) => String(field).replace(/[\s\p{Cc}\p{Bidi_Control}]+/gu, ' '))
    .join('\t');
}

async function list(selection: Selection & { readonly status?: DeliveryStatus }): Promise<void> {
  const { chosen } = await select(selection, selection.status, lineOf);
  for (const line of chosen) process.stdout.write(`${line}\n`);
}

function nameOfSecret(text: string): string {
  if (secretName.safeParse(text).success) return text;
  throw new InvalidArgumentError(
    'receivers name it in their definition: letters, digits, dots, hyphens and underscores, at most 128, a letter or digit first',
  );
}

export function register(program: Command): void {
  const deliveries = program
    .command('deliveries')
    .description('triggers on their way to receivers: list, replay dead ones, make signing secrets');
  deliveries
    .command('list')
    .description('a line each: id, status, receiver, trigger, attempts, last HTTP status, why; tab separated')
    .option('--receiver <id>')
    .addOption(deliveries.createOption('--status <status>').choices(deliveryStatuses))
    .action(list);
  deliveries
    .command('replay')
    .description('send dead deliveries again, under the same webhook-id: those named, or all (of a receiver)')
    .argument('[ids...]')
    .option('--receiver <id>')
    .action(replay);
  deliveries
    .command('secret')
    .description('make a new signing secret of this name and print it; the one before it goes on signing too')
    .argument('<name>', 'what receivers call it by', nameOfSecret)
    .action(async (name: string) => {
      const file = readConfig().jobsSecretsFile;
      const former = leftBehind(file);
      process.stdout.write(`${await addWebhookSecret(file, name)}\n`);
      if (former !== undefined)
        process.stderr.write(`${file} is new: ${adviceOn(former, 'JOBS_SECRETS_FILE')}\n`);
    });
}
