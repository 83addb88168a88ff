// The programs that Flywheel needs beside Node, and how to get those that are missing.

import { spawnSync } from 'node:child_process';
import { withoutServices } from './no-services.js';
import { runLogged, StepError } from './steps.js';

const NODE_MAJOR_MIN = 20;
const JAVA_MAJOR_MIN = 17;
const REDIS_MAJOR_MIN = 7;

/**
 * @typedef {object} Tool
 * @property {string} name
 * @property {string} aptPackage
 * @property {() => boolean} isThere
 */

/** What only the tests need: a browser, and a Python that can make an environment of its own for schemathesis. */
const TEST_TOOLS = [
  { name: 'Chromium', aptPackage: 'chromium', isThere: () => succeeds('chromium', ['--version']) },
  {
    name: 'Python venv',
    aptPackage: 'python3-venv',
    isThere: () => succeeds('python3', ['-c', 'import ensurepip, venv']),
  },
];

/** @returns {Tool[]} what this start needs; parts that run elsewhere need no program here */
function neededTools() {
  /** @type {Tool[]} */
  const tools = [
    { name: 'Python 3', aptPackage: 'python3', isThere: () => succeeds('python3', ['--version']) },
    { name: 'a C++ compiler', aptPackage: 'g++', isThere: () => succeeds('g++', ['--version']) },
    { name: 'make', aptPackage: 'make', isThere: () => succeeds('make', ['--version']) },
    { name: 'Prometheus', aptPackage: 'prometheus', isThere: () => succeeds('prometheus', ['--version']) },
  ];
  if (!process.env.KAFKA_BROKERS) {
    tools.push(
      {
        name: `Java ${JAVA_MAJOR_MIN}`,
        aptPackage: 'openjdk-17-jre-headless',
        isThere: () => major('java', ['-version'], /version "(\d+)/) >= JAVA_MAJOR_MIN,
      },
      { name: 'Maven', aptPackage: 'maven', isThere: () => succeeds('mvn', ['-version']) },
    );
  }
  if (!process.env.REDIS_URL) {
    tools.push({
      name: `Redis ${REDIS_MAJOR_MIN}`,
      aptPackage: 'redis-server',
      isThere: () => major('redis-server', ['--version'], /v=(\d+)/) >= REDIS_MAJOR_MIN,
    });
  }
  return tools;
}

/**
 * Checks the tools and installs missing ones through apt where that is possible.
 * @param {{ forTests: boolean }} options
 * @returns {Promise<string>} a remark on what was done
 */
export async function ensureTools({ forTests }) {
  const nodeMajor = Number(process.versions.node.split('.')[0]);
  if (nodeMajor < NODE_MAJOR_MIN) {
    throw new StepError(`Node ${NODE_MAJOR_MIN} or later is needed; this is ${process.versions.node}.`);
  }
  const needed = [...neededTools(), ...(forTests ? TEST_TOOLS : [])];
  const missing = needed.filter((tool) => !tool.isThere());
  if (missing.length === 0) return 'all there';
  const names = missing.map((tool) => tool.name).join(', ');
  const packages = missing.map((tool) => tool.aptPackage);
  const asRoot = rootPrefix();
  if (asRoot === undefined || !succeeds('apt-get', ['--version'])) {
    throw new StepError(`Missing: ${names}. On Debian or Ubuntu: sudo apt-get install ${packages.join(' ')}`);
  }
  await install(packages, asRoot);
  const still = missing.filter((tool) => !tool.isThere()).map((tool) => tool.name);
  if (still.length > 0) throw new StepError(`Still missing after apt-get install: ${still.join(', ')}.`);
  return `installed ${names}`;
}

async function install(packages, asRoot) {
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  const apt = (log, args) => {
    const [command, ...rest] = [...asRoot, 'apt-get', ...args];
    return runLogged(log, command, rest, { env });
  };
  await apt('apt-update', ['update']);
  await withoutServices(asRoot, () =>
    apt('apt-install', ['install', '-y', '--no-install-recommends', ...packages]),
  );
}

/** What to put before a command to run it as root; undefined when that is not possible without a password. */
function rootPrefix() {
  if (process.getuid?.() === 0) return [];
  return succeeds('sudo', ['-n', 'true']) ? ['sudo', '-n'] : undefined;
}

function succeeds(command, args) {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0;
}

function major(command, args, pattern) {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) return 0;
  return Number(pattern.exec(`${stdout}${stderr}`)?.[1] ?? 0);
}
