/** True when `version` is in `range`, of the forms that lock files have most; false for a range of another form. */
export function isInRange(version: string, range: string): boolean;
