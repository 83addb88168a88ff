// Runs faults, each in an arena of its own: load, fault, end of the load, drained, judged. Nothing that one leaves behind
// meets the next.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Arena, type ArenaOptions, openArena } from './arena/arena.ts';
import { TIGHT_CAMPAIGN, TIGHT_TAKEN_MICROS } from './arena/definitions.ts';
import { linkDevices } from './arena/links.ts';
import { type Addresses, givenParts, type Parts, startParts } from './arena/parts.ts';
import { untilDrained } from './arena/progress.ts';
import { sleep } from './arena/wait.ts';
import { type Evidence, type Fault, NotHereError } from './fault.ts';
import { type Judgement, judge } from './judge.ts';

const WARM_UP_MS = 2_000;
const DRAINED_WITHIN_MS = 90_000;
const SPENT_WITHIN_MS = 40_000;
const EVENTS_PER_SECOND = 200;

export interface FaultResult {
  readonly fault: string;
  readonly seed: number;
  /** skipped: this machine has not what the fault needs; `faults` says what. */
  readonly outcome: 'held' | 'failed' | 'skipped';
  readonly evidence: readonly Evidence[];
  /** From the end of fault and load until nothing was left to apply and deliver. */
  readonly drainedSeconds: number | null;
  readonly judgement: Judgement | null;
  /** Requests of the feeder that were sent again, by how they had failed. */
  readonly requestsRepeated: Readonly<Record<string, number>>;
  readonly bids: Readonly<Record<string, number>>;
  readonly faults: readonly string[];
  readonly elapsedSeconds: number;
}

export interface RunOptions {
  readonly faults: readonly Fault[];
  readonly seeds: readonly number[];
  readonly kills: number;
  /** How much is fed, where a fault does not say it. */
  readonly eventsPerSecond?: number;
  /** Parts that are there already; faults that damage parts cannot be run on them. */
  readonly addresses?: Addresses;
  print(line: string): void;
  onResult?(result: FaultResult): Promise<void>;
}

const seconds = (ms: number): number => Math.round(ms / 10) / 100;

/** Says what of the evidence is too little; the conditions under which a run counts. */
function tooLittle(fault: Fault, evidence: readonly Evidence[]): string[] {
  const short: string[] = [];
  const bit = evidence.filter((one) => one.bit).length;
  if (evidence.length === 0) short.push('nothing was done');
  else if (bit / evidence.length < (fault.bitShareMin ?? 1))
    short.push(`only ${bit} of ${evidence.length} met work in hand`);
  const idle = evidence.filter(({ repeated }) => repeated === false);
  if (idle.length > 0) short.push(`${idle.length} of ${evidence.length} repeated no work`);
  return short;
}

interface Outcome {
  evidence: readonly Evidence[];
  drainedMs: number | null;
  judgement: Judgement | null;
  faults: string[];
}

async function attack(fault: Fault, arena: Arena, context: { seed: number } & RunOptions): Promise<Outcome> {
  const outcome: Outcome = { evidence: [], drainedMs: null, judgement: null, faults: [] };
  try {
    await sleep(WARM_UP_MS);
    await linkDevices(arena, fault.behindMs ?? 0);
    outcome.evidence = await fault.run(arena, context);
    await arena.feeder.finish();
    // A ledger that forgot something in the fault grants too much behind it. Where leases were lost the judge says whether it is enough.
    await arena.exchange.spend(TIGHT_CAMPAIGN, TIGHT_TAKEN_MICROS, SPENT_WITHIN_MS);
    await arena.exchange.finish();
    outcome.drainedMs = await untilDrained(arena, DRAINED_WITHIN_MS);
    outcome.judgement = await judge(arena, fault);
    outcome.faults.push(...tooLittle(fault, outcome.evidence), ...outcome.judgement.faults);
  } catch (error) {
    outcome.faults.push((error as Error).message);
    for (const { name, errors } of arena.processes.values())
      context.print(`      ${name}: ${errors().trimEnd().split('\n').slice(-8).join('\n        ')}`);
  }
  return outcome;
}

