// Waiting, with a bound and with words for what did not come.

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

const CHECK_MS = 100;

/** Resolves when `holds`; what it throws (a part that is away) is no. @throws Error naming `what` after `timeoutMs` */
export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  timeoutMs: number,
): Promise<void> {
  const untilMs = performance.now() + timeoutMs;
  let reason = '';
  for (;;) {
    try {
      if (await holds()) return;
      reason = '';
    } catch (error) {
      reason = `: ${(error as Error).message}`;
    }
    if (performance.now() > untilMs) throw new Error(`not within ${timeoutMs} ms: ${what}${reason}`);
    await sleep(CHECK_MS);
  }
}
