// Brings Kafka's jars from Maven Central into a folder, once per version of the pom.

import { execFile } from 'node:child_process';
import { copyFileSync, existsSync, readFileSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { makeUnfinished } from '../../bin/unfinished.js';
import { findTool } from './child.ts';
import { StackError } from './stack-error.ts';

const POM = fileURLToPath(new URL('./kafka/pom.xml', import.meta.url));
const FETCH_TIMEOUT_MS = 10 * 60_000;
const TAIL_LINES = 15;

/**
 * Makes sure that `kafkaFolder`/libs holds the jars that the pom names; returns that folder.
 * The libs appear by one rename, and what a fetch that was killed left beside them is removed by the next.
 * @throws StackError TOOL_MISSING or JARS_FAILED
 */
export async function ensureKafkaJars(kafkaFolder: string): Promise<string> {
  const libs = path.join(kafkaFolder, 'libs');
  if (isCurrent(libs)) return libs;
  const maven = findTool('mvn', 'maven');
  const unfinished = makeUnfinished(libs);
  try {
    await promisify(execFile)(
      maven,
      ['-B', '-q', '-f', POM, 'dependency:copy-dependencies', `-DoutputDirectory=${unfinished}`],
      { timeout: FETCH_TIMEOUT_MS, maxBuffer: 16 * 1024 * 1024 },
    );
    copyFileSync(POM, path.join(unfinished, 'pom.xml'));
    rmSync(libs, { recursive: true, force: true });
    renameSync(unfinished, libs);
  } catch (error) {
    const { stdout = '', stderr = '', message } = error as Error & { stdout?: string; stderr?: string };
    const tail = (`${stdout}${stderr}` || message).trimEnd().split('\n').slice(-TAIL_LINES).join('\n  ');
    throw new StackError('JARS_FAILED', `Kafka's jars could not be fetched with Maven:\n  ${tail}`, {
      cause: error,
    });
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
  return libs;
}

/** The pom that the jars were fetched by lies beside them. */
function isCurrent(libs: string): boolean {
  const pom = path.join(libs, 'pom.xml');
  return existsSync(pom) && readFileSync(pom, 'utf8') === readFileSync(POM, 'utf8');
}
