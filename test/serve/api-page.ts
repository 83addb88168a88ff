// The API's description as a page for people: one section a tag, one a route, fields as tables.

interface Schema {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly format?: string;
  readonly pattern?: string;
  readonly default?: unknown;
  readonly examples?: readonly unknown[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly additionalProperties?: Schema | boolean;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly $ref?: string;
}

interface Content {
  readonly description?: string;
  readonly content?: Readonly<Record<string, { readonly schema?: Schema }>>;
}

interface Operation {
  readonly summary?: string;
  readonly description?: string;
  readonly tags?: readonly string[];
  /** Which key; none of it: anybody. */
  readonly security?: readonly Readonly<Record<string, readonly string[]>>[];
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: string;
    readonly required?: boolean;
    readonly description?: string;
    readonly schema: Schema;
  }[];
  readonly requestBody?: Content;
  readonly responses: Readonly<Record<string, Content>>;
}

export interface ApiDescription {
  readonly info: { readonly title: string; readonly description: string };
  readonly tags: readonly { readonly name: string; readonly description: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

/** Deeper fields are named by their type alone. */
const DEPTH_MAX = 3;

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}

const code = (value: unknown): string => `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``;

function variantsOf(schema: Schema): readonly Schema[] {
  return schema.anyOf ?? schema.oneOf ?? [];
}

function typeOf(schema: Schema): string {
  if (schema.$ref !== undefined) return schema.$ref.slice(schema.$ref.lastIndexOf('/') + 1);
  if (schema.const !== undefined) return code(schema.const);
  if (schema.enum !== undefined) return schema.enum.map(code).join(', ');
  const variants = variantsOf(schema);
  if (variants.length > 0) return [...new Set(variants.map(typeOf))].join(' or ');
  if (schema.type === 'array') return `list of ${typeOf(schema.items ?? {})}`;
  if (typeof schema.type === 'string') return schema.format ?? schema.type;
  return schema.type?.join(' or ') ?? 'any';
}

function limitsOf(schema: Schema): string[] {
  const range = (least: number | undefined, most: number | undefined, unit: string): string[] => {
    const low = least === undefined || least <= Number.MIN_SAFE_INTEGER ? undefined : least;
    const high = most === undefined || most >= Number.MAX_SAFE_INTEGER ? undefined : most;
    if (low === undefined && high === undefined) return [];
    if (low === undefined) return [`at most ${high}${unit}`];
    return high === undefined ? [`at least ${low}${unit}`] : [`${low} to ${high}${unit}`];
  };
  return [
    ...range(schema.minimum, schema.maximum, ''),
    ...range(schema.minLength || undefined, schema.maxLength, ' characters'),
    ...range(schema.minItems || undefined, schema.maxItems, ' entries'),
    ...(schema.default === undefined ? [] : [`default ${code(schema.default)}`]),
    ...(schema.examples?.[0] === undefined ? [] : [`such as ${code(schema.examples[0])}`]),
  ];
}

function row(name: string, required: boolean, schema: Schema, description = schema.description): string {
  const remark = [description?.replace(/\.$/, ''), ...limitsOf(schema)].filter(Boolean).join('; ');
  return `| ${code(name)}${required ? '' : ' (optional)'} | ${cell(typeOf(schema))} | ${cell(remark)} |`;
}

/** One row a field, those of inner objects and lists with their path. */
function fieldRows(schema: Schema, path = '', depth = 0): string[] {
  if (depth >= DEPTH_MAX) return [];
  const inner = [schema, ...variantsOf(schema)];
  return inner.flatMap((one) => {
    if (one.type === 'array' && one.items !== undefined) return fieldRows(one.items, `${path}[]`, depth);
    return Object.entries(one.properties ?? {}).flatMap(([name, field]) => {
      const full = path === '' ? name : `${path}.${name}`;
      return [row(full, one.required?.includes(name) ?? false, field), ...fieldRows(field, full, depth + 1)];
    });
  });
}

function table(head: string, rows: readonly string[]): string[] {
  if (rows.length === 0) return [];
  return ['', `| ${head} | Type | |`, '|---|---|---|', ...new Set(rows)];
}

/** Objects, or lists of them, of which one is meant: a table each, or the fields of all would seem to be wanted at once. */
function formsOf(schema: Schema): readonly Schema[] {
  const variants = variantsOf(schema);
  return variants.length > 1 &&
    variants.every(({ properties, items }) => (properties ?? items?.properties) !== undefined)
    ? variants
    : [schema];
}

function bodies(what: string, body: Content | undefined): string[] {
  return Object.entries(body?.content ?? {}).flatMap(([type, { schema = {} }]) =>
    formsOf(schema).flatMap((form, place, forms) => {
      const rows = fieldRows(form);
      const plain = rows.length === 0 ? `: ${typeOf(form)}` : '';
      const which = forms.length === 1 ? '' : place === 0 ? ', either' : ', or';
      return ['', `${what} (${code(type)})${plain}${which}`, ...table('Field', rows)];
    }),
  );
}

function keyOf({ security = [] }: Operation): string {
  const [needed] = security;
  if (needed === undefined) return 'No key.';
  return Object.values(needed)[0]![0] === 'write' ? 'Any key.' : 'A secret key.';
}

function route(path: string, method: string, operation: Operation): string[] {
  const parameters = (operation.parameters ?? []).map(
    ({ name, required = false, schema, description, ...at }) =>
      row(`${name}`, required, { ...schema }, [`in the ${at.in}`, description].filter(Boolean).join(': ')),
  );
  const taken = Object.entries(operation.responses).filter(([status]) => /^[23]\d\d$/.test(status));
  return [
    '',
    `### ${method.toUpperCase()} ${path}`,
    '',
    `${operation.summary ?? ''}.${operation.description === undefined ? '' : ` ${operation.description}`} ${keyOf(operation)}`,
    ...table('Parameter', parameters),
    ...bodies('Body', operation.requestBody),
    ...taken.flatMap(([status, answer]) => {
      const lines = bodies(`Answer ${status}`, answer);
      return lines.length === 0 ? ['', `Answer ${status}, without a body.`] : lines;
    }),
  ];
}

