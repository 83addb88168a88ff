// `flywheel deliveries`: what receivers are owed, dead letters and their replay, signing secrets.
import { type Command, InvalidArgumentError } from 'commander';
import { type DeliveryStatus, deliveryStatuses } from '../domain/delivery.ts';
import { secretName } from '../domain/receiver-definition.ts';
import { readConfig } from '../platform/config.ts';
import { deliveryMessage, readDeliveries } from '../platform/delivery-log.ts';
import { createProducer } from '../platform/kafka.ts';
import { namespaceOf } from '../platform/namespace.ts';
import { PlatformError } from '../platform/platform-error.ts';
import { addWebhookSecret } from '../platform/webhook-secrets.ts';

const DELIVERY_TIMEOUT_MS = 10_000;

interface Selection {
  readonly receiver?: string;
}

async function select({ receiver }: Selection, status?: DeliveryStatus) {
  const config = readConfig();
  const namespace = namespaceOf(config.namespace);
  const { fold } = await readDeliveries(config.kafkaBrokers, namespace);
  const chosen = [...fold.deliveries.values()].filter(
    (each) =>
      (receiver === undefined || each.receiver === receiver) &&
      (status === undefined || each.status === status),
  );
  return { config, namespace, chosen };
}

/** Asks for dead deliveries to be sent again: those named, or all of the selection. */
async function replay(ids: readonly string[], selection: Selection): Promise<void> {
  const { config, namespace, chosen } = await select(selection, 'dead');
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

async function list(selection: Selection & { readonly status?: DeliveryStatus }): Promise<void> {
  const { chosen } = await select(selection, selection.status);
  for (const each of chosen) {
    const fields = [
      each.id,
      each.status,
      each.receiver,
      each.trigger.id,
      each.attempt,
      each.answer,
      each.detail,
    ];
    process.stdout.write(`${fields.join('\t')}\n`);
  }
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
    .description('id, status, receiver, trigger, attempts, last HTTP status, why; tab separated')
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
      process.stdout.write(`${await addWebhookSecret(readConfig().jobsSecretsFile, name)}\n`);
    });
}
