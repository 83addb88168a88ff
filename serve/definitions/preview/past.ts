// What a preview may ask of the last days: ClickHouse's rows of a period, by a mapping of names to behaviours.
import { z } from 'zod';
import type { BehaviourMap, DefinitionType, InForce } from '../../../domain/definition.ts';
import { clickhouseTime, type QueryParameters } from '../../../platform/named-query.ts';
import type { DefinitionView } from '../../dependencies.ts';
import type { ReportName, RunReport } from '../../reports/named-queries.ts';
import { clickhouseSeconds } from '../../reports/named-queries.ts';

/** One thing that a definition says of the past, such as a step's count. */
export interface Measure {
  /** What the measures beside it are parts of. */
  readonly group: string;
  readonly name: string;
  readonly value: number;
}

/** A measure by what is in force and by the changed definition; null where one of them does not say it. */
export const comparedMeasure = z.object({
  group: z.string().meta({ examples: ['steps'] }),
  name: z.string().meta({ examples: ['2 inquiry'] }),
  current: z.number().nullable(),
  changed: z.number().nullable(),
});

/** More buyers or events than that are judged by a sample, where ClickHouse cannot do it by itself. */
const BUYERS_MAX = 200_000;
const EVENTS_MAX = 1_000_000;
/** The same of contacts, inquiries and orders: each is a row of its own in our memory. */
const DEEP_MAX = 200_000;

type Rules = BehaviourMap['rules'];

export interface PastPorts {
  readonly run: RunReport;
  readonly fromMs: number;
  readonly toMs: number;
  readonly generations: { readonly events: number; readonly spend: number };
  list<Document>(type: DefinitionType): readonly InForce<Document>[];
  readonly historyOf: DefinitionView['historyOf'];
}

export interface Past {
  readonly fromMs: number;
  readonly toMs: number;
  /** Of so many buyers who asks for a sample looks at one, and scales what it counts; 1 where there are few. */
  readonly oneIn: number;
  /** The rules in force. */
  readonly rules: Rules;
  list<Document>(type: DefinitionType): readonly InForce<Document>[];
  /** The revisions of a definition, the first one first. */
  readonly historyOf: DefinitionView['historyOf'];
  /** Rows of `events` and what follows from them. */
  events<Row>(name: ReportName, parameters?: QueryParameters): Promise<Row[]>;
  spend<Row>(name: ReportName, parameters: QueryParameters): Promise<Row[]>;
}

/** The rules as the previews' queries take them. */
export function mappingOf(rules: Rules): QueryParameters {
  return {
    kinds: rules.map(({ kind }) => kind),
    names: rules.map(({ event }) => event ?? ''),
    whatever: rules.map(({ event }) => (event === undefined ? 1 : 0)),
    behaviours: rules.map(({ behaviour }) => behaviour),
  };
}

/** Of all behaviours definitions, in the order in which the stream reads them. */
export function rulesOf(maps: readonly { readonly document: BehaviourMap }[]): Rules {
  return maps.flatMap(({ document }) => document.rules);
}

export async function openPast({
  run,
  fromMs,
  toMs,
  generations,
  list,
  historyOf,
}: PastPorts): Promise<Past> {
  const within = {
    generation: generations.events,
    from: clickhouseTime(fromMs),
    to: clickhouseTime(toMs),
  };
  const rules = rulesOf(list<BehaviourMap>('behaviours'));
  const asked = { ...within, ...mappingOf(rules) };
  const [size] = await run<{ events: number; buyers: number; deep: number }>('preview-size', asked);
  const oneIn = Math.max(
    1,
    Math.ceil((size?.buyers ?? 0) / BUYERS_MAX),
    Math.ceil((size?.events ?? 0) / EVENTS_MAX),
    Math.ceil((size?.deep ?? 0) / DEEP_MAX),
  );
  return {
    fromMs,
    toMs,
    oneIn,
    rules,
    list,
    historyOf,
    events: (name, parameters = {}) => run(name, { ...within, ...parameters }),
    spend: (name, parameters) =>
      run(name, {
        generation: generations.spend,
        from: clickhouseSeconds(fromMs),
        to: clickhouseSeconds(toMs),
        ...parameters,
      }),
  };
}
