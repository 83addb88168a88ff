// Ports of the local parts: fixed ones that do not collide with the parts' usual ones, or free ones for tests.

import { randomInt } from 'node:crypto';
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
  jobsMetrics: 18082,
} as const;

export type PortName = keyof typeof DEFAULT_PORTS;
export type Ports = Record<PortName, number>;

/**
 * Free ports are looked for here, below those that Linux (from 32768) and macOS (from 49152) give to outgoing connections:
 * one of those can be taken between being picked and being listened on, or while a part restarts, even by a client
 * that tries to reach the part and connects to itself.
 */
const EPHEMERAL_FIRST = 20_000;
const EPHEMERAL_LAST = 32_767;
const PICKS_MAX = 1_000;

/** One free port for every name, all different. */
export async function ephemeralPorts(): Promise<Ports> {
  const names = Object.keys(DEFAULT_PORTS) as PortName[];
  const held = await Promise.all(names.map(holdAnyPort));
  await Promise.all(held.map((holder) => holder.release()));
  return Object.fromEntries(names.map((name, at) => [name, held[at]!.port])) as Ports;
}

async function holdAnyPort(): Promise<HeldPort> {
  for (let pick = 1; ; pick += 1) {
    try {
      return await holdPort(randomInt(EPHEMERAL_FIRST, EPHEMERAL_LAST + 1));
    } catch (error) {
      if (pick === PICKS_MAX) {
        const range = `${EPHEMERAL_FIRST} to ${EPHEMERAL_LAST}`;
        throw new StackError('PORT_TAKEN', `${PICKS_MAX} ports from ${range} were tried, none is free.`, {
          cause: error,
        });
      }
    }
  }
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

interface HeldPort {
  readonly port: number;
  release(): Promise<void>;
}

function holdPort(port: number): Promise<HeldPort> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      resolve({
        port,
        release: () => new Promise((released) => server.close(() => released())),
      });
    });
  });
}