/** What every route answers when something is wrong. */
function problemSchema(paths: ApiDescription['paths']): Schema {
  const operations = Object.values(paths).flatMap((methods) => Object.values(methods));
  const problems = operations.flatMap(
    ({ responses }) => responses['4XX']?.content?.['application/problem+json'] ?? [],
  );
  return problems[0]!.schema!;
}

/** The documents that routes name by their kind alone. */
function components({ schemas }: ApiDescription['components']): string[] {
  return Object.entries(schemas).flatMap(([name, schema]) => [
    '',
    `### ${name}`,
    ...table('Field', fieldRows(schema)),
  ]);
}

/** Markdown of the whole description, in the order of its tags. */
export function apiPage({ info, tags, paths, components: named }: ApiDescription): string {
  const routes = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  );
  const lines = [
    `# ${info.title}: the API`,
    '',
    info.description,
    '',
    'Made from the OpenAPI document that `serve` answers at `/docs/json` (a page to try it is at `/docs`); a test holds the two together.',
    'Keys go as `Authorization: Bearer <key>`, as the user name of basic authentication, or as `X-API-Key: <key>`, as OFREP clients send it; where only collect is called, also as `writeKey` in the body. A write key may stand in pages; a secret key is for servers. Each route says which it takes.',
    '',
    'Every 4xx and 5xx is `application/problem+json`; some codes have further members beside these, such as `retryAfterSeconds`.',
    ...table('Field', fieldRows(problemSchema(paths))),
    ...tags.flatMap(({ name, description }) => [
      '',
      `## ${name}`,
      '',
      description,
      ...routes
        .filter(({ operation }) => operation.tags?.includes(name))
        .flatMap(({ path, method, operation }) => route(path, method, operation)),
    ]),
    '',
    '## Documents of definitions',
    '',
    'What `document` holds, by kind: `components.schemas` of the OpenAPI document. Durations end in `Ms`, money in `Micros` (millionths of the currency).',
    ...components(named),
  ];
  return `${lines.join('\n')}\n`;
}
