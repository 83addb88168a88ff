// Fetches Kafka's jars beside `npm ci`, into the place where ops/local/kafka-jars.ts looks for them.

import { copyFileSync, existsSync, readFileSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { PROJECT, runLogged, STATE } from './steps.js';
import { makeUnfinished } from './unfinished.js';

const POM = path.join(PROJECT, 'ops', 'local', 'kafka', 'pom.xml');
const LIBS = path.join(STATE, 'kafka', 'libs');

/** True when the jars were fetched by the pom as it is now. */
export function jarsAreCurrent() {
  const pom = path.join(LIBS, 'pom.xml');
  return existsSync(pom) && readFileSync(pom, 'utf8') === readFileSync(POM, 'utf8');
}

/** @returns {Promise<string>} a remark on what was done */
export async function ensureKafkaJars() {
  if (process.env.KAFKA_BROKERS) return 'not needed, KAFKA_BROKERS is set';
  if (jarsAreCurrent()) return 'up to date';
  const unfinished = makeUnfinished(LIBS);
  try {
    await runLogged('kafka-jars', 'mvn', [
      ...['-B', '-f', POM, 'dependency:copy-dependencies'],
      `-DoutputDirectory=${unfinished}`,
    ]);
    copyFileSync(POM, path.join(unfinished, 'pom.xml'));
    rmSync(LIBS, { recursive: true, force: true });
    renameSync(unfinished, LIBS);
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
  return 'fetched';
}
