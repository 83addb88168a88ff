// Rolling counts from Redis: of each partition the windows that its own watermark covers, read together with it.
import { type PartitionCounts, type RollingWindow, rollingWindows } from '../../domain/rolling.ts';
import { windowName } from '../../platform/keys.ts';
import { topicPartitions } from '../../platform/namespace.ts';
import { fromRedis, type StateReader } from '../state.ts';

/**
 * Which windows are covered depends on the watermark, so that both are read in one step: one trip, and no commit
 * between them. It must cover what `coveredBuckets` says.
 */
const READ_WINDOWS = `
local watermark, ready = unpack(redis.call('HMGET', KEYS[1], 'watermark', 'ready'))
if not watermark or watermark == '' then return {'0', '', {}} end
local now = tonumber(watermark)
local first = math.floor((now - tonumber(ARGV[2])) / tonumber(ARGV[3]))
local last = math.floor(now / tonumber(ARGV[3]))
local windows = {}
for bucket = first, last do
  local cells = redis.call('HGETALL', ARGV[1] .. string.format('%.0f', bucket))
  if #cells > 0 then windows[#windows + 1] = cells end
end
return {watermark, ready or '', windows}
`;

function cellsOf(windows: readonly (readonly string[])[]): PartitionCounts['cells'] {
  const cells: [string, number[]][] = [];
  for (const window of windows) {
    for (let index = 0; index < window.length; index += 2) {
      cells.push([window[index]!, window[index + 1]!.split(',').map(Number)]);
    }
  }
  return cells;
}

async function readPartition(
  reader: StateReader,
  partition: number,
  series: string,
  revision: number,
  window: RollingWindow,
): Promise<PartitionCounts> {
  const keys = reader.keysOf('events', partition);
  const { windowMs, grain, grainMs } = rollingWindows[window];
  const prefix = keys.window(windowName(series, revision, grain, 0)).slice(0, -1);
  // A pipeline of its own: auto-pipelining over a cluster would take the script for the key.
  const reading = reader.redis
    .pipeline()
    .eval_ro(READ_WINDOWS, 1, keys.head, prefix, windowMs, grainMs)
    .exec()
    .then((answers) => {
      const [error, answer] = answers![0]!;
      if (error !== null) throw error;
      return answer as [watermark: string, ready: string, windows: string[][]];
    });
  const [watermark, ready, windows] = await fromRedis(reading);
  return { watermarkMs: Number(watermark), isReading: ready === '0', cells: cellsOf(windows) };
}

/** Reads all partitions of `events`, each at its own watermark. */
export function readRolling(
  reader: StateReader,
  series: string,
  revision: number,
  window: RollingWindow,
): Promise<PartitionCounts[]> {
  const partitions = Array.from({ length: topicPartitions.events }, (_, partition) => partition);
  return Promise.all(
    partitions.map((partition) => readPartition(reader, partition, series, revision, window)),
  );
}
