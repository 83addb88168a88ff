// One Redis that loses nothing it has acknowledged.

import { mkdirSync } from 'node:fs';
import { connect } from 'node:net';
import path from 'node:path';
import { findTool, type Supervised, superviseChild } from './child.ts';
import type { PartContext } from './part.ts';
import { assertPortFree } from './ports.ts';

const READY_WITHIN_MS = 60_000;
const STOP_WITHIN_MS = 10_000;
const PING_TIMEOUT_MS = 1000;

/** Starts redis-server with its data under `<dir>/redis` and resolves when it answers PING. */
export async function startRedis(context: PartContext, options: { port: number }): Promise<Supervised> {
  const command = findTool('redis-server', 'redis-server');
  await assertPortFree('Redis', options.port);
  const folder = path.join(context.dir, 'redis');
  mkdirSync(folder, { recursive: true });
  const settings: Record<string, string> = {
    port: String(options.port),
    bind: '127.0.0.1',
    dir: folder,
    appendonly: 'yes',
    appendfsync: 'always',
    save: '',
    'maxmemory-policy': 'noeviction',
    daemonize: 'no',
  };
  return superviseChild(
    {
      name: 'redis',
      command,
      args: Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]),
      // Redis rewrites its title to this.
      marker: `127.0.0.1:${options.port}`,
      logFolder: context.logFolder,
      isReady: () => answersPing(options.port),
      readyWithinMs: READY_WITHIN_MS,
      stopWithinMs: STOP_WITHIN_MS,
      restart: true,
    },
    context.processes,
    context.onEvent,
  );
}

/** False while Redis does not listen or still loads its append-only file. */
function answersPing(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const finish = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(PING_TIMEOUT_MS, () => finish(false));
    socket.on('connect', () => socket.write('PING\r\n'));
    socket.on('data', (data) => finish(data.toString().startsWith('+PONG')));
    socket.on('error', () => finish(false));
    socket.on('close', () => finish(false));
  });
}
