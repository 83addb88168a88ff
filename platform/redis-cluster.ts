// A client of a Redis Cluster that comes back from any outage, and in which no command waits for ever meanwhile.
import { Cluster, type Command } from 'ioredis';

/** What ioredis bounds for one server, and for a cluster only from when a node has been chosen for the command. */
export interface WaitBounds {
  /** A command that is not answered within this time fails. Absent: it waits. */
  readonly commandTimeoutMs?: number;
  /** After so many vain attempts to connect again, what waits fails; null: it waits on. */
  readonly retriesPerCommandMax: number | null;
}

type Nodes = ConstructorParameters<typeof Cluster>[0];
type Options = NonNullable<ConstructorParameters<typeof Cluster<'legacy'>>[1]>;
type SendCommand = Parameters<Cluster['sendCommand']>;

/** A failover that no node has told of is found by asking. */
const SLOTS_REFRESH_MS = 5_000;

/** Closed by `disconnect`. */
export class BoundedCluster extends Cluster<'legacy'> {
  readonly #made: [Nodes, Options, WaitBounds];
  readonly #bounds: WaitBounds;
  #attempts = 0;

  constructor(nodes: Nodes, options: Options, bounds: WaitBounds) {
    super(nodes, options);
    this.#made = [nodes, options, bounds];
    this.#bounds = bounds;
    this.on('ready', () => {
      this.#attempts = 0;
    });
    this.on('reconnecting', () => this.#countAttempt());
    // ioredis' own interval can outlive a `disconnect`, and keeps the process.
    const refreshing = setInterval(() => {
      if (this.status === 'ready') this.refreshSlotsCache();
    }, SLOTS_REFRESH_MS);
    refreshing.unref();
    this.once('end', () => clearInterval(refreshing));
  }

  /** A command's clock starts before it is queued; the node that it is sent to later does not start it again. */
  override sendCommand(
    command: Command,
    ...rest: SendCommand extends [Command, ...infer Rest] ? Rest : never
  ) {
    if (this.#bounds.commandTimeoutMs !== undefined) command.setTimeout(this.#bounds.commandTimeoutMs);
    return super.sendCommand(command, ...rest);
  }

  /** For subscriptions: a cluster like this one, with the same bounds. */
  another(): BoundedCluster {
    return new BoundedCluster(...this.#made);
  }

  #countAttempt(): void {
    const { retriesPerCommandMax } = this.#bounds;
    this.#attempts += 1;
    if (retriesPerCommandMax === null || this.#attempts % (retriesPerCommandMax + 1) !== 0) return;
    // As for one server; without it the queue would grow for as long as the outage lasts. ioredis hides the method.
    const { flushQueue } = this as unknown as { flushQueue(error: Error): void };
    flushQueue.call(this, new Error(`no node of the cluster was reached in ${this.#attempts} attempts`));
  }
}
