// Before a change is saved: what it would have said over the last days, beside what is in force says of the same days.
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import type {
  AccountDefinition,
  BehaviourMap,
  CampaignDefinition,
  DefinitionType,
  FunnelDefinition,
  InForce,
  LifecycleDefinition,
  OpportunityDefinition,
  ScoreDefinition,
} from '../../../domain/definition.ts';
import type { ExperimentDefinition, SegmentDefinition } from '../../../domain/experiment-definition.ts';
import type { TriggerDefinition } from '../../../domain/receiver-definition.ts';
import { checkChange } from '../../../platform/definition-check.ts';
import { iso } from '../../answer.ts';
import type { Dependencies } from '../../dependencies.ts';
import { problemError } from '../../problem-details.ts';
import { reportProblems, reportRunner } from '../../reports/named-queries.ts';
import { period } from '../../reports/period.ts';
import { querySchema, requestSchema, responses } from '../../schema.ts';
import { oneParams, tags, typeOf, writing } from '../shapes.ts';
import { measureBehaviours, measureFunnel, measureLifecycle, measureScore } from './behaviour.ts';
import { halfLifeNote } from './half-life.ts';
import { measureAccount, measureCampaign, measureOpportunity, measureTrigger } from './outcomes.ts';
import { comparedMeasure, type Measure, openPast, type Past, rulesOf } from './past.ts';
import { createPreviewTurns, PREVIEW_SECONDS_MAX, PREVIEWS_MAX } from './preview-turns.ts';
import { measureExperiment, measureSegment, unknownAttributes } from './targeting.ts';

type PreviewPorts = Pick<Dependencies, 'clickhouse' | 'definitionLog' | 'generations' | 'clock'>;

const DAY_MS = 86_400_000;
const DAYS_MAX = 90;

interface Kind {
  /** Of many buyers it looks at a sample (`past.oneIn`); else ClickHouse reads everything. */
  readonly sampled: boolean;
  /** What the reader of the numbers must know. @param current what is in force, if anything is */
  note(document: unknown, current: unknown, past: Past): string | Promise<string>;
  measure(document: unknown, past: Past, id: string): Promise<Measure[]>;
}

const asPersons =
  'Buyers are persons, by the links as they stand now; what lies before the period is not seen, so they begin anew with it.';

function contextNote(attributes: readonly string[]): string {
  return attributes.length === 0
    ? ''
    : ` Of the past only country, industry, channel, level and stage are known: ${attributes.join(', ')} counts as absent.`;
}

/** Undefined where nothing can be said. */
const kinds: Readonly<Record<DefinitionType, Kind | undefined>> = {
  settings: undefined,
  receiver: {
    sampled: false,
    note: () => 'A receiver measures nothing: it is told of triggers from then on.',
    measure: async () => [],
  },
  behaviours: {
    sampled: false,
    note: () => `Events by behaviour, and every funnel in force by the changed names. ${asPersons}`,
    measure: (document, past, id) => {
      const maps = past.list<BehaviourMap>('behaviours').filter((map) => map.id !== id);
      const all = [...maps, { id, document: document as BehaviourMap }];
      return measureBehaviours(rulesOf(all.sort((a, b) => (a.id < b.id ? -1 : 1))), past);
    },
  },
  funnel: {
    sampled: false,
    note: () => `How many buyers reached each step, by ClickHouse’s windowFunnel. ${asPersons}`,
    measure: (document, past) => measureFunnel(document as FunnelDefinition, past),
  },
  lifecycle: {
    sampled: true,
    note: () => `How many buyers are in which stage at the end of the period. ${asPersons}`,
    measure: (document, past) => measureLifecycle(document as LifecycleDefinition, past),
  },
  opportunity: {
    sampled: true,
    note: () =>
      `What a buyer asked about one subject counts as one opportunity, with the country and level that the buyer had said by then, before the period too. ${asPersons}`,
    measure: (document, past) => measureOpportunity(document as OpportunityDefinition, past),
  },
  score: {
    sampled: false,
    note: async (document, current, past) => {
      const scores = [document, ...(current === undefined ? [] : [current])] as ScoreDefinition[];
      const halfLife = await halfLifeNote(scores, past);
      return `The distribution over the buyers of the period, as of its end. ${asPersons}${halfLife}`;
    },
    measure: (document, past) => measureScore(document as ScoreDefinition, past),
  },
  account: {
    sampled: false,
    note: () =>
      'What was spent, day by day of the account, against its daily budget: from the beginning of the day in which the period begins; the last day as far as it has come.',
    measure: (document, past, id) => measureAccount(document as AccountDefinition, past, id),
  },
  campaign: {
    sampled: false,
    note: () =>
      'What was spent where it would be shown. What other bids would have won cannot be said from what was won.',
    measure: (document, past, id) => measureCampaign(document as CampaignDefinition, past, id),
  },
  segment: {
    sampled: true,
    note: (document, _current, past) =>
      `Buyers of the period who match, by all that they said before its end.${contextNote(unknownAttributes((document as SegmentDefinition).conditions, past))}`,
    measure: (document, past) => measureSegment(document as SegmentDefinition, past),
  },
  experiment: {
    sampled: true,
    note: (document, _current, past) =>
      `The variants that buyers of the period would get by hash; who was exposed before keeps what was seen.${contextNote(unknownAttributes((document as ExperimentDefinition).targeting, past))}`,
    measure: (document, past, id) => measureExperiment(document as ExperimentDefinition, past, id),
  },
  trigger: {
    sampled: false,
    note: () => 'How often what it asks for happened.',
    measure: (document, past) => measureTrigger(document as TriggerDefinition, past),
  },
};

