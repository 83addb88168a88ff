// Brings Kafka's jars from Maven Central into a folder, once per version of the pom.

import { execFile } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { findTool } from './child.ts';
import { StackError } from './stack-error.ts';

const POM = fileURLToPath(new URL('./kafka/pom.xml', import.meta.url));
const FETCH_TIMEOUT_MS = 10 * 60_000;
const TAIL_LINES = 15;

/**
 * Makes sure that `kafkaFolder`/libs holds the jars that the pom names; returns that folder.
 * A fetch that was killed leaves no half folder behind: the libs appear by one rename.
 * @throws StackError TOOL_MISSING or JARS_FAILED
 */
export async function ensureKafkaJars(kafkaFolder: string): Promise<string> {
  const libs = path.join(kafkaFolder, 'libs');
  if (isCurrent(libs)) return libs;
  const maven = findTool('mvn', 'maven');
  const unfinished = path.join(kafkaFolder, `libs.${process.pid}`);
  mkdirSync(unfinished, { recursive: true });
  try {
    await promisify(execFile)(
      maven,
      ['-B', '-q', '-f', POM, 'dependency:copy-dependencies', `-DoutputDirectory=${unfinished}`],
      { timeout: FETCH_TIMEOUT_MS, maxBuffer: 16 * 1024 * 1024 },
    );
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    const tail = `${stdout}${stderr}`.trimEnd().split('\n').slice(-TAIL_LINES).join('\n  ');
    throw new StackError('JARS_FAILED', `Kafka's jars could not be fetched with Maven:\n  ${tail}`, {
      cause: error,
    });
  }
  copyFileSync(POM, path.join(unfinished, 'pom.xml'));
  rmSync(libs, { recursive: true, force: true });
  renameSync(unfinished, libs);
  return libs;
}

/** The pom that the jars were fetched by lies beside them. */
function isCurrent(libs: string): boolean {
  const pom = path.join(libs, 'pom.xml');
  return existsSync(pom) && readFileSync(pom, 'utf8') === readFileSync(POM, 'utf8');
}
