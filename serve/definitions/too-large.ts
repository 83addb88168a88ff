// A definition whose record is larger than the log takes: what is to be done, and whether it holds all the same.
import type { PlatformError } from '../../platform/platform-error.ts';

/**
 * @param error KAFKA_TOO_LARGE
 * @param isHeard the topic of definitions has it, so that a partition of `events` or `spend` takes less than that one
 */
export function tooLarge(
  { message }: PlatformError,
  { name, isHeard }: { name: string; isHeard: boolean },
): string {
  return isHeard
    ? `${name} holds, but its record is too large to reach every partition (${message}): make it smaller, or raise max.message.bytes of events and spend.`
    : `The record of ${name} is larger than the log takes (${message}): make it smaller.`;
}
