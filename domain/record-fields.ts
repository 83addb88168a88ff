// The values that records of the log are made of.
import { z } from 'zod';

/** Epoch milliseconds, after 1990-01-01 and before 2100-01-01: anything else is an absurd time. */
export const epochMs = z.int().min(631_152_000_000).max(4_102_444_800_000);
export const ID_CHARACTERS_MAX = 256;
export const id = z.string().min(1).max(ID_CHARACTERS_MAX);
/** The longest key: an id behind its kind (`u:`, `a:`, `c:`). */
export const KEY_CHARACTERS_MAX = ID_CHARACTERS_MAX + 2;
export const key = z.string().min(1).max(KEY_CHARACTERS_MAX);
/** A record's objects and lists may stand in each other so deep: recursion over them must not meet the end of the call stack. */
export const NESTING_MAX = 1_000;
export const properties = z.record(z.string(), z.unknown());
export const currency = z.string().regex(/^[A-Z]{3}$/);
export const micros = z.int().min(0).max(9_000_000_000_000_000);
export const count = z.int().min(0).max(1_000_000_000_000);
export const country = z.string().regex(/^[A-Z]{2}$/);
