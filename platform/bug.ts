// Bugs on purpose: the tests of `flywheel verify` switch one on and expect it to be found.

export const bugNames = [
  'last-row-dropped',
  'folded-twice',
  'lost-timer',
  'stale-cache',
  'late-applied',
  'duplicate-applied',
  'notice-beside-report',
  'lease-forgotten',
  'chunk-folded-twice',
  'chunk-skipped',
  'forward-judged-late',
  'step-counted-by-merge',
  'revoked-link-counts',
] as const;
export type BugName = (typeof bugNames)[number];

/** True if that bug is switched on. */
export type Bug = (name: BugName) => boolean;

/** @throws Error if the setting is neither empty nor a bug's name */
export function createBug(setting: string): Bug {
  if (setting === '') return () => false;
  if (!(bugNames as readonly string[]).includes(setting)) {
    throw new Error(`the bug ${JSON.stringify(setting)} must be one of ${bugNames.join(', ')}`);
  }
  return (name) => name === setting;
}
