// Looking at the log where no broker answers: it takes no longer than the group can wait, and ends with the process.
import { createServer, type Server } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createLogLook } from '../../stream/log-look.ts';

const partition = { topic: 'events', partition: 3 };
/** A client that connects gives up after ten seconds. */
const SOONER_MS = 7_000;
let silent: Server;
let brokers: string;

beforeAll(async () => {
  // It takes connections and never says a word.
  silent = createServer(() => {});
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  const address = silent.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  brokers = `127.0.0.1:${address.port}`;
});
afterAll(() => void silent.close());

it(
  'goes on without what cannot be read, and says so',
  async () => {
    const told: string[] = [];
    const lookAt = createLogLook(brokers, (_, message) => told.push(message), new AbortController().signal);
    expect(await lookAt.appendMs(partition, 7)).toBeUndefined();
    expect(told).toEqual([`events 3: the record at offset 7 is not compared: no Kafka at ${brokers}`]);
  },
  3 * SOONER_MS,
);

it(
  'is called off when the process ends: nobody goes on with what was not read',
  async () => {
    const closing = new AbortController();
    const told: string[] = [];
    const lookAt = createLogLook(brokers, (_, message) => told.push(message), closing.signal);
    const looks = [lookAt.appendMs(partition, 7), lookAt.firstRecord(partition, 7, 9)];
    closing.abort(new Error('closing'));
    for (const look of looks) await expect(look).rejects.toThrow('closing');
    expect(told).toEqual([]);
  },
  SOONER_MS,
);
