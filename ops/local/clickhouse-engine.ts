// The engine behind the ClickHouse front: one root session holds the data folder, every request runs in a session
// of its own, so that settings, parameters and the current database of one never reach another.

import { randomUUID } from 'node:crypto';
import { Session } from 'chdb';
import { ClickHouseError } from './clickhouse-answer.ts';
import { sqlLiteral } from './clickhouse-statement.ts';

/** Longest life of an idle named session, as the server's `max_session_timeout`. */
const NAMED_SESSION_IDLE_SECONDS_MAX = 3600;
const NAMED_SESSION_IDLE_SECONDS = 60;
const NAMED_SESSIONS_MAX = 1000;
const KILL_REPEAT_MS = 200;

/** What a statement runs with. */
export interface StatementContext {
  database: string | undefined;
  /** Settings by name, values as text. */
  settings: ReadonlyMap<string, string>;
  /** Query parameters by name, values escaped as the HTTP interface has them (TabSeparated escapes). */
  parameters: ReadonlyMap<string, string>;
  /** As the server has all that is not sent by POST: it may change settings, and nothing else. Not for a session with a name, which would stay so. */
  isReadOnly: boolean;
  sessionId: string | undefined;
  sessionTimeoutSeconds: number | undefined;
}

/** A finished statement; `rows` are those returned, or those written by an insert. */
export interface StatementResult {
  body: Uint8Array;
  rows: number;
  bytes: number;
  elapsedSeconds: number;
}

export interface Engine {
  version: string;
  /** Runs one statement. When `signal` aborts, the statement is killed in the engine. */
  run(sql: string, format: string, context: StatementContext, signal: AbortSignal): Promise<StatementResult>;
  close(): void;
}

interface NamedSession {
  session: Session;
  busy: boolean;
  timer: NodeJS.Timeout | undefined;
}

/**
 * Opens the data folder.
 * @param dataFolder created when missing; one process at a time may hold it
 * @param configFile server configuration in ClickHouse's XML (memory, threads)
 */
export function openEngine(dataFolder: string, configFile: string): Engine {
  const root = new Session(dataFolder, { connectionArgs: [`--config-file=${configFile}`] });
  const named = new Map<string, NamedSession>();
  const version = root.query('SELECT version()', 'TSV').trim();

  async function run(
    sql: string,
    format: string,
    context: StatementContext,
    signal: AbortSignal,
  ): Promise<StatementResult> {
    const held = holdSession(dataFolder, named, context);
    const marker = randomUUID();
    let killing: NodeJS.Timeout | undefined;
    // Repeated until the statement has ended: the first order may come before the engine lists it.
    const kill = (): void => {
      void root.queryAsync(`KILL QUERY WHERE Settings['log_comment'] = '${marker}' ASYNC`).catch(() => {});
      killing = setTimeout(kill, KILL_REPEAT_MS);
    };
    signal.addEventListener('abort', kill);
    try {
      await prepareSession(held.session, context, marker);
      signal.throwIfAborted();
      const result = await held.session.queryAsync(sql, { format });
      return {
        body: result.bytes(),
        rows: result.rowsRead,
        bytes: result.bytesRead,
        elapsedSeconds: result.elapsed,
      };
    } finally {
      signal.removeEventListener('abort', kill);
      clearTimeout(killing);
      held.release();
    }
  }

  return {
    version,
    run,
    close: () => {
      for (const { session, timer } of named.values()) {
        clearTimeout(timer);
        session.close();
      }
      root.close();
    },
  };
}

async function prepareSession(session: Session, context: StatementContext, marker: string): Promise<void> {
  if (context.database !== undefined) await session.queryAsync(`USE ${identifier(context.database)}`);
  // By itself and first: what comes behind it can not lift it.
  if (context.isReadOnly) await session.queryAsync('SET readonly = 2');
  const assignments = [`log_comment = '${marker}'`];
  for (const [name, value] of context.settings) {
    if (name !== 'log_comment') assignments.push(`${settingName(name)} = ${sqlLiteral(value)}`);
  }
  for (const [name, value] of context.parameters) {
    assignments.push(`${settingName(`param_${name}`)} = ${sqlLiteral(value)}`);
  }
  await session.queryAsync(`SET ${assignments.join(', ')}`);
}

function identifier(name: string): string {
  return `\`${name.replaceAll('\\', '\\\\').replaceAll('`', '\\`')}\``;
}

function settingName(name: string): string {
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
    throw new ClickHouseError(115, `Unknown setting '${name}'. (UNKNOWN_SETTING)`);
  }
  return name;
}

function holdSession(
  dataFolder: string,
  named: Map<string, NamedSession>,
  context: StatementContext,
): { session: Session; release: () => void } {
  const { sessionId } = context;
  if (sessionId === undefined) {
    const session = new Session(dataFolder);
    return { session, release: () => session.close() };
  }
  let entry = named.get(sessionId);
  if (entry?.busy) {
    throw new ClickHouseError(
      373,
      `Session ${sessionId} is locked by a concurrent client. (SESSION_IS_LOCKED)`,
    );
  }
  if (entry === undefined) {
    if (named.size >= NAMED_SESSIONS_MAX) {
      throw new ClickHouseError(202, 'Too many sessions. (TOO_MANY_SIMULTANEOUS_QUERIES)');
    }
    entry = { session: new Session(dataFolder), busy: false, timer: undefined };
    named.set(sessionId, entry);
  }
  const held = entry;
  held.busy = true;
  clearTimeout(held.timer);
  const idleSeconds = Math.min(
    context.sessionTimeoutSeconds ?? NAMED_SESSION_IDLE_SECONDS,
    NAMED_SESSION_IDLE_SECONDS_MAX,
  );
  return {
    session: held.session,
    release: () => {
      held.busy = false;
      held.timer = setTimeout(() => {
        named.delete(sessionId);
        held.session.close();
      }, idleSeconds * 1000).unref();
    },
  };
}
