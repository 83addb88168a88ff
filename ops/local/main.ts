// Runs the local parts alone: prints one JSON line with their addresses and keeps them up until SIGINT or SIGTERM.

import { parseArgs } from 'node:util';
import { type PartName, startStack } from './stack.ts';
import { StackError } from './stack-error.ts';

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      dir: { type: 'string', default: '.flywheel' },
      ports: { type: 'string', default: 'default' },
      parts: { type: 'string' },
      jars: { type: 'string', default: '.flywheel/kafka' },
    },
  });
  const stack = await startStack({
    dir: values.dir,
    ports: values.ports === 'ephemeral' ? 'ephemeral' : 'default',
    parts: values.parts?.split(',') as PartName[] | undefined,
    kafkaJarsFolder: values.jars,
    onEvent: (event) => process.stderr.write(`${event.message}\n`),
    onReady: (part, elapsedMs) =>
      process.stderr.write(`${part} is ready after ${Math.round(elapsedMs)} ms\n`),
  });
  const { stop, pidOf, ...addresses } = stack;
  let stopping = false;
  const finish = (): void => {
    if (stopping) return;
    stopping = true;
    void stop().then(() => process.exit(0));
  };
  process.on('SIGINT', finish);
  process.on('SIGTERM', finish);
  // Who reads this line may send a signal at once.
  process.stdout.write(`${JSON.stringify(addresses)}\n`);
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof StackError ? error.message : String(error)}\n`);
  process.exit(1);
});
