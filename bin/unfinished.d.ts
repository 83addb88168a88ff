/** An empty folder beside `place` for this process to fill; what processes that have ended left there of theirs is removed. */
export function makeUnfinished(place: string): string;
