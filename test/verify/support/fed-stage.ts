// A namespace with the small feed in it, applied by a real stream process (with a bug, if one is named) and drained.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { nothingImplied } from '../../../verify/implied.ts';
import { type Verdict, verify } from '../../../verify/main.ts';
import { startChild } from '../../e2e/support/child.ts';
import { feed } from '../../e2e/support/feeder.ts';
import { openStage, type Stage } from '../../e2e/support/stage.ts';
import { identityFeed, linkedFeed, revokesOf } from './identity-feed.ts';
import { writeSmallDefinitions } from './small-definitions.ts';
import { laterLeases, QUICK_LEASE_MS, receipts, smallFeed } from './small-feed.ts';

const RECEIPTS = 3;

/** Opens the stage, feeds it, lets a stream apply everything and stops it. */
export async function openFedStage(name: string, bug = ''): Promise<Stage> {
  const folder = mkdtempSync(path.join(tmpdir(), `flywheel-${name}-definitions-`));
  const definitionsDir = writeSmallDefinitions(folder);
  const stage = await openStage(name, { definitionsDir, environment: { FLYWHEEL_BUG: bug } });
  rmSync(folder, { recursive: true });
  await feed(stage, smallFeed(Date.now()), new Set());
  await feed(stage, identityFeed(), new Set());
  const fedMs = Date.now();
  const stream = startChild('stream', stage.environment);
  await stream.ready;
  await stage.untilDrained();
  await feed(stage, linkedFeed(), new Set());
  await feed(stage, receipts(await waitingTriggers(stage)), new Set());
  const freeFromMs = fedMs + QUICK_LEASE_MS + 500;
  await new Promise((resolve) => setTimeout(resolve, Math.max(0, freeFromMs - Date.now())));
  await feed(stage, laterLeases(Date.now() - 1), new Set());
  await feed(stage, revokesOf(await linksBegun(stage)), new Set());
  await stage.untilDrained();
  await stream.stop();
  return stage;
}

function waitingTriggers(stage: Stage): Promise<{ id: string; key: string }[]> {
  return stage.rows(
    `SELECT trigger_id AS id, key FROM triggers FINAL WHERE status = 'created' AND trigger_id NOT IN (SELECT trigger_id FROM triggers FINAL WHERE status = 'expired') ORDER BY id LIMIT ${RECEIPTS}`,
  );
}

function linksBegun(stage: Stage): Promise<{ link: string; visitor: string; user: string }[]> {
  return stage.rows(`SELECT link, visitor, user FROM identities FINAL WHERE change = 'linked' ORDER BY link`);
}

export function verifyStage(stage: Stage): Promise<Verdict> {
  return verify({ config: stage.config, implied: nothingImplied, waitMs: 2_000, onProgress: () => {} });
}

/** The kinds in which something differs. */
export function differentKinds({ kinds }: Verdict): string[] {
  return kinds.filter(({ differences }) => differences > 0).map(({ kind }) => kind);
}
