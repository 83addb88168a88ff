// One Apache Kafka broker in KRaft mode, sized for a laptop.

import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { findTool, type Supervised, superviseChild } from './child.ts';
import { ensureKafkaJars } from './kafka-jars.ts';
import type { PartContext } from './part.ts';
import { assertPortFree } from './ports.ts';
import { StackError } from './stack-error.ts';

const READY_WITHIN_MS = 60_000;
const STOP_WITHIN_MS = 20_000;
const FORMAT_TIMEOUT_MS = 60_000;
/** By the locale Java decides which letters the name of a file may have; in `C`, as of a service, none but ASCII. */
const ENVIRONMENT = { LC_ALL: 'C.UTF-8' };
/** Rejects carry a whole event of 256 KB and its reason; their topic may ask for more than Kafka's 1 MB. */
const MESSAGE_BYTES_MAX = 4 * 1024 * 1024;

const LOG_CONFIGURATION = `status=warn
appender.console.type=Console
appender.console.name=console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d{ISO8601} %p %m (%c{1})%n
rootLogger.level=warn
rootLogger.appenderRef.console.ref=console
logger.server.name=kafka.server.KafkaRaftServer
logger.server.level=info
`;

/** Options of the local broker. */
export interface KafkaOptions {
  port: number;
  controllerPort: number;
  /** Holds Kafka's jars; fetched into it when missing. Shared by all data folders. */
  jarsFolder: string;
}

/**
 * Starts the broker with its data under `<dir>/kafka` and resolves when it answers.
 * @throws StackError
 */
export async function startKafka(context: PartContext, options: KafkaOptions): Promise<Supervised> {
  const java = findTool('java', 'openjdk-17-jre-headless');
  const libs = await ensureKafkaJars(options.jarsFolder);
  await assertPortFree('Kafka', options.port);
  await assertPortFree('Kafka (controller)', options.controllerPort);
  const folder = path.join(context.dir, 'kafka');
  const data = path.join(folder, 'data');
  const settings = brokerProperties(data, options);
  mkdirSync(data, { recursive: true });
  const propertiesFile = path.join(folder, 'server.properties');
  writeFileSync(propertiesFile, settings);
  const logFile = path.join(folder, 'log4j2.properties');
  writeFileSync(logFile, LOG_CONFIGURATION);
  const javaArguments = [
    ...['-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=4', '-Djava.awt.headless=true'],
    ...[`-Dlog4j2.configurationFile=${logFile}`, '-cp', `${libs}/*`],
  ];
  if (!existsSync(path.join(data, 'meta.properties'))) await format(java, javaArguments, propertiesFile);
  return superviseChild(
    {
      name: 'kafka',
      command: java,
      args: [...javaArguments, 'kafka.Kafka', propertiesFile],
      environment: ENVIRONMENT,
      marker: propertiesFile,
      logFolder: context.logFolder,
      isReady: (log) => log.includes('Kafka Server started'),
      readyWithinMs: READY_WITHIN_MS,
      stopWithinMs: STOP_WITHIN_MS,
      restart: true,
    },
    context.processes,
    context.onEvent,
  );
}

/** A UUID as Kafka writes one. Behind a leading dash its tool would look for an option: one in 64 is drawn again. */
export function newClusterId(random: (bytes: number) => Buffer = randomBytes): string {
  for (;;) {
    const id = random(16).toString('base64url');
    if (!id.startsWith('-')) return id;
  }
}

async function format(java: string, javaArguments: readonly string[], propertiesFile: string): Promise<void> {
  const clusterId = newClusterId();
  const variables = Object.entries(ENVIRONMENT).map(([name, value]) => `${name}=${value}`);
  const tool = ['kafka.tools.StorageTool', 'format', '--cluster-id', clusterId, '--config', propertiesFile];
  const command = [...variables, java, ...javaArguments, ...tool];
  try {
    await promisify(execFile)('/usr/bin/env', command, { timeout: FORMAT_TIMEOUT_MS });
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    throw new StackError('CHILD_CRASHED', `Kafka's data folder could not be made:\n${stdout}${stderr}`, {
      cause: error,
    });
  }
}

/**
 * The broker's settings as a file of Java properties.
 * @param data folder of its log, absolute
 * @throws StackError FOLDER_UNFIT where Kafka would take the folder for several
 */
export function brokerProperties(
  data: string,
  { port, controllerPort }: Pick<KafkaOptions, 'port' | 'controllerPort'>,
): string {
  if (data.includes(','))
    throw new StackError(
      'FOLDER_UNFIT',
      `Kafka cannot keep its log in ${data}: it reads a comma as the beginning of another folder. Give --dir a path without one.`,
    );
  const settings: Record<string, string | number | boolean> = {
    'process.roles': 'broker,controller',
    'node.id': 1,
    'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}`,
    'controller.listener.names': 'CONTROLLER',
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'log.dirs': data,
    // The log is the truth that everything is replayed from: it is never cut by age.
    'log.retention.ms': -1,
    'log.retention.check.interval.ms': 300_000,
    'log.message.timestamp.type': 'LogAppendTime',
    // A start after a kill must not wait for the old session to end.
    'broker.session.timeout.ms': 3000,
    'broker.heartbeat.interval.ms': 500,
    'num.recovery.threads.per.data.dir': 2,
    'num.network.threads': 2,
    'num.io.threads': 4,
    'auto.create.topics.enable': false,
    'message.max.bytes': MESSAGE_BYTES_MAX,
    'replica.fetch.max.bytes': MESSAGE_BYTES_MAX,
    'default.replication.factor': 1,
    'min.insync.replicas': 1,
    'offsets.topic.replication.factor': 1,
    'offsets.topic.num.partitions': 4,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    'transaction.state.log.num.partitions': 2,
    'share.coordinator.state.topic.replication.factor': 1,
    'share.coordinator.state.topic.min.isr': 1,
    'share.coordinator.state.topic.num.partitions': 1,
    'group.initial.rebalance.delay.ms': 0,
    'group.min.session.timeout.ms': 1000,
    'controlled.shutdown.enable': false,
    'log.segment.bytes': 134_217_728,
    'log.index.size.max.bytes': 1_048_576,
    // For topics that are compacted, and those are small: its 128 MB were half of the heap, always in use.
    'log.cleaner.dedupe.buffer.size': 8_388_608,
  };
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${propertyValue(String(value))}\n`)
    .join('');
}

/** Java reads such files as ISO 8859-1, and a backslash as the beginning of an escape. */
function propertyValue(text: string): string {
  return text.replace(
    /[^ -[\]-~]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
