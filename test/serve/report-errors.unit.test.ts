// What ClickHouse says of its memory, as a report's answer: a question that is too wide, or a server that has none left.
import { type ClickHouseClient, ClickHouseError } from '@clickhouse/client';
import { describe, expect, it } from 'vitest';
import { reportRunner } from '../../serve/reports/named-queries.ts';

function problemOf(message: string): Promise<unknown> {
  const error = new ClickHouseError({ message, code: '241', type: 'MEMORY_LIMIT_EXCEEDED' });
  const query = () => Promise.reject(error);
  return reportRunner({ query } as unknown as ClickHouseClient)('sources', {}).catch(
    (thrown) => thrown.problem,
  );
}

const SIZES = 'would use 2.64 GiB (attempt to allocate chunk of 4361808 bytes), maximum: 2.64 GiB.';

describe('the memory limit', () => {
  // By the same code it says that all questions together have used it up: a shorter period is no way out of that.
  it.each([
    `(total) memory limit exceeded: ${SIZES}`,
    `Memory limit (total) exceeded: ${SIZES}`,
    `Memory limit (for user) exceeded: ${SIZES}`,
    `User memory limit exceeded: ${SIZES}`,
    `(total) memory limit exceeded: ${SIZES} OvercommitTracker decision: Query was selected to stop by OvercommitTracker`,
  ])('of all is 503 with a time to come back: %s', async (message) => {
    expect(await problemOf(message)).toMatchObject({
      status: 503,
      code: 'reports_unavailable',
      headers: { 'retry-after': '5' },
    });
  });

  it.each([`Query memory limit exceeded: ${SIZES}`, `Memory limit (for query) exceeded: ${SIZES}`])(
    'of the question is 422: %s',
    async (message) => {
      expect(await problemOf(message)).toMatchObject({ status: 422, code: 'too_wide' });
    },
  );
});
