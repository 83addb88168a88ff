// Ports of the local parts: fixed ones that do not collide with the parts' usual ones, or free ones for tests.

import { createServer } from 'node:net';
import { StackError } from './stack-error.ts';

/** Every port that `flywheel up` listens on, unless told otherwise. */
export const DEFAULT_PORTS = {
  kafka: 19092,
  kafkaController: 19093,
  redis: 16379,
  clickhouse: 18123,
  prometheus: 19090,
  serve: 18080,
  streamMetrics: 18081,
} as const;

export type PortName = keyof typeof DEFAULT_PORTS;
export type Ports = Record<PortName, number>;

/** One free port for every name, all different, found by letting the system choose. */
export async function ephemeralPorts(): Promise<Ports> {
  const names = Object.keys(DEFAULT_PORTS) as PortName[];
  const held = await Promise.all(names.map(() => holdPort(0)));
  await Promise.all(held.map((holder) => holder.release()));
  return Object.fromEntries(names.map((name, at) => [name, held[at]!.port])) as Ports;
}

/** Throws PORT_TAKEN when somebody listens on `port` already. */
export async function assertPortFree(part: string, port: number): Promise<void> {
  try {
    const holder = await holdPort(port);
    await holder.release();
  } catch (error) {
    throw new StackError(
      'PORT_TAKEN',
      `${part} needs port ${port} on 127.0.0.1, but another program listens there. Stop it (see: ss -ltnp 'sport = :${port}') and start again.`,
      { cause: error },
    );
  }
}

function holdPort(port: number): Promise<{ port: number; release: () => Promise<void> }> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      const address = server.address();
      if (address === null || typeof address === 'string') throw new Error('a TCP server has a port');
      resolve({
        port: address.port,
        release: () => new Promise((released) => server.close(() => released())),
      });
    });
  });
}
