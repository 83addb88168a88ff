import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect, it } from 'vitest';
import { Admin } from '../../platform/kafka-admin.ts';

it('still checks what it is given, each time', () => {
  const options = { clientId: 'test', bootstrapBrokers: ['127.0.0.1:1'], strict: true };
  expect(() => new Admin({ ...options, timeout: 'soon' } as never)).toThrow(/timeout/);
  expect(() => new Admin({ ...options, retries: -1 } as never)).toThrow(/retries/);
  expect(() => new Admin(options)).not.toThrow();
});

it('leaves other users of the schema compiler as they were', () => {
  expect(Object.hasOwn(Ajv2020.prototype, 'compile')).toBe(false);
  const validate = new Ajv2020().compile({ type: 'string' });
  expect([validate('text'), validate(1), validate.errors?.[0]?.keyword]).toEqual([true, false, 'type']);
});
