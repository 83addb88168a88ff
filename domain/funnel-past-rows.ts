// What is known of a key's past: its rows and what became of its links, as ClickHouse has them.

/** An applied record, as ClickHouse has it. Attributes are '' where it is silent. */
export interface PastRow {
  readonly offset: number;
  readonly timeMs: number;
  readonly appendMs: number;
  readonly messageId: string;
  readonly behaviour: string;
  readonly country: string;
  readonly industry: string;
  readonly channel: string;
}

/** What became of a link, at the owner of the key under which it is told. */
export interface PastChange {
  readonly offset: number;
  readonly timeMs: number;
  readonly link: string;
  readonly visitor: string;
  readonly user: string;
  readonly change: string;
  /** `linked`: from where on the visitor's records are the user's; below its own offset if the link owns the history. */
  readonly fromOffset: number;
}

/** All of one key before the funnel's record, each list in the order of the log. */
export interface KeyPast {
  readonly key: string;
  readonly rows: readonly PastRow[];
  readonly changes: readonly PastChange[];
}
