// What a receiver gets: a CloudEvent 1.0 in structured JSON, signed by the Standard Webhooks specification.
import { createHmac } from 'node:crypto';
import type { Delivery } from '../domain/delivery.ts';
import type { Namespace } from '../platform/namespace.ts';

const CONTENT_TYPE = 'application/cloudevents+json; charset=utf-8';

/** The body: a function of the trigger alone, so every attempt and replay sends the same bytes. */
export function cloudEventOf(namespace: Namespace, { trigger }: Delivery): string {
  const { id, definition, revision, on, key, from, to, timeMs, expiresMs, data } = trigger;
  const time = new Date(timeMs).toISOString();
  const expires = new Date(expiresMs).toISOString();
  return JSON.stringify({
    specversion: '1.0',
    id,
    source: `/flywheel/${namespace.name}`,
    type: `flywheel.trigger.${on}`,
    subject: key,
    time,
    datacontenttype: 'application/json',
    // The extension of the CloudEvents registry.
    expirytime: expires,
    data: { id, definition, revision, on, key, from, to, time, expires, data },
  });
}

/**
 * The headers of one attempt: `v1` is HMAC-SHA256 over `id.timestamp.body`, once for each key.
 * @param atMs the attempt's time; receivers refuse what is more than five minutes off
 */
export function webhookHeaders(
  id: string,
  atMs: number,
  body: string,
  keys: readonly Buffer[],
): Record<string, string> {
  const timestamp = Math.floor(atMs / 1_000);
  const content = `${id}.${timestamp}.${body}`;
  const signatures = keys.map((key) => `v1,${createHmac('sha256', key).update(content).digest('base64')}`);
  return {
    'content-type': CONTENT_TYPE,
    'content-length': String(Buffer.byteLength(body)),
    'user-agent': 'flywheel',
    'webhook-id': id,
    'webhook-timestamp': String(timestamp),
    'webhook-signature': signatures.join(' '),
  };
}
