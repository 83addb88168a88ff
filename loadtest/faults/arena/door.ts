// A door between a process and a part: it can be shut, so that nobody is there, and it can lose what the part replies.
import { connect, createServer, type Server, type Socket } from 'node:net';

export interface Door {
  readonly port: number;
  shut(): Promise<void>;
  open(): Promise<void>;
  /**
   * Lets requests through and throws replies away for so long, then breaks the connections. Answers how many bytes were lost,
   * and what was seen when it had begun to lose them and before it ended.
   */
  loseReplies<Seen>(
    forMs: number,
    look: () => Promise<Seen>,
  ): Promise<{ readonly bytes: number; readonly before: Seen; readonly after: Seen }>;
  close(): Promise<void>;
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve((server.address() as { port: number }).port));
    // A fault that failed leaves its door open: a run that is over must end all the same.
    server.unref();
  });
}

/** @param target where the part listens on this machine */
export async function openDoor(target: number): Promise<Door> {
  const sockets = new Set<Socket>();
  let losing = false;
  let lostBytes = 0;

  function forward(client: Socket): void {
    const part = connect(target, '127.0.0.1');
    for (const socket of [client, part]) {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
      socket.on('error', () => {
        client.destroy();
        part.destroy();
      });
    }
    client.on('data', (chunk: Buffer) => part.write(chunk));
    part.on('data', (chunk: Buffer) => {
      if (losing) lostBytes += chunk.length;
      else client.write(chunk);
    });
    client.on('end', () => part.end());
    part.on('end', () => client.end());
  }

  const breakAll = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  let server: Server = createServer(forward);
  const port = await listen(server, 0);
  const shut = async (): Promise<void> => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    breakAll();
    await closed;
  };
  return {
    port,
    shut,
    async open() {
      server = createServer(forward);
      await listen(server, port);
    },
    async loseReplies(forMs, look) {
      lostBytes = 0;
      losing = true;
      const before = await look();
      await new Promise((resolve) => setTimeout(resolve, forMs));
      const after = await look();
      breakAll();
      losing = false;
      return { bytes: lostBytes, before, after };
    },
    close: async () => {
      if (server.listening) await shut();
    },
  };
}
