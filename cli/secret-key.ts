// Where a command that talks to a running `serve` finds its address and the secret key.
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Config } from '../platform/config.ts';
import type { ServeTarget } from './ask-serve.ts';
import { FeedError } from './feed/post.ts';

/** The secret key that `flywheel up` left. @throws FeedError FEED_WRONG_ARGUMENT if there is none */
export async function readSecretKey(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new FeedError(
      'FEED_WRONG_ARGUMENT',
      `no keys at ${file}: start flywheel up, or name a file with --keys-file`,
      cause,
    );
  });
  const secret = secretIn(text);
  if (typeof secret === 'string') return secret;
  throw new FeedError(
    'FEED_WRONG_ARGUMENT',
    `${file} holds no secret key: it must be JSON, {"secret":"sk_…"}, without a byte order mark`,
  );
}

function secretIn(text: string): unknown {
  try {
    return (JSON.parse(text) as { secret?: unknown } | null)?.secret;
  } catch {
    // What JSON.parse says of it would show a part of the file.
    return undefined;
  }
}

export interface ServeOptions {
  readonly url?: string;
  readonly keysFile?: string;
}

/** Options first, then the environment (FLYWHEEL_URL, SECRET_KEY), then what `flywheel up` left on this machine. */
export async function serveOf(config: Config, options: ServeOptions): Promise<ServeTarget> {
  const url = options.url ?? config.serveUrl ?? `http://${config.serveHost}:${config.servePort}`;
  const file = options.keysFile ?? path.join(config.dir, 'keys.json');
  const secretKey = options.keysFile === undefined ? config.secretKey : undefined;
  return { url: url.replace(/\/+$/, ''), secretKey: secretKey ?? (await readSecretKey(file)) };
}
