/**
 * The part of the Standard Schema interface (standardschema.dev) that validating needs. Zod, Valibot,
 * ArkType and others implement it, so that none of them is a dependency here.
 */
export interface StandardSchemaV1<Input = unknown, Output = Input> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  };
}

/** The result of a validation. */
export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly { readonly message: string }[] };

/** The value in an event's data, or why there is none. */
export type Parsed<T> =
  | { readonly value: T; readonly invalid?: undefined }
  | { readonly value?: undefined; readonly invalid: string };

/** Reads JSON, and checks it where there is a schema. Bad data is a result, never an exception. */
export function parse<T>(data: string, schema?: StandardSchemaV1<unknown, T>): Parsed<T> {
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch {
    return { invalid: 'not JSON' };
  }
  if (!schema) return { value: value as T };
  const result = schema['~standard'].validate(value);
  // Waiting for one event's check while others arrive would change their order.
  if (result instanceof Promise) return { invalid: 'the schema is asynchronous' };
  if (!result.issues) return { value: result.value };
  return { invalid: result.issues.map(({ message }) => message).join('; ') };
}
