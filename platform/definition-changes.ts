// What a new revision of a definition may not change in what the one before it said.
import type { AccountDefinition, CampaignDefinition, DefinitionType } from '../domain/definition.ts';
import type { ExperimentDefinition } from '../domain/experiment-definition.ts';

/**
 * What a new revision may not change: everything that shares a budget has one owner, and its money one currency; who was
 * shown a variation of a running experiment keeps it.
 */
export function forbiddenChanges(type: DefinitionType, before: unknown, after: unknown): string[] {
  if (before === null || after === null) return [];
  if (type === 'campaign') {
    const { accountId } = before as CampaignDefinition;
    return accountId === (after as CampaignDefinition).accountId
      ? []
      : [`accountId: a campaign keeps its account (${accountId}) for life`];
  }
  if (type === 'account') {
    const { currency, utcOffsetMinutes } = before as AccountDefinition;
    const next = after as AccountDefinition;
    return [
      ...(currency === next.currency
        ? []
        : [`currency: an account keeps its currency (${currency}) for life`]),
      ...(utcOffsetMinutes === next.utcOffsetMinutes
        ? []
        : [`utcOffsetMinutes: an account keeps its days (${utcOffsetMinutes}) for life`]),
    ];
  }
  if (type === 'experiment')
    return variationsLost(before as ExperimentDefinition, after as ExperimentDefinition);
  return [];
}

function variationsLost(before: ExperimentDefinition, after: ExperimentDefinition): string[] {
  if (before.status !== 'running' || after.status !== 'running') return [];
  return before.variations
    .filter(({ key }) => !after.variations.some((variation) => variation.key === key))
    .map(
      ({ key }) =>
        `variations: ${key} may have been shown while the experiment runs; give it the weight 0, so that nobody new gets it, or stop the experiment first`,
    );
}
