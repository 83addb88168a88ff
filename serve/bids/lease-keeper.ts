// The lease keeper: one set of leases for each account that this process bids for.
import { AccountLeases, type LeasePorts } from './account-leases.ts';

/** All accounts that this process bids for. */
export class LeaseKeeper {
  readonly #ports: LeasePorts;
  readonly #accounts = new Map<string, AccountLeases>();

  constructor(ports: LeasePorts) {
    this.#ports = ports;
  }

  /** @param account must have a definition: the keeper remembers every account it was asked for. */
  of(account: string): AccountLeases {
    let leases = this.#accounts.get(account);
    if (leases === undefined) {
      leases = new AccountLeases(account, this.#ports);
      this.#accounts.set(account, leases);
    }
    return leases;
  }

  get heldMicros(): ReadonlyMap<string, number> {
    return new Map([...this.#accounts].map(([account, leases]) => [account, leases.heldMicros]));
  }

  async close(): Promise<void> {
    await Promise.allSettled([...this.#accounts.values()].map((leases) => leases.close()));
  }
}
