// Work in hand of streams: what of the log is not committed, and what is committed and not written. Under load there is some at
// most moments; a fault that meets none says nothing, and waits for one that does.
import type { Arena } from './arena.ts';
import type { FlywheelProcess } from './process.ts';
import { endsOf, type InHand, inHand, unwrittenOf } from './progress.ts';
import { until } from './wait.ts';

const SOMETHING_WITHIN_MS = 20_000;

/** Batches that an outbox holds are no measure: it keeps what is delivered until the next commit. */
export interface Work extends Pick<InHand, 'lag' | 'reread'> {
  readonly unwritten: number;
  /** How often it was looked for: 1 if the random moment itself had some. */
  readonly looks: number;
}

export const isSome = ({ lag, unwritten }: Pick<Work, 'lag' | 'unwritten'>): boolean =>
  lag > 0 || unwritten > 0;

/**
 * The logs' ends are read first: what comes later is nobody's work in hand.
 * @param of only those partitions; @param standStill done between the ends and the look at what is applied and written
 */
async function workOf(
  arena: Arena,
  of?: ReadonlySet<string>,
  standStill: () => void = () => {},
): Promise<Omit<Work, 'looks'>> {
  const ends = await endsOf(arena, of);
  standStill();
  const [{ lag, reread }, unwritten] = await Promise.all([inHand(arena, ends), unwrittenOf(arena, ends)]);
  return { lag, reread, unwritten };
}

async function untilSome(look: () => Promise<Omit<Work, 'looks'>>, otherwise: () => void): Promise<Work> {
  let work: Work = { lag: 0, reread: 0, unwritten: 0, looks: 0 };
  const isInHand = async (): Promise<boolean> => {
    work = { ...(await look()), looks: work.looks + 1 };
    if (isSome(work)) return true;
    otherwise();
    return false;
  };
  await until('there is work in hand', isInHand, SOMETHING_WITHIN_MS);
  return work;
}

/** Resolves at a moment at which there is work in hand. A moment's look: the partitions' owners go on. */
export function untilInHand(arena: Arena, of?: ReadonlySet<string>): Promise<Work> {
  return untilSome(
    () => workOf(arena, of),
    () => {},
  );
}

/**
 * `kill -9` of an owner with work in hand. It stands still while its work is counted, which is exact then, and dies without another
 * step; where it had none it goes on for a while.
 * @param of what it owns, if others own some too
 */
export async function killInHand(
  arena: Arena,
  process: FlywheelProcess,
  of?: ReadonlySet<string>,
): Promise<Work> {
  const work = await untilSome(
    () => workOf(arena, of, () => process.signal('SIGSTOP')),
    () => process.signal('SIGCONT'),
  );
  await process.kill();
  return work;
}
