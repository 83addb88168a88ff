// The API's description: OpenAPI 3.1 from the routes' own schemas, with a page at /docs.
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';
import { definitionSchemas } from '../domain/definition.ts';
import type { Scope } from '../platform/hashed-keys.ts';
import { jsonSchemaOf } from '../platform/validate.ts';

/** Says of the routes that this scope registers from now on which key they need; to ask for it is the gate's work. */
export function describeKey(app: FastifyInstance, scope: Scope): void {
  app.addHook('onRoute', (route) => {
    route.schema = { security: [{ bearer: [scope] }, { basic: [scope] }], ...route.schema };
  });
}

/** Register before any route. The document is at /docs/json and /docs/yaml. */
export async function registerOpenApi(app: FastifyInstance): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Flywheel',
        version: '0.1.0',
        description:
          'What buyers do and what was spent goes in; assignments, bids, budgets, triggers and reports come out. ' +
          'Every error is a problem document (RFC 9457).',
      },
      tags: [
        { name: 'collect', description: 'The Segment spec: what buyers do.' },
        { name: 'spend', description: 'What platforms spent: reports and notices.' },
        { name: 'assignments', description: 'Which variant a buyer sees: OFREP 0.3.' },
        { name: 'bids', description: 'What an impression is worth, from a lease of the budget.' },
        { name: 'budgets', description: 'What is spent, outstanding and free, and the plan.' },
        { name: 'triggers', description: 'Whom to reach now: pull and acknowledge.' },
        { name: 'buyers', description: 'One buyer as the stream knows them now.' },
        {
          name: 'reports',
          description: 'Funnels, opportunities, campaigns, the north star; rolling counts.',
        },
        { name: 'sources', description: 'What comes in by each write key: live, its schema, its health.' },
        { name: 'definitions', description: 'What is counted, scored, spent and shown.' },
        { name: 'operate', description: 'Health and metrics.' },
      ],
      components: {
        schemas: Object.fromEntries(
          Object.entries(definitionSchemas).map(([type, schema]) => [
            `Definition.${type}`,
            jsonSchemaOf(schema),
          ]),
        ) as Record<string, object>,
        securitySchemes: {
          bearer: {
            type: 'http',
            scheme: 'bearer',
            description:
              'A write key (collect, assignments) or a secret key (everything); each route names the role it needs. `X-API-Key: KEY`, as OFREP clients send it, is taken as well.',
          },
          basic: {
            type: 'http',
            scheme: 'basic',
            description: 'The key as user name, as Segment clients send it.',
          },
        },
      },
      security: [{ bearer: [] }, { basic: [] }],
    },
  });
  await app.register(swaggerUi, { routePrefix: '/docs' });
}
