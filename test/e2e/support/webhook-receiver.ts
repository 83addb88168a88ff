// A stand-in receiver of webhooks: checks every message with the reference libraries of Standard Webhooks and
// CloudEvents, and writes down what it got. How it answers is the test's to say.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type CloudEvent, HTTP } from 'cloudevents';
import { Webhook } from 'standardwebhooks';
import { expect } from 'vitest';
import { openDefinitionLog } from '../../../platform/definition-log.ts';
import { createPublisher } from '../../../platform/definition-publish.ts';
import type { Stage } from './stage.ts';

export interface Received {
  /** The `webhook-id`. */
  readonly id: string;
  readonly trigger: string;
  readonly key: string;
  readonly body: string;
  readonly atMs: number;
}

export type Reaction = (received: Received, response: ServerResponse) => void;

export interface WebhookReceiver {
  readonly url: string;
  readonly received: Received[];
  /** Messages that failed the check of a library. */
  readonly faults: string[];
  react: Reaction;
  close(): Promise<void>;
}

export const accept: Reaction = (_received, response) => {
  response.writeHead(204).end();
};

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

/** @param secret `whsec_…`, or a function for one that is made later */
export async function startWebhookReceiver(secret: string): Promise<WebhookReceiver> {
  const webhook = new Webhook(secret);
  const receiver: { react: Reaction } & Omit<WebhookReceiver, 'url' | 'close' | 'react'> = {
    received: [],
    faults: [],
    react: accept,
  };
  const server = createServer(async (request, response) => {
    const body = await textOf(request);
    const headers = request.headers as Record<string, string>;
    try {
      webhook.verify(body, headers);
      const event = HTTP.toEvent({ headers, body }) as CloudEvent<{ id: string }>;
      event.validate();
      const received: Received = {
        id: headers['webhook-id']!,
        trigger: event.data!.id,
        key: event.subject!,
        body,
        atMs: Date.now(),
      };
      receiver.received.push(received);
      receiver.react(received, response);
    } catch (error) {
      receiver.faults.push(String(error));
      response.writeHead(400).end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return Object.assign(receiver, {
    url: `http://127.0.0.1:${port}/hook`,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  });
}

/** Puts `receiver/<id>` in force. */
export async function defineReceiver(stage: Stage, id: string, document: object): Promise<void> {
  const { config, producer, namespace } = stage;
  const log = await openDefinitionLog({ brokers: config.kafkaBrokers, namespace });
  await log.caughtUp();
  const publisher = createPublisher({ log, producer, namespace, nowMs: Date.now });
  const published = await publisher.publish({ type: 'receiver', id, document, by: 'test', why: 'a test' });
  expect(published.outcome).toBe('published');
  await log.close();
}
