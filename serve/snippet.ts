// The page snippet as `npm run build` made it: one script that any page may load, kept by caches for a while.
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { registerCrossOrigin } from './cross-origin.ts';
import type { Dependencies } from './dependencies.ts';
import { entityTagOf, isUnchanged } from './entity-tag.ts';
import { problemError } from './problem-details.ts';
import { problemResponse, requestSchema } from './schema.ts';

/** Beside this build; there is none when `serve` runs from the sources. */
const BUILT = fileURLToPath(new URL('../snippet/flywheel.js', import.meta.url));
/** A new version is in use everywhere within an hour, and no page waits for it. */
const CACHE_CONTROL = 'public, max-age=3600, stale-while-revalidate=86400';

async function readBuilt(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Registers the route inside a plugin scope of its own: no key is asked for, a page has none to show. */
export async function registerSnippet(
  app: FastifyInstance,
  { config }: Pick<Dependencies, 'config'>,
): Promise<void> {
  const script = await readBuilt(config.serveSnippetFile ?? BUILT);
  const tag = entityTagOf(script ?? null);
  registerCrossOrigin(app, []);
  const schema = {
    tags: ['collect'],
    security: [],
    summary: 'The page snippet',
    description: 'A script for pages: `<script async src="…/v1/flywheel.js" data-write-key="…">`.',
    headers: requestSchema(z.object({ 'if-none-match': z.string().optional() })),
    response: {
      200: { description: 'The script.', content: { 'text/javascript': { schema: { type: 'string' } } } },
      304: { type: 'null', description: 'Unchanged.' },
      '4xx': problemResponse,
      '5xx': problemResponse,
    },
  };
  app.get('/v1/flywheel.js', { schema }, async (request, reply) => {
    if (script === undefined) {
      throw problemError({
        status: 404,
        code: 'not_built',
        detail: 'This server has no page snippet: `npm run build` makes it.',
      });
    }
    // Pages that isolate themselves (COEP) load only what says that it may be loaded.
    reply.headers({
      etag: tag,
      'cache-control': CACHE_CONTROL,
      'cross-origin-resource-policy': 'cross-origin',
      'x-content-type-options': 'nosniff',
    });
    if (isUnchanged(request.headers['if-none-match'], tag)) return reply.code(304).send();
    return reply.type('text/javascript; charset=utf-8').serializer(String).send(script);
  });
}
