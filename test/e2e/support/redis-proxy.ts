// A proxy in front of Redis that can lose the answer of a commit, or hold a commit back: what networks do.
import { connect, createServer, type Socket } from 'node:net';

export interface RedisProxy {
  readonly url: string;
  /** Forwards the next commit, throws its answer away and breaks the connection. Resolves when it has; rejects if none comes. */
  loseNextAnswer(): Promise<void>;
  /** Holds the next commit or take-over back. Resolves when it is held; rejects if none comes. */
  holdNext(what: 'commit' | 'take-over'): Promise<void>;
  /** Lets go on what is held. */
  release(): void;
  close(): Promise<void>;
}

/** What stands on the wire in these and in nothing else of ours. */
const marks = {
  /** A MessagePack string of nine bytes. */
  commit: Buffer.concat([Buffer.from([0xdb, 0, 0, 0, 9]), Buffer.from('watermark')]),
  /** Of its script. */
  'take-over': Buffer.from(`'schema', ARGV[4], 'owner'`),
};

const COMES_MS_MAX = 45_000;
const MARK_BYTES_MAX = Math.max(...Object.values(marks).map(({ length }) => length));

type Plan = { readonly kind: 'lose' | 'hold'; readonly mark: Buffer; readonly done: () => void };

/** @param redisUrl `redis://host:port` */
export async function startRedisProxy(redisUrl: string): Promise<RedisProxy> {
  const target = new URL(redisUrl);
  const sockets = new Set<Socket>();
  let plan: Plan | undefined;
  let held: (() => void) | undefined;

  function forward(client: Socket): void {
    const server = connect(Number(target.port), target.hostname);
    let answersLost = false;
    let tail = Buffer.alloc(0);
    for (const socket of [client, server]) {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
      socket.on('error', () => {
        client.destroy();
        server.destroy();
      });
    }
    client.on('data', (chunk: Buffer) => {
      const seen = Buffer.concat([tail, chunk]);
      tail = seen.subarray(Math.max(0, seen.length - MARK_BYTES_MAX + 1));
      if (plan === undefined || !seen.includes(plan.mark)) {
        server.write(chunk);
        return;
      }
      const { kind, done } = plan;
      plan = undefined;
      if (kind === 'lose') {
        answersLost = true;
        server.write(chunk);
        server.once('data', () => {
          client.destroy();
          server.destroy();
          done();
        });
        return;
      }
      client.pause();
      held = () => {
        server.write(chunk);
        client.resume();
      };
      done();
    });
    server.on('data', (chunk: Buffer) => {
      if (!answersLost) client.write(chunk);
    });
    client.on('end', () => server.end());
    server.on('end', () => client.end());
  }

  const listener = createServer(forward);
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const { port } = listener.address() as { port: number };
  const planned = (kind: Plan['kind'], mark: Buffer): Promise<void> =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`nothing came to ${kind}`)), COMES_MS_MAX);
      const done = (): void => {
        clearTimeout(timer);
        resolve();
      };
      plan = { kind, mark, done };
    });
  return {
    url: `redis://127.0.0.1:${port}`,
    loseNextAnswer: () => planned('lose', marks.commit),
    holdNext: (what) => planned('hold', marks[what]),
    release() {
      held?.();
      held = undefined;
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => listener.close(() => resolve()));
    },
  };
}