/** Both side by side, in the order of the changed one. */
function compare(current: readonly Measure[] | null, changed: readonly Measure[]) {
  const nameOf = ({ group, name }: Measure): string => JSON.stringify([group, name]);
  const before = new Map((current ?? []).map((measure) => [nameOf(measure), measure]));
  const after = new Map(changed.map((measure) => [nameOf(measure), measure]));
  const gone = [...before.values()].filter((measure) => !after.has(nameOf(measure)));
  return [...after.values(), ...gone].map((measure) => ({
    group: measure.group,
    name: measure.name,
    current: before.get(nameOf(measure))?.value ?? null,
    changed: after.get(nameOf(measure))?.value ?? null,
  }));
}

const query = z.object({ days: z.int().min(1).max(DAYS_MAX).default(7) });
const body = writing.pick({ document: true });
const answer = z.object({
  type: z.string(),
  id: z.string(),
  period,
  revision: z.int().nullable().meta({ description: 'In force now; null if there is none.' }),
  answerable: z.boolean().meta({ description: 'False where the past says nothing about such a change.' }),
  note: z.string().meta({ description: 'What the numbers are, and what they leave out.' }),
  sampledOneIn: z
    .int()
    .meta({ description: '1: all buyers were looked at; else one in so many, and counts are scaled.' }),
  measures: z.array(comparedMeasure),
});
const schema = {
  tags,
  summary: 'What a changed definition would have said over the last days',
  description:
    'Nothing is changed. The document is checked as it would be for saving it. ' +
    `It ends after ${PREVIEW_SECONDS_MAX} s (422 \`too_wide\`), and when its client is gone; a process makes ${PREVIEWS_MAX} at a time.`,
  params: requestSchema(oneParams),
  querystring: querySchema(query),
  body: requestSchema(body),
  response: responses(
    { 200: answer },
    {
      422: `\`invalid_definition\`: it could not be saved. ${reportProblems[422]}`,
      503: `\`too_many_previews\`: as many as one process makes are under way. ${reportProblems[503]}`,
    },
  ),
};

/** @throws 422 for what could not be saved */
function soundDocument(deps: PreviewPorts, type: DefinitionType, id: string, document: unknown): unknown {
  const checked = checkChange(deps.definitionLog, { type, id, document });
  if (checked.outcome === 'sound') return checked.document;
  const reasons = 'reasons' in checked ? checked.reasons : [];
  const detail = `It could not be saved: ${reasons.join('; ')}.`;
  throw problemError({ status: 422, code: 'invalid_definition', detail, members: { reasons } });
}

interface Change {
  readonly kind: Kind;
  readonly id: string;
  readonly current: InForce | undefined;
  readonly document: unknown;
}

async function measured({ kind, id, current, document }: Change, past: Past) {
  const before = current === undefined ? null : await kind.measure(current.document, past, id);
  const after = await kind.measure(document, past, id);
  return {
    answerable: true,
    note: await kind.note(document, current?.document, past),
    sampledOneIn: kind.sampled ? past.oneIn : 1,
    measures: compare(before, after),
  };
}

/** Register under a secret key. */
export function registerDefinitionPreview(app: FastifyInstance, deps: PreviewPorts): void {
  const turns = createPreviewTurns();
  app.post('/v1/definitions/:type/:id/preview', { schema }, async (request, reply) => {
    const { type: text, id } = request.params as z.infer<typeof oneParams>;
    const { days } = request.query as z.infer<typeof query>;
    const type = typeOf(text);
    const document = soundDocument(deps, type, id, (request.body as z.infer<typeof body>).document);
    const toMs = deps.clock.nowMs();
    const fromMs = toMs - days * DAY_MS;
    const current = deps.definitionLog.find(type, id);
    const kind = kinds[type];
    const said = {
      type,
      id,
      period: { from: iso(fromMs), to: iso(toMs) },
      revision: current?.revision ?? null,
    };
    if (kind === undefined) {
      const note = `What other ${type} would have made of the last days cannot be said: the log would have to be replayed with them.`;
      return { ...said, answerable: false, note, sampledOneIn: 1, measures: [] };
    }
    return turns.take(reply, async (signal) => {
      const past = await openPast({
        run: reportRunner(deps.clickhouse, signal),
        fromMs,
        toMs,
        generations: deps.generations,
        list: (listed) => deps.definitionLog.list(listed),
        historyOf: (...name) => deps.definitionLog.historyOf(...name),
      });
      return { ...said, ...(await measured({ kind, id, current, document }, past)) };
    });
  });
}
