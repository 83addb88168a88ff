// What every error of the API is: a problem document (RFC 9457).
import { expect } from 'vitest';

export function expectProblem(
  answer: { statusCode: number; headers: Record<string, unknown>; json(): unknown },
  status: number,
  code: string,
) {
  expect(answer.statusCode).toBe(status);
  expect(answer.headers['content-type']).toBe('application/problem+json');
  expect(answer.json()).toMatchObject({
    status,
    code,
    type: `urn:flywheel:problem:${code}`,
    title: expect.any(String),
    detail: expect.any(String),
  });
}
