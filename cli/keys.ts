// `flywheel keys`: who may call `serve`, until when and how often. It changes the file of hashed keys; every `serve` follows it.
import path from 'node:path';
import { type Command, Option } from 'commander';
import { replacePlainKey } from '../platform/api-keys.ts';
import { type Config, readConfig } from '../platform/config.ts';
import {
  changeHashedKeys,
  type HashedKey,
  type KeyLimits,
  readHashedKeys,
  type Scope,
} from '../platform/hashed-keys.ts';
import {
  type Created,
  createKey,
  limitKey,
  revokeKey,
  rotateKey,
  stateOf,
} from '../platform/key-administration.ts';
import { PlatformError } from '../platform/platform-error.ts';
import { adviceOn, elsewhere } from '../platform/private-file.ts';
import { addLimitOptions, durationMs, endMs, type LimitOptions, limitsOf } from './key-options.ts';

/** As much of a hash as tells keys apart. */
const ID_LENGTH = 12;

interface OutputOptions {
  readonly json?: boolean;
}

function print(options: OutputOptions, json: unknown, text: string): void {
  process.stdout.write(options.json === true ? `${JSON.stringify(json)}\n` : `${text}\n`);
}

function limitText({ requests, events }: KeyLimits): string {
  const text = (what: string, rate: KeyLimits['requests']): string[] =>
    rate === undefined ? [] : [`${rate.perSecond} ${what}/s, ${rate.burst} at once`];
  return [...text('requests', requests), ...text('events', events)].join('; ');
}

function shown(key: HashedKey, nowMs: number) {
  const { name, scope, sha256, createdAt, expiresAt, limits, replacedBy } = key;
  return {
    name,
    id: sha256.slice(0, ID_LENGTH),
    scope,
    state: stateOf(key, nowMs),
    createdAt: createdAt ?? null,
    expiresAt: expiresAt ?? null,
    replacedBy: replacedBy?.slice(0, ID_LENGTH) ?? null,
    limits: limits ?? {},
  };
}