async function runOne(
  fault: Fault,
  seed: number,
  parts: Parts,
  dir: string,
  options: RunOptions,
): Promise<FaultResult> {
  const startedMs = performance.now();
  const { print } = options;
  const arenaOptions: ArenaOptions = {
    parts,
    dir,
    label: fault.name,
    seed,
    eventsPerSecond: fault.eventsPerSecond ?? options.eventsPerSecond ?? EVENTS_PER_SECOND,
    behindMs: fault.behindMs ?? 0,
    definitions: fault.definitions ?? {},
    ...(fault.environment === undefined ? {} : { environment: fault.environment }),
  };
  const arena = await (fault.open ?? openArena)(arenaOptions);
  try {
    const { evidence, drainedMs, judgement, faults } = await attack(fault, arena, { ...options, seed });
    const result: FaultResult = {
      fault: fault.name,
      seed,
      outcome: faults.length === 0 ? 'held' : 'failed',
      evidence,
      drainedSeconds: drainedMs === null ? null : seconds(drainedMs),
      judgement,
      requestsRepeated: Object.fromEntries(arena.feeder.repeats),
      bids: Object.fromEntries(arena.exchange.reasons),
      faults,
      elapsedSeconds: seconds(performance.now() - startedMs),
    };
    describe(result, print);
    return result;
  } finally {
    await arena.close();
  }
}

/** One that did not get as far as being done is a result too: those behind it are run all the same. */
function notDone(
  fault: Fault,
  seed: number,
  error: Error,
  elapsedMs: number,
  print: RunOptions['print'],
): FaultResult {
  const outcome = error instanceof NotHereError ? 'skipped' : 'failed';
  print(`  ${outcome}: ${error.message}`);
  return {
    fault: fault.name,
    seed,
    outcome,
    evidence: [],
    drainedSeconds: null,
    judgement: null,
    requestsRepeated: {},
    bids: {},
    faults: [error.message],
    elapsedSeconds: seconds(elapsedMs),
  };
}

const leftOutOf = ({ verified }: Judgement): number =>
  verified.leftOut.reduce((sum, { count }) => sum + count, 0);

function describe(result: FaultResult, print: (line: string) => void): void {
  const { judgement, faults, drainedSeconds, elapsedSeconds } = result;
  for (const fault of faults) print(`      FAILED ${fault}`);
  const held =
    judgement === null
      ? 'not judged'
      : `${judgement.acknowledged} acknowledged = ${judgement.rows} rows, ${judgement.triggers} triggers (${judgement.webhookRepeats} repeated, ${judgement.attemptsCutOff} attempts cut off, ${judgement.attemptsUnanswered} not answered in time), verify ${judgement.verified.compared} compared, ${judgement.verified.differences} different, ${leftOutOf(judgement)} left out`;
  if (judgement !== null) {
    const { cleared, budget } = judgement.money[TIGHT_CAMPAIGN]!;
    print(`  ${cleared} of ${budget} micros of the tight account cleared`);
  }
  print(`  ${result.outcome}: drained after ${drainedSeconds} s, ${held}; ${elapsedSeconds} s in all`);
}

/** Runs it on parts of its own or on those that are given, and clears away what was made for it. */
async function runApart(
  fault: Fault,
  seed: number,
  dir: string,
  shared: Parts | null,
  options: RunOptions,
): Promise<FaultResult> {
  options.print(`${fault.name}, seed ${seed}: ${fault.title}`);
  const startedMs = performance.now();
  let clear: (() => Promise<void>) | undefined;
  let own: Parts | undefined;
  try {
    clear = await fault.prepare?.(dir);
    if (shared === null) own = await startParts(path.join(dir, 'parts'));
    return await runOne(fault, seed, (shared ?? own)!, dir, options);
  } catch (error) {
    return notDone(fault, seed, error as Error, performance.now() - startedMs, options.print);
  } finally {
    await own?.close();
    await clear?.();
  }
}

/** Runs every fault with every seed; the parts are shared by those that leave them whole. */
export async function runFaults(options: RunOptions): Promise<FaultResult[]> {
  const root = mkdtempSync(path.join(tmpdir(), 'flywheel-faults-'));
  const results: FaultResult[] = [];
  let shared = options.addresses === undefined ? null : givenParts(options.addresses);
  try {
    for (const seed of options.seeds) {
      for (const fault of options.faults) {
        const needsOwn = fault.ownParts === true;
        if (!needsOwn) shared ??= await startParts(path.join(root, 'parts'));
        const dir = path.join(root, `${fault.name}-${seed}`);
        const result = await runApart(fault, seed, dir, needsOwn ? null : shared, options);
        results.push(result);
        await options.onResult?.(result);
      }
    }
    return results;
  } finally {
    await shared?.close();
    rmSync(root, { recursive: true, force: true });
  }
}
