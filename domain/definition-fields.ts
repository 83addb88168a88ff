// What fields of several definitions are.
import { z } from 'zod';

export const minutes = (n: number): number => n * 60_000;
export const hours = (n: number): number => n * 3_600_000;
export const days = (n: number): number => n * 86_400_000;

export const id = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/);
export const durationMs = z.int().min(0).max(days(800));
export const micros = z.int().min(0).max(9_000_000_000_000_000);
export const finite = z.number().min(-1e6).max(1e6);
/** One of the seven standard behaviours, or one of the site's own. */
export const behaviour = z.string().regex(/^[a-z][A-Za-z0-9]{0,31}$/);