/** One line a key, in columns. */
function table(keys: readonly ReturnType<typeof shown>[]): string {
  const rows = [
    ['NAME', 'ID', 'SCOPE', 'STATE', 'CREATED', 'EXPIRES', 'LIMITS'],
    ...keys.map((key) => [
      key.name,
      key.id,
      key.scope,
      key.state,
      key.createdAt ?? '-',
      key.expiresAt ?? 'never',
      limitText(key.limits) || 'none',
    ]),
  ];
  const widths = rows[0]!.map((_head, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function madeText(made: HashedKey, plain: string): string {
  const until = made.expiresAt === undefined ? 'never expires' : `expires at ${made.expiresAt}`;
  const limits = limitText(made.limits ?? {}) || 'no limits';
  return `${made.scope} key ${made.name}: ${until}; ${limits}\n\n  ${plain}\n\nIt is shown this once and kept nowhere. Every serve knows it within a second.`;
}

interface CreateOptions extends LimitOptions, OutputOptions {
  readonly scope: Scope;
  readonly expires?: number | 'never';
}

async function create(name: string, options: CreateOptions): Promise<void> {
  const config = readConfig();
  const nowMs = Date.now();
  const { scope, expires } = options;
  const wanted = {
    name,
    scope,
    expiresAtMs: expires === 'never' ? undefined : expires,
    limits: limitsOf(options),
  };
  const created = await changeHashedKeys(config.serveKeysFile, (keys) => {
    const { keys: after, result } = createKey(keys, wanted, nowMs);
    return { keys: after, result: { ...result, isFirst: keys.length === 0 } };
  });
  const { plain, made, isFirst } = created;
  print(options, { key: plain, ...shown(made, nowMs) }, madeText(made, plain));
  if (isFirst) {
    const former = elsewhere(config.serveKeysFile);
    process.stderr.write(
      `${path.resolve(config.serveKeysFile)} is new and holds this key alone: a serve knows it if it reads that file (SERVE_KEYS_FILE, FLYWHEEL_DIR)\n` +
        (former === undefined ? '' : `${adviceOn(former, 'SERVE_KEYS_FILE')}, and make no new keys\n`),
    );
  }
  await renewPlainFile(plainFileOf(config), created, options);
}

async function list(options: OutputOptions): Promise<void> {
  const { keys } = await readHashedKeys(readConfig().serveKeysFile);
  const all = keys.map((key) => shown(key, Date.now()));
  print(options, { keys: all }, table(all));
}

interface RotateOptions extends OutputOptions {
  readonly overlap: number;
  readonly expires?: number | 'never';
}

function plainFileOf(config: Config): string {
  return path.join(config.dir, 'keys.json');
}

async function rotate(name: string, options: RotateOptions): Promise<void> {
  const config = readConfig();
  const nowMs = Date.now();
  const { overlap, expires } = options;
  const rotation = { name, overlapMs: overlap, expiresAtMs: expires === 'never' ? null : expires };
  const rotated = await changeHashedKeys(config.serveKeysFile, (keys) => rotateKey(keys, rotation, nowMs));
  const { plain, made, before } = rotated;
  const old = shown(before, nowMs);
  const end = `The key before (${old.id}) is ${old.state === 'expired' ? 'refused since' : 'valid until'} ${old.expiresAt}.`;
  print(options, { key: plain, ...shown(made, nowMs), before: old }, `${madeText(made, plain)}\n${end}`);
  // Not before: what is printed is the only copy of the key, and the one before may be refused already.
  await renewPlainFile(plainFileOf(config), rotated, options);
}

/** Puts the key into the pair of `flywheel up`, if that is where one before stands. If it cannot, the change holds all the same. */
async function renewPlainFile(
  file: string,
  { replaced, plain, made }: Created,
  options: OutputOptions,
): Promise<void> {
  const hashes = replaced.filter(({ scope }) => scope === made.scope).map(({ sha256 }) => sha256);
  if (hashes.length === 0) return;
  try {
    const isLocal = await replacePlainKey(file, hashes, plain);
    if (isLocal && options.json !== true) process.stdout.write(`${file} has the new one.\n`);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    process.stderr.write(
      `The key was made, but could not be put into ${file}, where the one before may stand: ${why}\n`,
    );
    process.exitCode = 1;
  }
}

async function revoke(name: string, options: OutputOptions & { readonly replaced?: boolean }): Promise<void> {
  const onlyReplaced = options.replaced === true;
  const revoked = await changeHashedKeys(readConfig().serveKeysFile, (keys) =>
    revokeKey(keys, { name, onlyReplaced }),
  );
  const text = `${name}: ${revoked} revoked; every serve refuses within a second what is not in flight`;
  print(options, { name, revoked }, text);
}

async function limit(
  name: string,
  options: LimitOptions & OutputOptions & { readonly none?: boolean },
): Promise<void> {
  const limits = limitsOf(options);
  if ((limits === undefined) !== (options.none === true))
    throw new PlatformError('KEYS_REFUSED', 'say which limits the key is to have, or --none');
  await changeHashedKeys(readConfig().serveKeysFile, (keys) => limitKey(keys, { name, limits }));
  print(options, { name, limits: limits ?? {} }, `${name}: ${limitText(limits ?? {}) || 'no limits'}`);
}

function jsonOption(): Option {
  return new Option('--json', 'one line of JSON');
}

function endOption(what: string): Option {
  return new Option('--expires <when>', what).argParser(endMs);
}

export function register(program: Command): void {
  const keys = program
    .command('keys')
    .description('who may call serve, until when and how often: changes the hashed keys (SERVE_KEYS_FILE)');
  const creating = keys
    .command('create')
    .description('make a key and print it, this once')
    .argument('<name>', 'becomes the source of what the key sends')
    .addOption(
      new Option('--scope <scope>', 'write: collect and variants; secret: everything')
        .choices(['write', 'secret'])
        .makeOptionMandatory(),
    )
    .addOption(endOption('90d, an ISO 8601 time, or never (default)'));
  addLimitOptions(creating).addOption(jsonOption()).action(create);
  keys
    .command('list')
    .description('every key with its state: valid, replaced (valid until it expires), expired, revoked')
    .addOption(jsonOption())
    .action(list);
  keys
    .command('rotate')
    .description('make a new key of that name and print it; those before stay valid for the overlap at most')
    .argument('<name>')
    .addOption(
      new Option(
        '--overlap <duration>',
        'how long the key before is valid still: 24h, 7d; 0 ends all before at once',
      )
        .argParser(durationMs)
        .makeOptionMandatory(),
    )
    .addOption(
      endOption('of the new key (default: as long from now as the one before had; never if it had no end)'),
    )
    .addOption(jsonOption())
    .action(rotate);
  keys
    .command('revoke')
    .description('refuse all keys of that name from now on')
    .argument('<name>')
    .option('--replaced', 'only those that were replaced: ends the overlap of a rotation')
    .addOption(jsonOption())
    .action(revoke);
  const limiting = keys
    .command('limit')
    .description('set what the keys of that name may do; limits that are not named are lifted')
    .argument('<name>')
    .option('--none', 'lift all limits');
  addLimitOptions(limiting).addOption(jsonOption()).action(limit);
}
