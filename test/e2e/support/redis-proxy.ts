// A proxy in front of Redis that can lose the answer of a commit, or hold a commit back: what networks do.
import { connect, createServer, type Socket } from 'node:net';

export interface RedisProxy {
  readonly url: string;
  /** Forwards the next commit, throws its answer away and breaks the connection. Resolves when it has. */
  loseNextAnswer(): Promise<void>;
  /** Holds the next commit back. Resolves when it is held. */
  holdNextCommit(): Promise<void>;
  /** Lets go on what is held. */
  release(): void;
  close(): Promise<void>;
}

/** The word that a commit has and no other script of ours, as it stands on the wire: a MessagePack string of nine bytes. */
const COMMIT_MARK = Buffer.concat([Buffer.from([0xdb, 0, 0, 0, 9]), Buffer.from('watermark')]);

type Plan = { readonly kind: 'lose' | 'hold'; readonly done: () => void };

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
      tail = seen.subarray(Math.max(0, seen.length - COMMIT_MARK.length + 1));
      const isCommit = plan !== undefined && seen.includes(COMMIT_MARK);
      if (!isCommit) {
        server.write(chunk);
        return;
      }
      const { kind, done } = plan!;
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
  const planned = (kind: Plan['kind']): Promise<void> =>
    new Promise((done) => {
      plan = { kind, done };
    });
  return {
    url: `redis://127.0.0.1:${port}`,
    loseNextAnswer: () => planned('lose'),
    holdNextCommit: () => planned('hold'),
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
