// A door to Kafka's port. `serve` looks at it every second: while it is shut, `serve` takes Kafka for away and refuses with
// its own 503, though the broker that the other tests use goes on.

import type { AddressInfo } from 'node:net';
import { connect, createServer, type Socket } from 'node:net';

export interface BrokerDoor {
  /** `host:port` */
  readonly address: string;
  shut(): Promise<void>;
  open(): Promise<void>;
}

/** @param broker `host:port` of a broker */
export async function openBrokerDoor(broker: string): Promise<BrokerDoor> {
  const [host, port] = broker.split(':');
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const onward = connect(Number(port), host);
    for (const socket of [client, onward]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        onward.destroy();
      });
    }
    client.pipe(onward).pipe(client);
  });
  const listen = (at: number): Promise<void> =>
    new Promise((resolve) => server.listen(at, '127.0.0.1', resolve));
  await listen(0);
  const own = (server.address() as AddressInfo).port;
  return {
    address: `127.0.0.1:${own}`,
    open: () => listen(own),
    shut: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
