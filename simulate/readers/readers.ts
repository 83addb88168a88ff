// Every format that can be replayed from a file.
import { dailySpend } from './daily-spend.ts';
import { kagSpend } from './kag-spend.ts';
import { onlineRetail } from './online-retail.ts';
import type { Reader } from './reader.ts';
import { rees46 } from './rees46.ts';

export const readers: readonly Reader[] = [rees46, onlineRetail, kagSpend, dailySpend];
