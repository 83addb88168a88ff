// API keys: made once, shown to the user, kept by `serve` as hashes only.
import { createHash, randomBytes } from 'node:crypto';
import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { PlatformError } from './platform-error.ts';

/** 192 bits: a plain hash keeps such a key, it cannot be guessed back. */
const KEY_BYTES = 24;
const OWNER_ONLY = 0o600;

const apiKeyPair = z.object({
  /** May send data in. */
  write: z.string().regex(/^wk_[A-Za-z0-9_-]{32}$/),
  /** May do everything. */
  secret: z.string().regex(/^sk_[A-Za-z0-9_-]{32}$/),
});
export type ApiKeyPair = z.infer<typeof apiKeyPair>;

/** What else somebody has put into the hashed file stays there. */
const hashedKeys = z.looseObject({ keys: z.array(z.looseObject({ name: z.string() })) });

export interface ApiKeyFiles {
  /** The plain keys, for their user. */
  readonly plainFile: string;
  /** Names, scopes and hashes, for `serve`. */
  readonly hashedFile: string;
}

export function createApiKeys(): ApiKeyPair {
  return { write: `wk_${token()}`, secret: `sk_${token()}` };
}

/** SHA-256, hex. */
export function hashApiKey(key: string): string {
  return createHash('sha256').update(key).digest('hex');
}

/**
 * Returns the keys in the plain file, or makes some; writes the hashed file to match. Both are readable by their owner only.
 * @throws PlatformError KEYS_UNREADABLE if a file is there and holds no keys
 */
export async function ensureApiKeys({ plainFile, hashedFile }: ApiKeyFiles): Promise<ApiKeyPair> {
  const existing = await readJson(plainFile, apiKeyPair);
  const keys = existing ?? createApiKeys();
  if (existing === undefined) await writePrivate(plainFile, keys);
  else await chmod(plainFile, OWNER_ONLY);
  const ours = [
    { name: 'write', scope: 'write', sha256: hashApiKey(keys.write) },
    { name: 'secret', scope: 'secret', sha256: hashApiKey(keys.secret) },
  ];
  const { keys: others, ...rest } = (await readJson(hashedFile, hashedKeys)) ?? { keys: [] };
  const kept = others.filter(({ name }) => ours.every((key) => key.name !== name));
  await writePrivate(hashedFile, { ...rest, keys: [...ours, ...kept] });
  return keys;
}

async function readJson<Content>(file: string, schema: z.ZodType<Content>): Promise<Content | undefined> {
  try {
    return schema.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new PlatformError(
      'KEYS_UNREADABLE',
      `${file} holds no API keys: mend it, or remove it to get new ones`,
      {
        cause: error,
      },
    );
  }
}

/** The file appears whole and private, or not at all. */
async function writePrivate(file: string, content: unknown): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true });
  const unfinished = `${file}.${process.pid}.new`;
  await writeFile(unfinished, `${JSON.stringify(content, null, 2)}\n`, { mode: OWNER_ONLY });
  await rename(unfinished, file);
}

function token(): string {
  return randomBytes(KEY_BYTES).toString('base64url');
}
