// How people come to be seen as several, and several as one: second devices, devices of others, companies, and who says by an
// alias who they are. From chances of its own, so that the rest of a seed's marketplace stays what it was.
import { randomOf } from './random.ts';

/** What ties a buyer to keys other than the first. */
export interface Ties {
  /** The visitor's id on another device of the buyer's own. */
  readonly secondDevice: string | null;
  /** Somebody else's device, on which the buyer signs in now and then. */
  readonly borrowedDevice: string | null;
  readonly company: string | null;
  /** Says at first by `alias`, not by `identify`, which visitor it was. */
  readonly aliases: boolean;
}

const share = { secondDevice: 0.06, borrows: 0.04, company: 0.12, aliases: 0.1 } as const;
/** Neighbours in the population belong to the same company: about three of so many do. */
const COMPANY_NEIGHBOURS = 25;

/** Of the person with this index, without what it borrows. */
export function tiesOf(seed: string, index: number): Ties & { readonly borrows: boolean } {
  const random = randomOf(`${seed}/ties/${index}`);
  const number = String(index + 1).padStart(5, '0');
  const hasSecond = random() < share.secondDevice;
  const suffix = Math.floor(random() * 0xffffffff).toString(16);
  return {
    secondDevice: hasSecond ? `device-${number}-${suffix}` : null,
    borrowedDevice: null,
    company: random() < share.company ? `company-${Math.floor(index / COMPANY_NEIGHBOURS) + 1}` : null,
    aliases: random() < share.aliases,
    borrows: random() < share.borrows,
  };
}

/** Which device a session is on: its id, and whether the buyer is signed out there at first. Null: the usual one. */
export interface Visit {
  readonly device: string;
  readonly signedOut: boolean;
}

const ON_SECOND_DEVICE = 0.35;
const SIGNED_OUT_AGAIN = 0.3;
const ON_BORROWED_DEVICE = 0.3;

/** @param signedIn the devices on which the buyer has signed in before */
export function visitOf(ties: Ties, signedIn: ReadonlySet<string>, random: () => number): Visit | null {
  const { secondDevice, borrowedDevice } = ties;
  if (secondDevice !== null && random() < ON_SECOND_DEVICE) {
    return {
      device: secondDevice,
      signedOut: !signedIn.has(secondDevice) || random() < SIGNED_OUT_AGAIN,
    };
  }
  if (borrowedDevice !== null && random() < ON_BORROWED_DEVICE) {
    return { device: borrowedDevice, signedOut: false };
  }
  return null;
}
