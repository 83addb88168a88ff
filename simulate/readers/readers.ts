// Every format that can be replayed from a file.
import { cdnow } from './cdnow.ts';
import { cookieCats } from './cookie-cats.ts';
import { dailySpend } from './daily-spend.ts';
import { eshop2008 } from './eshop-2008.ts';
import { hillstrom } from './hillstrom.ts';
import { ipinyou } from './ipinyou.ts';
import { kagSpend } from './kag-spend.ts';
import { olist } from './olist.ts';
import { onlineRetail } from './online-retail.ts';
import type { Reader } from './reader.ts';
import { rees46 } from './rees46.ts';
import { udacityAb } from './udacity-ab.ts';
import { xEducation } from './x-education.ts';

export const readers: readonly Reader[] = [
  rees46,
  onlineRetail,
  kagSpend,
  dailySpend,
  eshop2008,
  ipinyou,
  xEducation,
  olist,
  cdnow,
  hillstrom,
  udacityAb,
  cookieCats,
];
