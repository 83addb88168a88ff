// What stands before `serve` in these tests: it writes down every request, and can be away, lose answers or give its own.
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Passed {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
  /** When it came, on the clock that never goes back. */
  readonly atMs: number;
  /** What was answered; null where nothing has been yet. */
  status: number | 'lost' | null;
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface Gate {
  readonly url: string;
  readonly passed: Passed[];
  /** Requests reach `serve`, but their answers do not come back. */
  losesAnswers: boolean;
  /** An answer of the gate's own, in place of `serve`'s. */
  answerFor: (passed: Passed) => Answer | undefined;
  /** Connections are refused, as when nothing listens. */
  goAway(): Promise<void>;
  comeBack(): Promise<void>;
  close(): Promise<void>;
}

async function bytesOf(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function forward(target: string, passed: Passed): Promise<{ from: IncomingMessage; body: Buffer }> {
  return new Promise((resolve, reject) => {
    const { method, headers, url, body } = passed;
    const onward = request(`${target}${url}`, { method, headers }, (from) => {
      bytesOf(from).then((bytes) => resolve({ from, body: bytes }), reject);
    });
    onward.once('error', reject);
    onward.end(body);
  });
}

/** @param target where `serve` listens, `http://host:port` */
export async function openGate(target: string): Promise<Gate> {
  const server = createServer();
  const listen = (port: number): Promise<void> =>
    new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
  await listen(0);
  const { port } = server.address() as AddressInfo;
  const goAway = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  const gate: Gate = {
    url: `http://127.0.0.1:${port}`,
    passed: [],
    losesAnswers: false,
    answerFor: () => undefined,
    goAway,
    comeBack: () => listen(port),
    close: async () => {
      if (server.listening) await goAway();
    },
  };
  const pass = async (asked: IncomingMessage, answer: ServerResponse): Promise<void> => {
    const body = await bytesOf(asked);
    const { method = '', url = '', headers } = asked;
    const passed: Passed = { method, url, headers, body, status: null, atMs: performance.now() };
    gate.passed.push(passed);
    const own = gate.answerFor(passed);
    if (own !== undefined) {
      passed.status = own.status;
      answer.writeHead(own.status, own.headers).end(own.body);
      return;
    }
    const answered = await forward(target, passed);
    if (gate.losesAnswers && method === 'POST') {
      passed.status = 'lost';
      return void answer.destroy();
    }
    passed.status = answered.from.statusCode!;
    answer.writeHead(passed.status, answered.from.headers).end(answered.body);
  };
  server.on('request', (asked, answer) => {
    pass(asked, answer).catch(() => answer.destroy());
  });
  return gate;
}
