// Whether what a source sends has changed its shape: the newest events of each name beside those of past days.

/** One property of one event name: how many events had it, with which JSON type. */
export interface PropertyCount {
  /** `track`, `page`, … */
  readonly kind: string;
  readonly event: string;
  /** `properties.category`, `context.page.url`, …; empty counts the events themselves. */
  readonly path: string;
  /** `string`, `number`, `boolean`, `array`, `object`; empty where the path is. */
  readonly type: string;
  readonly count: number;
}

export type ShapeChangeKind = 'property_gone' | 'type_changed' | 'property_new' | 'event_new';
export const shapeChangeKinds = [
  'property_gone',
  'type_changed',
  'property_new',
  'event_new',
] as const satisfies ShapeChangeKind[];

export interface ShapeChange {
  readonly change: ShapeChangeKind;
  readonly kind: string;
  readonly event: string;
  readonly path: string;
  /** Share of the events that had it, in past days and now; for `type_changed`, of the occurrences with the new type. */
  readonly before: number;
  readonly now: number;
  /** A sentence for people. */
  readonly detail: string;
}

/** Events of a name that the past must have, and the newest, to be judged. */
export const PAST_EVENTS_MIN = 100;
export const NEW_EVENTS_MIN = 20;
/** A property that so many had nearly always was there. */
const ALWAYS_SHARE = 0.95;
/** It is gone when no more than so many still have it. */
const GONE_SHARE = 0.5;
/** A new type counts when so many occurrences have it. */
const NEW_TYPE_SHARE = 0.5;
/** One that was seen less than so often before was as good as never there. */
const NEVER_SHARE = 0.05;
/** A property or a name that only so few events had is a slip, no change. */
const APPEARANCES_MIN = 5;

interface Shape {
  events: number;
  readonly kind: string;
  readonly event: string;
  readonly properties: Map<string, Map<string, number>>;
}

function shapesOf(counts: readonly PropertyCount[]): Map<string, Shape> {
  const shapes = new Map<string, Shape>();
  for (const { kind, event, path, type, count } of counts) {
    const name = JSON.stringify([kind, event]);
    const shape = shapes.get(name) ?? { events: 0, kind, event, properties: new Map() };
    shapes.set(name, shape);
    if (path === '') {
      shape.events += count;
      continue;
    }
    const types = shape.properties.get(path) ?? new Map<string, number>();
    types.set(type, (types.get(type) ?? 0) + count);
    shape.properties.set(path, types);
  }
  return shapes;
}

function occurrences(types: ReadonlyMap<string, number> | undefined): number {
  return [...(types?.values() ?? [])].reduce((sum, count) => sum + count, 0);
}

function shareOf(shape: Shape, path: string): number {
  return shape.events === 0 ? 0 : Math.min(1, occurrences(shape.properties.get(path)) / shape.events);
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

function goneOf(past: Shape, newest: Shape): ShapeChange[] {
  return [...past.properties.keys()].flatMap((path) => {
    const before = shareOf(past, path);
    const now = shareOf(newest, path);
    if (before < ALWAYS_SHARE || now > GONE_SHARE) return [];
    const detail = `${percent(before)} of the events had ${path}, of the newest ${percent(now)} have it`;
    const { kind, event } = newest;
    return [{ change: 'property_gone' as const, kind, event, path, before, now, detail }];
  });
}

function newTypesOf(past: Shape, newest: Shape): ShapeChange[] {
  return [...newest.properties].flatMap(([path, types]) => {
    const before = past.properties.get(path);
    const had = occurrences(before);
    const has = occurrences(types);
    if (before === undefined || had < PAST_EVENTS_MIN || has < NEW_EVENTS_MIN) return [];
    return [...types].flatMap(([type, count]) => {
      const was = (before.get(type) ?? 0) / had;
      const now = count / has;
      if (was > NEVER_SHARE || now < NEW_TYPE_SHARE) return [];
      const usual = [...before].sort((a, b) => b[1] - a[1])[0]![0];
      const detail = `${path} was ${usual}, ${percent(now)} of the newest are ${type}`;
      const { kind, event } = newest;
      return [{ change: 'type_changed' as const, kind, event, path, before: was, now, detail }];
    });
  });
}

function newPropertiesOf(past: Shape, newest: Shape): ShapeChange[] {
  return [...newest.properties].flatMap(([path, types]) => {
    const count = occurrences(types);
    if (past.properties.has(path) || count < APPEARANCES_MIN) return [];
    const now = shareOf(newest, path);
    const { kind, event } = newest;
    const detail = `${path} was never there; ${percent(now)} of the newest events have it`;
    return [{ change: 'property_new' as const, kind, event, path, before: 0, now, detail }];
  });
}

const order = (change: ShapeChange): string =>
  `${shapeChangeKinds.indexOf(change.change)} ${change.kind} ${change.event} ${change.path}`;

/**
 * What is different, the grave ones first.
 * @param past of past days, without the newest
 * @param newest the latest events of each name
 */
export function shapeChangesOf(
  past: readonly PropertyCount[],
  newest: readonly PropertyCount[],
): ShapeChange[] {
  const before = shapesOf(past);
  const pastEvents = [...before.values()].reduce((sum, shape) => sum + shape.events, 0);
  const changes = [...shapesOf(newest)].flatMap(([name, shape]): ShapeChange[] => {
    const known = before.get(name);
    const { kind, event, events } = shape;
    if (known === undefined) {
      if (pastEvents < PAST_EVENTS_MIN || events < APPEARANCES_MIN) return [];
      const detail = `this source never sent ${kind} ${JSON.stringify(event)} in past days; now ${events}`;
      return [{ change: 'event_new', kind, event, path: '', before: 0, now: 1, detail }];
    }
    if (known.events < PAST_EVENTS_MIN || events < NEW_EVENTS_MIN) return [];
    return [...goneOf(known, shape), ...newTypesOf(known, shape), ...newPropertiesOf(known, shape)];
  });
  return changes.sort((a, b) => (order(a) < order(b) ? -1 : 1));
}
