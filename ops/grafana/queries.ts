// Expressions that several panels need. `$__rate_interval` is Grafana's: wide enough for the scrapes.

/** Events a second, by labels. */
export function rate(metric: string, by = ''): string {
  return `sum${by === '' ? '' : ` by (${by})`} (rate(${metric}[$__rate_interval]))`;
}

/** A quantile of a histogram, by labels. */
export function quantile(q: number, histogram: string, selector: string, by = ''): string {
  const labels = by === '' ? 'le' : `le, ${by}`;
  return `histogram_quantile(${q}, sum by (${labels}) (rate(${histogram}_bucket${selector}[$__rate_interval])))`;
}

/** A part of a whole, 0 while there is nothing. */
export function share(part: string, whole: string): string {
  return `(${rate(part)} / (${rate(whole)} > 0)) or vector(0)`;
}
