// What every k6 script here shares: how it drives, and what fails its run. A crossed threshold ends k6 with 99.
// RATE 0: as fast as VUS callers get answers. Else so many requests a second, whatever the answers take, and a p99 to keep.
import { check } from 'k6';
import http from 'k6/http';

const { TARGET, RATE, VUS, SECONDS, SUMMARY, AUTHORIZATION } = __ENV;
const rate = Number(RATE);
const P99_MS_MAX = 10;
/** What the bare server answers, and collect. */
export const SUCCESS = /"success":true/;

const asFastAsItGoes = { executor: 'constant-vus', vus: Number(VUS), duration: `${SECONDS}s` };
const atItsRate = {
  executor: 'constant-arrival-rate',
  rate,
  timeUnit: '1s',
  duration: `${SECONDS}s`,
  preAllocatedVUs: Number(VUS),
  maxVUs: 8 * Number(VUS),
};
const always = { checks: ['rate==1'], http_req_failed: ['rate==0'] };

export const options = {
  scenarios: { drive: rate === 0 ? asFastAsItGoes : atItsRate },
  thresholds: rate === 0 ? always : { ...always, http_req_duration: [`p(99)<=${P99_MS_MAX}`] },
  summaryTrendStats: ['avg', 'med', 'p(95)', 'p(99)', 'max'],
  discardResponseBodies: false,
};

const params = { headers: { 'content-type': 'application/json', authorization: AUTHORIZATION } };

/**
 * Posts one body. The answer's text must match `right`, or say success where it is the bare server's: both are looked at in the
 * same way, and neither is parsed, which would cost k6, on the same cores, as much as the answer cost the server.
 */
export function post(body, right) {
  const response = http.post(TARGET, JSON.stringify(body), params);
  const expected = TARGET.endsWith('/bare') ? SUCCESS : right;
  check(response, {
    'is answered': ({ status }) => status === 200,
    'says what it must': (answer) => expected.test(answer.body),
  });
}

/** A buyer out of so many, another one each time. */
export function buyerOf(buyers) {
  return `buyer-${Math.floor(Math.random() * buyers)}`;
}

export function handleSummary({ metrics }) {
  const { http_reqs: requests, http_req_duration: duration, checks, dropped_iterations: dropped } = metrics;
  const summary = {
    requests: requests.values.count,
    requestsPerSecond: requests.values.rate,
    latencyMs: duration.values,
    checksPassed: checks.values.rate,
    dropped: dropped === undefined ? 0 : dropped.values.count,
  };
  return { [SUMMARY]: JSON.stringify(summary) };
}
