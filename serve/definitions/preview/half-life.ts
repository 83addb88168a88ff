// What a score's preview must say of its half-life: live, the sums of one begin when the first score with it comes into force.
import type { ScoreDefinition } from '../../../domain/definition.ts';
import type { Past } from './past.ts';

/** Of each score in force with this half-life, the revision since which it has had it without a break. */
function beginningsOf(halfLifeMs: number, past: Past): { id: string; revision: number }[] {
  const has = (document: unknown): boolean => (document as ScoreDefinition | null)?.halfLifeMs === halfLifeMs;
  return past
    .list<ScoreDefinition>('score')
    .filter(({ document }) => has(document))
    .map(({ id, revision }) => {
      const other = past.historyOf('score', id).findLast(({ document }) => !has(document));
      return { id, revision: other === undefined ? 1 : Math.min(revision, other.revision + 1) };
    });
}

/** A sentence where the live sums have less than is measured; '' where they have the same. */
async function shortfallOf(halfLifeMs: number, past: Past): Promise<string> {
  const beginnings = beginningsOf(halfLifeMs, past);
  if (beginnings.length === 0)
    return (
      ` Live, engagement begins at 0 with this revision: no score in force has a halfLifeMs of ${halfLifeMs}, and the sums of one begin ` +
      'with the first score that has it. What buyers did before counts here and will not count there.'
    );
  const [row] = await past.events<{ behaviours: number; before: number }>('preview-half-life', {
    scores: beginnings.map(({ id }) => id),
    revisions: beginnings.map(({ revision }) => revision),
  });
  const { behaviours, before } = row!;
  if (before === 0) return '';
  return (
    ` Live, engagement by a halfLifeMs of ${halfLifeMs} lacks ${before} of the ${behaviours} behaviours of the period, which came before ` +
    'the first score that has it; here they count.'
  );
}

/** What the live state will not say as it is measured here: of the changed score, and of the one in force. */
export async function halfLifeNote(scores: readonly ScoreDefinition[], past: Past): Promise<string> {
  const halfLivesMs = new Set(scores.map(({ halfLifeMs }) => halfLifeMs));
  const notes = await Promise.all([...halfLivesMs].map((halfLifeMs) => shortfallOf(halfLifeMs, past)));
  return notes.join('');
}
