// All limits of the snippet. They stand in a file that imports nothing: the bundler writes such numbers where they are used.

/** Messages that wait for consent, in this page's memory alone. */
export const HELD_MAX = 100;
export const MESSAGE_CHARACTERS_MAX = 32_000;

export const FLUSH_MS = 1_000;
export const BATCH_MAX = 20;
export const QUEUE_MAX = 200;
/** Browsers let 64 KB be on their way when a page closes: one batch before, and one as it closes. */
export const KEEPALIVE_BYTES_MAX = 30_000;
/** 20 hours: older ones change nothing any more, and the server would not know a repeat of theirs. */
export const AGE_MS_MAX = 72_000_000;
export const BACKOFF_MS_MAX = 60_000;

/** A year. */
export const COOKIE_SECONDS = 31_536_000;

export const DEPTH_MAX = 10;
export const CLASSES_MAX = 2;
export const TEXT_MAX = 80;
export const ERRORS_MAX = 10;
export const ERROR_MESSAGE_MAX = 256;
export const ERROR_STACK_MAX = 1_024;
/** The largest paint is known some time after the page has loaded. */
export const LOAD_REPORT_MS = 2_000;
