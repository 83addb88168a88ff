// Definitions as files, so that a team can keep them in git: written from a running `serve`, and put in force through it.
import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { isDefinitionType } from '../platform/definition-document.ts';
import { readDefinitionFolder } from '../platform/definition-files.ts';
import { PlatformError } from '../platform/platform-error.ts';
import { askServe, problemIn, type ServeTarget } from './ask-serve.ts';
import { writeWholeJson } from './whole-file.ts';

interface Operation {
  readonly op: string;
  readonly path: string;
  readonly value?: unknown;
  readonly was?: unknown;
}

export interface Change {
  readonly action: 'create' | 'change' | 'withdraw';
  readonly type: string;
  readonly id: string;
  readonly revision: number;
  readonly patch: readonly Operation[];
}

export interface ImportPlan {
  readonly changes: readonly Change[];
  readonly unchanged: number;
  /** What the plan was compared with. */
  readonly tag: string;
  /** What was in the folder. It may be another when somebody has read the plan. */
  readonly asked: object;
}

const REQUEST_MS_MAX = 120_000;

/** @throws PlatformError DEFINITION_INVALID, DEFINITION_CONFLICT or SERVE_REFUSED, in the words of `serve` */
async function request<Body>(
  serve: ServeTarget,
  route: string,
  body?: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<{ body: Body; tag: string }> {
  const response = await askServe(serve, route, REQUEST_MS_MAX, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (response.ok) return { body: JSON.parse(text) as Body, tag: response.headers.get('etag') ?? '' };
  const problem = problemIn(text);
  const reasons = problem.reasons?.map((reason) => `\n  ${reason}`).join('');
  const made = problem.made?.map((name) => `\n  made: ${name}`).join('') ?? '';
  const message =
    reasons === undefined ? `${problem.detail ?? text}${made}` : `nothing was changed, because of:${reasons}`;
  if (response.status === 422) throw new PlatformError('DEFINITION_INVALID', message);
  if (response.status === 412 || response.status === 409)
    throw new PlatformError('DEFINITION_CONFLICT', message);
  throw new PlatformError('SERVE_REFUSED', `${serve.url}${route} answered ${response.status}: ${message}`);
}

/** `<type>/<id>.json` of definitions that lie in a folder. */
async function definitionFiles(folder: string): Promise<string[]> {
  const names = await readdir(folder, { recursive: true }).catch(() => []);
  return names.filter((name) => {
    const [type = '', file = '', ...deeper] = name.split(path.sep);
    return isDefinitionType(type) && file.endsWith('.json') && deeper.length === 0;
  });
}

export interface Exported {
  readonly written: number;
  /** Files of definitions that are no longer in force. */
  readonly removed: readonly string[];
}

/** Writes what is in force as `<folder>/<type>/<id>.json`, and removes the files of what is not: a later import changes nothing. */
export async function exportDefinitions(target: ServeTarget, folder: string): Promise<Exported> {
  const { body } = await request<{ definitions: { type: string; id: string; document: unknown }[] }>(
    target,
    '/v1/definitions',
  );
  const stale = new Set(await definitionFiles(folder));
  for (const { type, id, document } of body.definitions) {
    const name = path.join(type, `${id}.json`);
    // One that was cut where the export was killed would be refused by the import.
    await writeWholeJson(path.join(folder, name), document);
    stale.delete(name);
  }
  for (const name of stale) await rm(path.join(folder, name));
  return { written: body.definitions.length, removed: [...stale].sort() };
}

export interface ImportOptions {
  readonly folder: string;
  /** Leave alone what the folder does not hold; else it is withdrawn. */
  readonly keepOthers: boolean;
  readonly author?: string | undefined;
  readonly reason?: string | undefined;
}

async function importBody({ folder, keepOthers, author, reason }: ImportOptions): Promise<object> {
  const { documents, faults } = await readDefinitionFolder(folder);
  if (faults.length > 0) {
    throw new PlatformError(
      'DEFINITION_INVALID',
      `the definitions in ${folder} cannot be read:\n  ${faults.join('\n  ')}`,
    );
  }
  return {
    definitions: documents.map(({ type, id, document }) => ({ type, id, document })),
    withdrawOthers: !keepOthers,
    author,
    reason,
  };
}

/** What the import would change. @throws PlatformError DEFINITION_INVALID with every reason */
export async function planImport(target: ServeTarget, options: ImportOptions): Promise<ImportPlan> {
  const asked = await importBody(options);
  const { body, tag } = await request<ImportPlan>(target, '/v1/definitions/import?plan=true', asked);
  return { changes: body.changes, unchanged: body.unchanged, tag, asked };
}

/** Applies exactly the plan. @throws PlatformError DEFINITION_CONFLICT if anything has changed since it was made */
export async function applyImport(
  target: ServeTarget,
  plan: Pick<ImportPlan, 'tag' | 'asked'>,
): Promise<readonly Change[]> {
  const headers = { 'if-match': plan.tag };
  const route = '/v1/definitions/import';
  const { body } = await request<ImportPlan>(target, route, plan.asked, headers);
  return body.changes;
}

const signs = { create: '+', change: '~', withdraw: '-' } as const;

function describeOperation({ op, path: place, value, was }: Operation): string {
  const text = (said: unknown): string => JSON.stringify(said) ?? '';
  switch (op) {
    case 'add':
      return `+ ${place}: ${text(value)}`;
    case 'remove':
      return `- ${place}: ${text(was)}`;
    default:
      return `~ ${place}: ${text(was)} → ${text(value)}`;
  }
}

/** The plan as people read it: a line for each definition, and under a change one for each field. */
export function describePlan({ changes, unchanged }: Pick<ImportPlan, 'changes' | 'unchanged'>): string {
  const lines = changes.flatMap(({ action, type, id, revision, patch }) => [
    `${signs[action]} ${action} ${type}/${id} (revision ${revision})`,
    ...(action === 'change' ? patch.map((operation) => `    ${describeOperation(operation)}`) : []),
  ]);
  const count = (action: Change['action']): number =>
    changes.filter((change) => change.action === action).length;
  const summary = `${count('create')} to create, ${count('change')} to change, ${count('withdraw')} to withdraw, ${unchanged} unchanged`;
  return [...lines, summary].join('\n');
}
