// Kafka's admin client, without the half second and more that importing it costs each process: the package compiles forty
// schemas at once, which it asks only if it is told to be strict. Here each is compiled when it is first asked.
import type { AnySchema, ValidateFunction } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';

const { prototype } = Ajv2020;
const compileNow = prototype.compile;

function compileWhenAsked(this: Ajv2020, schema: AnySchema): ValidateFunction {
  let compiled: ValidateFunction | undefined;
  const validate = (value: unknown): boolean => {
    compiled ??= compileNow.call(this, schema) as ValidateFunction;
    const isValid = compiled(value) as boolean;
    Object.assign(validate, { errors: compiled.errors });
    return isValid;
  };
  return validate as unknown as ValidateFunction;
}

// `compile` itself is inherited: taking the own property away again leaves the class as it was.
Object.defineProperty(prototype, 'compile', { value: compileWhenAsked, configurable: true });
const { Admin } = await import('@platformatic/kafka').finally(() =>
  Reflect.deleteProperty(prototype, 'compile'),
);
type Admin = InstanceType<typeof Admin>;

export { Admin };
