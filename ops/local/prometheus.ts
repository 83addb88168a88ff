// A Prometheus that scrapes the local `stream`, `serve` and `jobs`.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { findTool, type Supervised, superviseChild } from './child.ts';
import type { PartContext } from './part.ts';
import { assertPortFree } from './ports.ts';

const READY_WITHIN_MS = 60_000;
const STOP_WITHIN_MS = 15_000;
/** Alerts; they are shown at /alerts and sent nowhere. */
const RULES = fileURLToPath(new URL('../prometheus/*.rules.yml', import.meta.url));
const TEMPLATE = fileURLToPath(new URL('../prometheus/prometheus.yml', import.meta.url));

export interface PrometheusOptions {
  port: number;
  /** Where `stream`, `serve` and `jobs` answer /metrics, as host:port. */
  streamTarget: string;
  serveTarget: string;
  jobsTarget: string;
  /** Pattern of the rule files; those of the project when left out. */
  rules?: string | undefined;
}

/** Starts Prometheus with its data under `<dir>/prometheus` and resolves when it is ready. */
export async function startPrometheus(context: PartContext, options: PrometheusOptions): Promise<Supervised> {
  const command = findTool('prometheus', 'prometheus');
  await assertPortFree('Prometheus', options.port);
  const folder = path.join(context.dir, 'prometheus');
  mkdirSync(folder, { recursive: true });
  const configFile = path.join(folder, 'prometheus.yml');
  writeFileSync(
    configFile,
    readFileSync(TEMPLATE, 'utf8')
      .replaceAll('{{RULES}}', options.rules ?? RULES)
      .replaceAll('{{STREAM_TARGET}}', options.streamTarget)
      .replaceAll('{{SERVE_TARGET}}', options.serveTarget)
      .replaceAll('{{JOBS_TARGET}}', options.jobsTarget),
  );
  return superviseChild(
    {
      name: 'prometheus',
      command,
      args: [
        `--config.file=${configFile}`,
        `--storage.tsdb.path=${path.join(folder, 'data')}`,
        '--storage.tsdb.retention.time=15d',
        `--web.listen-address=127.0.0.1:${options.port}`,
        '--log.level=warn',
      ],
      marker: configFile,
      logFolder: context.logFolder,
      isReady: () => isReady(options.port),
      readyWithinMs: READY_WITHIN_MS,
      stopWithinMs: STOP_WITHIN_MS,
      restart: true,
    },
    context.processes,
    context.onEvent,
  );
}

async function isReady(port: number): Promise<boolean> {
  try {
    return (await fetch(`http://127.0.0.1:${port}/-/ready`)).ok;
  } catch {
    return false;
  }
}
