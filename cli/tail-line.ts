// One event of the live debugger as a line for people.
import { styleText } from 'node:util';
import type { LiveChanges, LiveEvent } from '../domain/live.ts';

/** An event as `serve` shows it. */
export type ShownEvent = Omit<LiveEvent, 'timeMs' | 'receivedMs' | 'watermarkMs'> & {
  readonly time: string | null;
  readonly receivedAt: string | null;
};

type Style = Parameters<typeof styleText>[0];
const styles: Readonly<Record<LiveEvent['verdict'], Style>> = {
  applied: 'green',
  late: 'yellow',
  duplicate: 'yellow',
  rejected: 'red',
  control: 'gray',
};
const VERDICT_WIDTH = 9;

/** What comes from outside moves no cursor, breaks no line and turns none around. */
function plain(text: string): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu, '\u{fffd}');
}

function changesText(changes: LiveChanges): string[] {
  return [
    ...(changes.newBuyer === true ? ['new buyer'] : []),
    ...(changes.attributes ?? []).map(({ name, from, to }) => `${name} ${from === '' ? '–' : from} → ${to}`),
    ...(changes.funnels ?? []).map(
      ({ funnel, from, to, steps }) => `funnel ${funnel} ${from} → ${to} (${steps.join(', ')})`,
    ),
    ...(changes.stages ?? []).map(({ from, to }) => `stage ${from === '' ? '–' : from} → ${to}`),
    ...(changes.opportunities ?? []).map(
      ({ id, change, subject, quality }) => `opportunity ${id} ${change} (${subject}, ${quality.toFixed(2)})`,
    ),
    ...(changes.triggers ?? []).map(({ definition, to, status }) => `trigger ${definition} ${to} ${status}`),
    ...(changes.exposures ?? []).map(({ experiment, variant }) => `shown ${experiment} ${variant}`),
  ];
}

/** @param coloured only for a terminal */
export function eventLine(event: ShownEvent, coloured: boolean): string {
  const paint = (style: Style, text: string): string =>
    coloured ? styleText(style, text, { validateStream: false }) : text;
  const when = (event.receivedAt ?? event.time ?? '').slice(11, 23);
  const verdict = paint(styles[event.verdict], event.verdict.padEnd(VERDICT_WIDTH));
  const who = event.person === event.key ? event.key : `${event.key} (${event.person})`;
  const what = [event.kind, event.event === '' ? '' : JSON.stringify(event.event)].filter(Boolean).join(' ');
  const behaviour = event.behaviour === '' ? '' : ` = ${event.behaviour}`;
  const where = paint('gray', `[${event.source === '' ? event.topic : event.source} ${event.id}]`);
  const reason = event.reason === null ? '' : `  ${event.reason.code}: ${event.reason.detail}`;
  const changes = changesText(event.changes).map((text) => `; ${text}`);
  const parts = `${who === '' ? '–' : who}  ${what}${behaviour}${reason}${changes.join('')}`;
  return `${when} ${verdict} ${plain(parts)}  ${where}`;
}
