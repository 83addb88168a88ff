/** Builds dist/ unless it is that of the sources as they are; resolves with a remark on what was done. */
export function ensureBuild(): Promise<string>;
