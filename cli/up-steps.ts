// What `flywheel up` shows while it works: numbered steps with elapsed and expected time, and a progress line on a terminal.

const STATUS_EVERY_MS = 500;
const HEARTBEAT_EVERY_MS = 15_000;

export interface Steps {
  /** Runs `work` as the next step; `work` resolves with a remark on how it went. */
  run(name: string, expectedSeconds: number, work: (report: Report) => Promise<string>): Promise<void>;
  /** One line, beside whatever is under way. */
  print(line: string): void;
}

/** Replaces what the running step says about how far it is. */
export type Report = (status: string) => void;

/**
 * @param before steps that were shown before these, by the bootstrap
 * @param total how many there are with these
 */
export function createSteps(before: number, total: number): Steps {
  const isTerminal = process.stdout.isTTY === true;
  let number = before;

  const print = (line: string): void => {
    process.stdout.write(isTerminal ? `\r\x1b[2K${line}\n` : `${line}\n`);
  };

  const run: Steps['run'] = async (name, expectedSeconds, work) => {
    number += 1;
    const label = `[${number}/${total}] ${name}`;
    const startedAt = performance.now();
    const elapsed = (): string => duration(performance.now() - startedAt);
    print(`${label} (about ${duration(expectedSeconds * 1000)})`);
    let status = '';
    let shownAt = startedAt;
    const show = (): void => {
      if (isTerminal) {
        process.stdout.write(`\r\x1b[2K      ${elapsed()}  ${status}`);
      } else if (performance.now() - shownAt > HEARTBEAT_EVERY_MS) {
        shownAt = performance.now();
        print(`      ${elapsed()}  ${status}`);
      }
    };
    const timer = setInterval(show, STATUS_EVERY_MS);
    try {
      const remark = await work((text) => {
        status = text;
      });
      print(`${label}: ${remark} after ${elapsed()}`);
    } finally {
      clearInterval(timer);
    }
  };
  return { run, print };
}

/** A bar with what is done, how fast, and how long the rest will take at that rate. */
export function progressBar(done: number, total: number | undefined, elapsedMs: number): string {
  const perSecond = elapsedMs > 0 ? (done / elapsedMs) * 1000 : 0;
  const rate = `${done.toLocaleString('en')} sent, ${Math.round(perSecond).toLocaleString('en')}/s`;
  if (total === undefined || total === 0) return rate;
  const share = Math.min(1, done / total);
  const bar = '█'.repeat(Math.round(share * 24)).padEnd(24, '░');
  const remaining = perSecond > 0 ? `, ${duration(((total - done) / perSecond) * 1000)} left` : '';
  return `${bar} ${Math.floor(share * 100)} %  ${rate}${remaining}`;
}

export function duration(ms: number): string {
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 100) return `${Math.round(seconds)} s`;
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)} min ${whole % 60} s`;
}
