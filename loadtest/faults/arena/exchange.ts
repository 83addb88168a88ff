// A stand-in exchange: asks for bids, lets some win at the price they cleared at, calls the notice addresses until they are
// answered, and keeps sums of its own.
import { between, pick, type Random, wholeBetween } from '../../../simulate/marketplace/random.ts';
import { AUCTIONED } from './definitions.ts';
import { sleep, until } from './wait.ts';

const WIN_SHARE = 0.8;
/** Of few bids nothing is told: what they set aside stays outstanding for minutes, and is not there to be spent. */
const LOSS_SHARE = 0.19;
const REQUEST_TIMEOUT_MS = 5_000;
const RETRY_MS = 200;
/** Between auctions that are held to spend a budget. */
const HURRIED_MS = 40;
const MICROS = 1_000_000;
/** Notices that may be under way; beyond that no new auction is held. */
const NOTICES_MAX = 64;

export interface Exchange {
  /** Campaign → what its wins cleared at, in micros. */
  readonly clearedMicros: ReadonlyMap<string, number>;
  /** Campaign → what was bid and nothing is ever told of, in micros. */
  readonly untoldMicros: ReadonlyMap<string, number>;
  /** Why there was a bid or none, with how often. */
  readonly reasons: ReadonlyMap<string, number>;
  /** Holds auctions for this campaign alone until its wins cleared at so much, or the time is over. */
  spend(campaign: string, micros: number, timeoutMs: number): Promise<void>;
  /** Holds no more auctions and resolves when all notices are answered. @throws Error if any was refused, whenever that was */
  finish(): Promise<void>;
  /** Ends at once: nobody will answer any more. */
  abort(): void;
}

interface Answer {
  readonly bidMicros: number;
  readonly reason: string;
  readonly notices: { readonly win: string; readonly loss: string } | null;
}

/** @param perSecond auctions a second, at most; @param prefix goes in front of every bid id */
export function startExchange(
  target: { readonly url: string; readonly secretKey: string },
  random: Random,
  { perSecond, prefix }: { readonly perSecond: number; readonly prefix: string },
): Exchange {
  const clearedMicros = new Map<string, number>();
  const untoldMicros = new Map<string, number>();
  const reasons = new Map<string, number>();
  const notices = new Set<Promise<void>>();
  let finished = false;
  let aborted = false;
  let only: string | undefined;
  let auctions = 0;
  /** The first that went wrong: told where the exchange is waited for, long after it happened. */
  let failure: Error | undefined;

  const count = (reason: string): void => {
    reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  };

  async function ask(campaignId: string): Promise<Answer | null> {
    auctions += 1;
    const body = {
      campaignId,
      bidId: `${prefix}-${auctions}`,
      buyerKey: `user-${wholeBetween(random, 0, 299)}`,
      country: 'US',
    };
    try {
      const response = await fetch(`${target.url}/v1/bids`, {
        method: 'POST',
        headers: { authorization: `Bearer ${target.secretKey}`, 'content-type': 'application/json' },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
      });
      if (response.ok) return (await response.json()) as Answer;
      await response.text();
      count(`status ${response.status}`);
    } catch {
      count('unanswered');
    }
    return null;
  }

  /** Until it is answered: an exchange that keeps its promise. */
  async function tell(address: string): Promise<void> {
    while (!aborted) {
      try {
        const response = await fetch(address, { signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) });
        await response.arrayBuffer();
        if (response.status === 204) return;
        if (response.status < 500 && response.status !== 429)
          throw new Error(`a notice was answered ${response.status}`);
      } catch (error) {
        if ((error as Error).message.startsWith('a notice')) throw error;
      }
      await sleep(RETRY_MS);
    }
  }

  async function auction(): Promise<void> {
    const campaign = only ?? pick(random, AUCTIONED).campaign;
    const answer = await ask(campaign);
    if (answer === null) return;
    count(answer.reason);
    if (answer.notices === null) return;
    const chance = random();
    if (chance < WIN_SHARE) {
      const micros = Math.max(1, Math.floor(answer.bidMicros * between(random, 0.5, 1)));
      clearedMicros.set(campaign, (clearedMicros.get(campaign) ?? 0) + micros);
      await tell(`${answer.notices.win}?price=${(micros / MICROS).toFixed(6)}`);
    } else if (chance < WIN_SHARE + LOSS_SHARE) await tell(answer.notices.loss);
    else untoldMicros.set(campaign, (untoldMicros.get(campaign) ?? 0) + answer.bidMicros);
  }

  async function run(): Promise<void> {
    while (!finished) {
      if (notices.size < NOTICES_MAX) {
        const one: Promise<void> = auction().finally(() => notices.delete(one));
        one.catch((error: Error) => {
          failure ??= error;
        });
        notices.add(one);
      }
      await sleep(only === undefined ? 1_000 / perSecond : HURRIED_MS);
    }
    await Promise.allSettled(notices);
    if (failure !== undefined) throw failure;
  }

  const running = run();
  running.catch(() => {});
  return {
    clearedMicros,
    untoldMicros,
    reasons,
    async spend(campaign, micros, timeoutMs) {
      const isSpent = (): boolean => (clearedMicros.get(campaign) ?? 0) >= micros;
      only = campaign;
      await until('it is spent', isSpent, timeoutMs).catch(() => {});
      only = undefined;
    },
    finish() {
      finished = true;
      return running;
    },
    abort() {
      finished = true;
      aborted = true;
    },
  };
}
