// Real Redis servers of a test's own, nodes of a cluster unless it says otherwise.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, vi } from 'vitest';

export interface RedisNodes {
  readonly ports: readonly number[];
  /** `host:port` of each. */
  readonly addresses: readonly string[];
  /** Starts those that do not run, and waits until they answer. */
  start(): Promise<void>;
  /** Waits until each says that the cluster is whole. */
  whole(): Promise<void>;
  /** Kills all; what they knew of the cluster stays on the disk. */
  kill(): Promise<void>;
  /** Kills them and removes what they kept. */
  close(): Promise<void>;
}

export async function redisNodes(count: number, { cluster } = { cluster: true }): Promise<RedisNodes> {
  const dir = mkdtempSync(path.join(tmpdir(), 'flywheel-cluster-'));
  const free = await freePorts(2 * count);
  const ports = free.slice(0, count);
  let servers: ChildProcess[] = [];

  function run(port: number, index: number): ChildProcess {
    const bus = ['--cluster-enabled', 'yes', '--cluster-port', `${free[count + index]}`];
    const known = ['--cluster-announce-ip', '127.0.0.1', '--cluster-config-file', `node-${index}.conf`];
    const folder = ['--save', '', '--dir', dir, '--dbfilename', `node-${index}.rdb`];
    const flags = ['--bind', '127.0.0.1', ...folder, ...(cluster ? [...bus, ...known] : [])];
    return spawn('redis-server', ['--port', `${port}`, ...flags], { stdio: 'ignore' });
  }

  async function kill(): Promise<void> {
    for (const server of servers.splice(0)) {
      const ended = new Promise((resolve) => server.once('exit', resolve));
      server.kill('SIGKILL');
      await ended;
    }
  }

  return {
    ports,
    addresses: ports.map((port) => `127.0.0.1:${port}`),
    async start() {
      servers = ports.map(run);
      for (const port of ports) await vi.waitFor(() => expect(redisCli(port, ['ping'])).toBe('PONG'), 10_000);
    },
    async whole() {
      for (const port of ports)
        await vi.waitFor(
          () => expect(redisCli(port, ['cluster', 'info'])).toContain('cluster_state:ok'),
          15_000,
        );
    },
    kill,
    async close() {
      await kill();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** What `redis-cli` says, an error too. */
export function redisCli(port: number, command: readonly string[]): string {
  try {
    return execFileSync('redis-cli', ['-p', `${port}`, ...command], {
      encoding: 'utf8',
      stdio: 'pipe',
    }).trim();
  } catch (error) {
    return String(error);
  }
}

async function freePorts(count: number): Promise<number[]> {
  const listeners = Array.from({ length: count }, () => createServer());
  const taken = await Promise.all(
    listeners.map(
      (listener) =>
        new Promise<number>((resolve) => {
          listener.listen(0, '127.0.0.1', () => resolve((listener.address() as { port: number }).port));
        }),
    ),
  );
  await Promise.all(listeners.map((listener) => new Promise((resolve) => listener.close(resolve))));
  return taken;
}
