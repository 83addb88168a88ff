// Which optional packages of the lock file npm installs on this machine. It is asked before any package is there.

/**
 * True for a package that is made for a kind of machine, when this is one of the kind: by system, processor, C library and version
 * of Node. False also for one that is for all machines, which npm may leave out, and for a version that is asked for in another way.
 * @param {{ os?: string[], cpu?: string[], libc?: string[], engines?: { node?: string } }} entry of a lock file
 */
export function fitsMachine({ os, cpu, libc, engines }) {
  if (!os?.includes(process.platform) || !cpu?.includes(process.arch)) return false;
  if (libc !== undefined && !libc.includes(libcFamily())) return false;
  return engines?.node === undefined || isInRange(process.versions.node, engines.node);
}

let family;

function libcFamily() {
  if (process.platform !== 'linux') return undefined;
  // Else the names of all who are connected are looked up for it.
  process.report.excludeNetwork = true;
  family ??= process.report.getReport().header.glibcVersionRuntime === undefined ? 'musl' : 'glibc';
  return family;
}

/**
 * Knows the ranges of which lock files have most: `>=18`, `^20.19.0 || >=22.12.0`. Is in no other.
 * @param {string} version
 * @param {string} range
 */
export function isInRange(version, range) {
  return range.split('||').some((part) => {
    const [, sign, ...lowest] = /^\s*(\^|>=)\s*(\d+)(?:\.(\d+))?(?:\.(\d+))?\s*$/.exec(part) ?? [];
    if (sign === undefined) return false;
    const actual = version.split('.').map((number) => Number.parseInt(number, 10));
    const least = lowest.map((number) => Number(number ?? 0));
    if (sign === '^' && actual[0] !== least[0]) return false;
    const at = least.findIndex((number, place) => number !== actual[place]);
    return at === -1 || actual[at] > least[at];
  });
}
