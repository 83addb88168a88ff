// The ClickHouse of a laptop and of tests: ClickHouse's HTTP interface in front of the engine that runs in this process,
// so that `@clickhouse/client` takes the same path here and in production. Started as a child with its parent's pipe as stdin.

import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { getPriority, setPriority } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { answerError, answerResult } from './clickhouse-answer.ts';
import { type Engine, openEngine } from './clickhouse-engine.ts';
import { addressOf, readRequest } from './clickhouse-request.ts';

/** As `nice` counts: lower than all others of the stack. */
const PRIORITY = 5;
const CLOSE_WAIT_MS = 5000;
/** As the real server's `keep_alive_timeout`; the client drops its idle sockets earlier. */
const KEEP_ALIVE_MS = 10_000;
/** What this machine is called by whoever is on it. */
const OWN_NAMES = new Set(['127.0.0.1', 'localhost', '[::1]']);

/** Answers one request; never throws. */
async function handle(
  engine: Engine,
  spoolFolder: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  response.setHeader('X-ClickHouse-Server-Display-Name', 'flywheel-local');
  const gone = new AbortController();
  response.on('close', () => {
    if (!response.writableFinished) gone.abort();
  });
  try {
    if (answersWithoutEngine(request, response)) return;
    const statement = await readRequest(request, spoolFolder);
    try {
      response.setHeader('X-ClickHouse-Query-Id', statement.queryId);
      const { sql, format, context, isInsert } = statement;
      const result = await engine.run(sql, format, context, gone.signal);
      await answerResult(request, response, {
        body: result.body,
        format,
        wantsCompression: statement.wantsCompression,
        figures: {
          readRows: result.rows,
          readBytes: result.bytes,
          writtenRows: isInsert ? result.rows : 0,
          writtenBytes: isInsert ? result.bytes : 0,
          resultRows: result.rows,
          elapsedSeconds: result.elapsedSeconds,
        },
      });
    } finally {
      await statement.discard();
    }
  } catch (error) {
    answerError(response, engine, error);
  }
}

/** Answers what is no statement, and what a page of the web sends: it needs no password here, and its reader knows nothing of it. */
function answersWithoutEngine(request: IncomingMessage, response: ServerResponse): boolean {
  const { pathname } = addressOf(request);
  if (pathname === '/ping' || (request.method === 'GET' && request.url === '/')) {
    response.end('Ok.\n');
    return true;
  }
  if (pathname !== '/') {
    response.statusCode = 404;
    response.end(`There is no handle ${pathname}\n`);
    return true;
  }
  if (isOfWebPage(request)) {
    response.statusCode = 403;
    response.end('Statements of web pages are refused: this server knows no users.\n');
    return true;
  }
  return false;
}

/**
 * What a page shows or goes to has no `Origin`, as an image: browsers say of it where it is from, and of what its reader typed `none`.
 * A page whose own name leads here says neither, but that name.
 */
function isOfWebPage({ headers }: IncomingMessage): boolean {
  if (!OWN_NAMES.has((headers.host ?? 'localhost').toLowerCase().replace(/:\d*$/, ''))) return true;
  return headers.origin !== undefined || (headers['sec-fetch-site'] ?? 'none') !== 'none';
}

/** Server configuration: the memory cap, and few background threads, because a laptop shares its cores with Kafka and the stream. */
function configuration(memoryBytesMax: number): string {
  return `<clickhouse>
  <max_server_memory_usage>${memoryBytesMax}</max_server_memory_usage>
  <background_pool_size>2</background_pool_size>
  <background_schedule_pool_size>4</background_schedule_pool_size>
  <background_common_pool_size>2</background_common_pool_size>
  <background_fetches_pool_size>1</background_fetches_pool_size>
  <background_move_pool_size>1</background_move_pool_size>
  <timezone>UTC</timezone>
  <merge_tree>
    <number_of_free_entries_in_pool_to_execute_mutation>1</number_of_free_entries_in_pool_to_execute_mutation>
    <number_of_free_entries_in_pool_to_lower_max_size_of_merge>1</number_of_free_entries_in_pool_to_lower_max_size_of_merge>
    <number_of_free_entries_in_pool_to_execute_optimize_entire_partition>1</number_of_free_entries_in_pool_to_execute_optimize_entire_partition>
  </merge_tree>
</clickhouse>
`;
}

function main(): void {
  const { values } = parseArgs({
    options: {
      port: { type: 'string' },
      dir: { type: 'string' },
      'memory-bytes': { type: 'string', default: String(4 * 1024 ** 3) },
    },
  });
  const dir = path.resolve(values.dir ?? '.');
  const spoolFolder = path.join(dir, 'spool');
  rmSync(spoolFolder, { recursive: true, force: true });
  mkdirSync(spoolFolder, { recursive: true });
  // On a machine that is shared, what is inserted and merged gives way to what somebody waits for.
  // Who was started lower still may not rise to it.
  if (getPriority() < PRIORITY) setPriority(PRIORITY);
  const configFile = path.join(dir, 'config.xml');
  writeFileSync(configFile, configuration(Number(values['memory-bytes'])));
  const engine = openEngine(path.join(dir, 'data'), configFile);

  let inFlight = 0;
  const server = createServer((request, response) => {
    inFlight += 1;
    response.on('close', () => {
      inFlight -= 1;
    });
    void handle(engine, spoolFolder, request, response);
  });
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  server.requestTimeout = 0;
  server.on('error', (error) => {
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  });
  server.listen(Number(values.port), '127.0.0.1', () => {
    process.stdout.write(`ready: ClickHouse ${engine.version} on port ${values.port}\n`);
  });

  let closing = false;
  const close = (): void => {
    if (closing) return;
    closing = true;
    server.close();
    server.closeIdleConnections();
    const giveUpAt = performance.now() + CLOSE_WAIT_MS;
    const poll = setInterval(() => {
      if (inFlight > 0 && performance.now() < giveUpAt) return;
      clearInterval(poll);
      if (inFlight === 0) engine.close();
      process.exit(0);
    }, 10);
  };
  process.on('SIGTERM', close);
  process.on('SIGINT', close);
  process.stdin.on('end', close).on('error', close).resume();
}

main();
