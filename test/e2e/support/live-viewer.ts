// A viewer of the live debugger over HTTP, as a program would write it.
import { createParser, type EventSourceMessage } from 'eventsource-parser';

export interface LiveViewer {
  readonly status: number;
  readonly seen: EventSourceMessage[];
  /** Data of the events of this name so far. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever was shown.
  data(name: string): any[];
  /** Resolves with the first event (its data) that fits. @throws Error with all that was seen */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever was shown.
  until(fits: (data: any) => boolean, name?: string, timeoutMs?: number): Promise<any>;
  readonly ended: Promise<void>;
  close(): void;
}

export async function openLiveViewer(
  url: string,
  key: string,
  query: Record<string, string> = {},
  headers: Record<string, string> = {},
): Promise<LiveViewer> {
  const stop = new AbortController();
  const response = await fetch(`${url}/v1/events/live?${new URLSearchParams(query)}`, {
    headers: { authorization: `Bearer ${key}`, ...headers },
    signal: stop.signal,
  });
  const seen: EventSourceMessage[] = [];
  const parser = createParser({ onEvent: (event) => seen.push(event) });
  const ended = (async () => {
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) parser.feed(chunk);
  })().catch(() => {});
  const data = (name: string) =>
    seen.filter((each) => each.event === name).map((each) => JSON.parse(each.data));
  return {
    status: response.status,
    seen,
    data,
    ended,
    async until(fits, name = 'event', timeoutMs = 5_000) {
      const untilMs = performance.now() + timeoutMs;
      for (;;) {
        const found = data(name).find(fits);
        if (found !== undefined) return found;
        if (performance.now() > untilMs) throw new Error(`not shown in time; seen: ${JSON.stringify(seen)}`);
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    },
    close: () => stop.abort(),
  };
}
