// A namespace keeps one data set apart from another: its own topics, Redis tags and ClickHouse database.
export interface Namespace {
  readonly name: string;
  readonly topics: {
    readonly events: string;
    readonly spend: string;
    readonly definitions: string;
    readonly rejected: string;
    readonly triggers: string;
    readonly deliveries: string;
  };
  /** ClickHouse database. */
  readonly database: string;
  /** Goes in front of every Redis key and tag; empty for `default`. */
  readonly redisPrefix: string;
}

const NAME = /^[a-z][a-z0-9-]{0,31}$/;

/** @throws Error if the name is not lower case letters, digits and dashes. */
export function namespaceOf(name: string): Namespace {
  if (!NAME.test(name)) {
    throw new Error(
      `the namespace ${JSON.stringify(name)} must be 1 to 32 lower case letters, digits or dashes, letter first`,
    );
  }
  const prefix = name === 'default' ? '' : `${name}.`;
  return {
    name,
    topics: {
      events: `${prefix}events`,
      spend: `${prefix}spend`,
      definitions: `${prefix}definitions`,
      rejected: `${prefix}events.rejected`,
      triggers: `${prefix}triggers`,
      deliveries: `${prefix}deliveries`,
    },
    database: name === 'default' ? 'flywheel' : `flywheel_${name.replaceAll('-', '_')}`,
    redisPrefix: name === 'default' ? '' : `${name}.`,
  };
}

/** Partitions of each topic when it is created. */
export const topicPartitions = {
  events: 12,
  spend: 4,
  definitions: 1,
  rejected: 1,
  triggers: 4,
  deliveries: 1,
} as const;
