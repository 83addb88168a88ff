// The closed list of what can go wrong between Flywheel and the parts it connects to.

export type PlatformErrorCode =
  | 'KAFKA_UNREACHABLE'
  | 'KAFKA_QUEUE_FULL'
  | 'KAFKA_TOO_LARGE'
  | 'KAFKA_NOT_DELIVERED'
  | 'KAFKA_FATAL'
  | 'KAFKA_READ_FAILED'
  | 'KAFKA_CLOSED'
  | 'KAFKA_FENCED'
  | 'NOT_DEAD'
  | 'NO_SUCH_PARTITION'
  | 'NO_SUCH_OFFSET'
  | 'SECRETS_UNREADABLE'
  | 'TOPIC_MISSING'
  | 'TOPIC_MISMATCH'
  | 'GENERATION_MISMATCH'
  | 'REDIS_UNREACHABLE'
  | 'CLICKHOUSE_UNREACHABLE'
  | 'MIGRATION_CHANGED'
  | 'MIGRATION_FAILED'
  | 'DEFINITION_INVALID'
  | 'DEFINITION_CONFLICT'
  | 'DEFINITION_UNCONFIRMED'
  | 'KEYS_UNREADABLE'
  | 'KEYS_LOCKED'
  | 'KEYS_REFUSED'
  | 'SERVE_REFUSED'
  | 'NOT_CANONICAL';

/** An expected failure; `message` is fit to be shown to an operator as it is, `cause` has what lies below. */
export class PlatformError extends Error {
  readonly code: PlatformErrorCode;
  constructor(code: PlatformErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'PlatformError';
    this.code = code;
  }
}

/** True if `error` is a PlatformError of that code. */
export function isPlatformError(error: unknown, code: PlatformErrorCode): error is PlatformError {
  return error instanceof PlatformError && error.code === code;
}
