// Every fault, in the order in which they are run.
import { clickhouseAway } from './clickhouse-away.ts';
import { diskFullClickhouse, diskFullKafka, diskFullRedis } from './disk-full.ts';
import type { Fault } from './fault.ts';
import { killFlywheel } from './kill-flywheel.ts';
import { killParts } from './kill-parts.ts';
import { mishaps } from './mishaps.ts';
import { oddInput } from './odd-input.ts';
import { kafkaAway, redisFull } from './outages.ts';
import { rollback } from './rollback.ts';
import { streamsCooperative, streamsEager } from './streams.ts';
import { zombie } from './zombie.ts';

export const allFaults: readonly Fault[] = [
  killFlywheel,
  killParts,
  streamsCooperative,
  streamsEager,
  rollback,
  mishaps,
  zombie,
  clickhouseAway,
  kafkaAway,
  redisFull,
  diskFullRedis,
  diskFullKafka,
  diskFullClickhouse,
  oddInput,
];
