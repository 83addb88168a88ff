// What makes a definition acceptable: every reason at once, defaults filled in, references that lead somewhere.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import {
  type DefinitionType,
  definitionSchemas,
  definitionTypes,
  readDocument,
} from '../../domain/definition.ts';
import type { DefinitionRecord } from '../../domain/record.ts';
import { canonicalHash, canonicalJson } from '../../platform/canonical.ts';
import { forbiddenChanges } from '../../platform/definition-changes.ts';
import { checkChange } from '../../platform/definition-check.ts';
import { checkDocument, publishOrder } from '../../platform/definition-document.ts';
import { readDefinitionFiles } from '../../platform/definition-files.ts';
import {
  danglingReferences,
  missingTargets,
  reasonsOf as reasonsFor,
} from '../../platform/definition-references.ts';
import { planSet } from '../../platform/definition-set.ts';
import { isCountry } from '../../platform/iso-codes.ts';
import { type JsonSchema, jsonSchemaOf } from '../../platform/validate.ts';

function reasonsOf(type: DefinitionType, document: unknown, id = 'x'): readonly string[] {
  const checked = checkDocument(type, id, document);
  return checked.ok ? [] : checked.reasons;
}

const experiment = {
  name: 'e',
  status: 'running',
  variations: [
    { key: 'a', value: 1, weight: 0.5 },
    { key: 'b', value: 2, weight: 0.5 },
  ],
  fallback: 'a',
};
const account = { name: 'a', currency: 'EUR', dailyBudgetMicros: 1 };
const campaign = { name: 'c', accountId: 'a', channel: 'search' };
const score = { name: 's', horizonMs: 1, halfLifeMs: 60_000, intercept: 0, engagement: {} };

describe('one document', () => {
  test('has its defaults filled in and stands in canonical form', () => {
    const checked = checkDocument('funnel', 'f', { steps: ['visit', 'order'], windowMs: 1_000, name: 'F' });
    expect(checked.ok && JSON.stringify(checked.document)).toBe(
      '{"mode":"default","name":"F","steps":["visit","order"],"windowMs":1000}',
    );
  });

  test('all reasons come at once: the id, types, limits', () => {
    const reasons = reasonsOf('funnel', { name: 1, steps: ['visit'], windowMs: -1 }, 'no spaces, please');
    expect(reasons.map((reason) => reason.split(':')[0])).toEqual([
      'the id "no spaces, please" must fit ^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$',
      'name',
      'steps',
      'windowMs',
    ]);
  });

  test.each<[DefinitionType, unknown, string[]]>([
    ['funnel', null, ['the document: must be an object']],
    [
      'funnel',
      { name: 1, steps: ['visit'], windowMs: -1, mode: 'x' },
      [
        'name: must be a text',
        'steps: must have at least 2 entries',
        'windowMs: must be at least 0',
        'mode: must be one of default, strict_order, strict_increase, strict_order+strict_increase',
      ],
    ],
    [
      'score',
      { ...score, horizonMs: 1.5, cap: 0, intercept: undefined, engagement: { 'a b': 1 } },
      [
        'horizonMs: must be a whole number',
        'cap: must be more than 0',
        'intercept: must be there',
        'engagement.a b: its name must fit ^[a-z][A-Za-z0-9]{0,31}$',
      ],
    ],
    [
      'experiment',
      { ...experiment, hashVersion: 3, targeting: [{}] },
      [
        'hashVersion: must be one of 1, 2',
        'targeting.0: attribute must be there and operator must be there, or segment must be there',
      ],
    ],
    ['campaign', { ...campaign, name: 'x'.repeat(257) }, ['name: must have at most 256 characters']],
  ])('of a %s: what would be right is said in words', (type, document, reasons) => {
    expect(reasonsOf(type, document)).toEqual(reasons);
  });

  test('may be as large as a record of it may be', () => {
    const value = (characters: number) => ({
      ...experiment,
      variations: experiment.variations.map((variation) => ({ ...variation, value: 'x'.repeat(characters) })),
    });
    expect(reasonsOf('experiment', value(300_000))).toEqual([]);
    expect(reasonsOf('experiment', value(400_000))).toEqual([
      expect.stringMatching(/^the document has 8\d{5} bytes as JSON; a definition may have 786432$/),
    ]);
  });

  test('a field that there is not is a mistake, also deep inside', () => {
    expect(
      reasonsOf('account', {
        name: 'a',
        currency: 'EUR',
        dailyBudgetMicros: 1,
        budget: 2,
        pacing: { gane: 1 },
      }),
    ).toEqual(['budget: there is no such field', 'pacing.gane: there is no such field']);
  });

  test('a field that there is not is named although another one is wrong', () => {
    const variations = [{ key: 'a', value: { any: 1 }, weight: 2, wieght: 1 }, ...experiment.variations];
    expect(
      reasonsOf('experiment', { ...experiment, variations, targeting: [{ segment: 's', On: true }] }),
    ).toEqual([
      expect.stringContaining('variations.0.weight'),
      'variations.0.wieght: there is no such field',
      'targeting.0.On: there is no such field',
    ]);
  });

  test.each<[string, DefinitionType, unknown, string]>([
    [
      'a list that is none',
      'segment',
      { name: 's', conditions: [{ attribute: 'country', operator: 'in', value: 'DE' }] },
      'conditions.0.value: in needs a list',
    ],
    [
      'nothing to compare with',
      'experiment',
      { ...experiment, targeting: [{ segment: 's' }, { attribute: 'country', operator: 'equals' }] },
      'targeting.1.value: equals needs',
    ],
    ['a second one of what there is once', 'lifecycle', {}, 'there is one lifecycle only'],
    [
      'lateness beyond the memory of ids',
      'settings',
      { latenessMs: 10, idMemoryMs: 10 },
      'latenessMs must be less',
    ],
    [
      'a visitor that is forgotten before its ids',
      'settings',
      { idMemoryMs: 11_000_000, linkExpiryMs: 10_999_999 },
      'linkExpiryMs must be at least idMemoryMs',
    ],
    [
      'a fallback that is no variation',
      'experiment',
      { ...experiment, fallback: 'c' },
      'fallback: c is none of',
    ],
    [
      'a forced variant that is no variation',
      'experiment',
      { ...experiment, forced: 'q' },
      'forced: q is none of the variations a, b',
    ],
    [
      'a base of what opens no opportunity',
      'opportunity',
      { base: { quote: 0.1, order: 0.7 } },
      'base: quote opens no opportunity; only contact, inquiry, order do',
    ],
    [
      'a currency that there is not',
      'account',
      { ...account, currency: 'XXQ' },
      'currency: XXQ is no currency of ISO 4217',
    ],
    [
      'bids that live for no time',
      'account',
      { ...account, bidLifeMs: 0 },
      'bidLifeMs: a bid that lives for 0 ms is over before it can win; the least is 1000',
    ],
    ['an empty channel', 'campaign', { ...campaign, channel: ' ' }, 'channel: it may not be empty'],
    [
      'a country by a name that is not its code',
      'campaign',
      { ...campaign, countries: ['DE', 'UK'] },
      'countries: "UK" is no country of ISO 3166-1; GB is',
    ],
    [
      'a union of countries',
      'campaign',
      { ...campaign, countries: ['EU'] },
      'countries: "EU" is no country of ISO 3166-1',
    ],
    [
      'a weight for a country that nobody has',
      'score',
      { ...score, country: { de: 1 } },
      'country: "de" is no country of ISO 3166-1; DE is',
    ],
    [
      'the same of an opportunity',
      'opportunity',
      { country: { QQ: 1 } },
      'country: "QQ" is no country of ISO 3166-1',
    ],
    [
      'variations of one name',
      'experiment',
      { ...experiment, variations: [experiment.variations[0], experiment.variations[0]] },
      'variations: their keys must differ',
    ],
    [
      'weights that do not add up',
      'experiment',
      { ...experiment, variations: [experiment.variations[0], { key: 'b', value: 2, weight: 0.4 }] },
      'the weights add up to 0.9',
    ],
    [
      'a value that no flag can be',
      'experiment',
      { ...experiment, variations: [experiment.variations[0], { key: 'b', value: [2], weight: 0.5 }] },
      'variations: the value of b is a list, which no flag can be; put it into an object',
    ],
    [
      'values of different types',
      'experiment',
      { ...experiment, variations: [experiment.variations[0], { key: 'b', value: '2', weight: 0.5 }] },
      'variations: their values are of different types (a number, a text); a flag has one',
    ],
    [
      'a namespace without room',
      'experiment',
      { ...experiment, namespace: { id: 'n', from: 1, to: 0 } },
      'from must be',
    ],
    [
      'a stage that is none',
      'trigger',
      { name: 't', on: 'transition', to: ['qualified'] },
      'qualified is none of new',
    ],
    [
      'a moment that is none',
      'trigger',
      { name: 't', on: 'opportunity', to: ['new'] },
      'new is none of opened',
    ],
    [
      'a receiver with a password',
      'receiver',
      { name: 'r', url: 'https://me:secret@a.example/', secret: 'crm' },
      'it may carry no user',
    ],
    [
      'a receiver that is no web address',
      'receiver',
      { name: 'r', url: 'file:///etc/passwd', secret: 'crm' },
      'url: must be an http:// or https:// URL',
    ],
    [
      'a receiver with its secret in the document',
      'receiver',
      { name: 'r', url: 'https://a.example/', secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw+/=' },
      'secret',
    ],
  ])('%s is refused', (_, type, document, reason) => {
    expect(reasonsOf(type, document).join('; ')).toContain(reason);
  });

  test('every country may be named, and that one is not known', () => {
    expect(reasonsOf('campaign', { ...campaign, countries: ['GB', 'XK', 'SS', 'ZZ'] })).toEqual([]);
    expect(reasonsOf('score', { ...score, country: { GB: 1, ZZ: -1 } })).toEqual([]);
    const letters = Array.from({ length: 26 }, (_, index) => String.fromCharCode(65 + index));
    const codes = letters.flatMap((first) => letters.map((second) => first + second));
    // ISO 3166-1 has 249, and its users Kosovo.
    expect(codes.filter(isCountry)).toHaveLength(250);
  });

  test('what was accepted by the rules of its day can be changed elsewhere, and gains no new fault', () => {
    const old = definitionSchemas.account.parse({ ...account, currency: 'BTC' });
    const raised = { ...old, dailyBudgetMicros: 2 };
    expect(checkDocument('account', 'x', raised, old)).toMatchObject({ ok: true });
    expect(checkDocument('account', 'x', { ...raised, currency: 'XXQ' }, old)).toMatchObject({ ok: false });
    expect(checkDocument('account', 'x', raised)).toMatchObject({ ok: false });
    expect(readDocument('account', old)).toMatchObject({ currency: 'BTC' });
    const record = { type: 'account', id: 'x', revision: 1, hash: canonicalHash(old), document: old };
    const log = {
      list: <Document>(type: DefinitionType) =>
        type === 'account' ? [{ id: 'x', document: old as Document }] : [],
      historyOf: (type: DefinitionType) =>
        type === 'account' ? [record as unknown as DefinitionRecord] : [],
    };
    expect(checkChange(log, { type: 'account', id: 'x', document: raised }).outcome).toBe('sound');
    // What was exported is imported again.
    const set = [{ type: 'account', id: 'x', document: old }];
    expect(planSet(log, set, { withdrawOthers: false })).toMatchObject({ ok: true, unchanged: 1 });
  });

  test('an account keeps the life of bids that it had, and gets another only if it is long enough', () => {
    const old = { ...account, bidLifeMs: 0 };
    const changed = { ...old, dailyBudgetMicros: 7 };
    expect(checkDocument('account', 'x', changed, old)).toMatchObject({ ok: true });
    expect(checkDocument('account', 'x', { ...old, bidLifeMs: 999 }, old)).toMatchObject({ ok: false });
    expect(checkDocument('account', 'x', { ...old, bidLifeMs: 1_000 }, old)).toMatchObject({ ok: true });
  });

  test.each([
    ['x', 'y'],
    [true, false],
    [1, 2.5],
    [{ a: 1 }, { b: [2] }],
    [null, 1],
    [null, null],
  ])('a flag of %j and %j is taken', (one, other) => {
    const variations = [
      { key: 'a', value: one, weight: 0.5 },
      { key: 'b', value: other, weight: 0.5 },
    ];
    expect(reasonsOf('experiment', { ...experiment, variations })).toEqual([]);
  });

  test('an experiment that began with values that no flag can have can be stopped', () => {
    const variations = [
      { key: 'a', value: 'x', weight: 0.5 },
      { key: 'b', value: [2], weight: 0.5 },
    ];
    const old = definitionSchemas.experiment.parse({ ...experiment, status: 'running', variations });
    expect(checkDocument('experiment', 'x', { ...old, status: 'stopped' }, old)).toMatchObject({ ok: true });
    expect(checkDocument('experiment', 'x', old)).toMatchObject({ ok: false });
  });

  test('-0 has no canonical form and is refused like any fault', () => {
    const behind = { name: 's', horizonMs: 1, halfLifeMs: 60_000, intercept: -0, engagement: {} };
    expect(reasonsOf('score', behind)).toEqual(['$.intercept is -0: it has no canonical JSON']);
  });
});

/** The fields of a document by their paths, and whether they are described. */
function fieldsOf(schema: JsonSchema, path: string): [path: string, described: boolean][] {
  const inner = [schema, schema.items, ...((schema.anyOf ?? []) as unknown[])] as (JsonSchema | undefined)[];
  return inner.flatMap((each) =>
    Object.entries((each?.properties ?? {}) as Record<string, JsonSchema>).flatMap(([name, field]) => [
      [`${path}.${name}`, field.description !== undefined],
      ...fieldsOf(field, `${path}.${name}`),
    ]),
  ) as [string, boolean][];
}

test('a field whose name does not say what it means is described', () => {
  const fields = definitionTypes.flatMap((type) => fieldsOf(jsonSchemaOf(definitionSchemas[type]), type));
  const bare = fields.filter(([, described]) => !described).map(([path]) => path);
  // What the list, object or kind that it is part of says, and what everybody calls so.
  const plain =
    /^behaviours\.rules\.kind$|^funnel\.steps$|\.(name|status|url)$|^opportunity\.(messageLength|quantity|specification)\.|^(segment\.conditions|experiment\.targeting)\.|^experiment\.(variations|namespace)\./;
  expect(bare.filter((path) => !plain.test(path))).toEqual([]);
});

describe('references', () => {
  const set = (definitions: Partial<Record<DefinitionType, Record<string, unknown>>>) => ({
    list: <Document>(type: DefinitionType) =>
      Object.entries(definitions[type] ?? {}).map(([id, document]) => ({
        id,
        document: document as Document,
      })),
  });

  test('each one that leads nowhere is named', () => {
    expect(
      reasonsFor(
        danglingReferences(
          set({
            behaviours: { b: { rules: [{ kind: 'page', behaviour: 'visit' }] } },
            campaign: { c: { accountId: 'none', scoreId: 'none' } },
            funnel: { f: { steps: ['visit', 'order', 'order'] } },
            lifecycle: { default: { matureBehaviours: ['inquiry'] } },
            score: { s: { engagement: { order: 1, ordr: 1 } } },
            segment: { known: {} },
            experiment: { e: { targeting: [{ segment: 'known' }, { segment: 'none' }, { attribute: 'a' }] } },
          }),
        ),
      ),
    ).toEqual([
      'funnel f: no rule of the behaviours maps an event to order',
      'lifecycle default: no rule of the behaviours maps an event to inquiry',
      'score s: no rule of the behaviours maps an event to ordr',
      'campaign c: there is no account none',
      'campaign c: there is no score none',
      'experiment e: there is no segment none',
    ]);
  });

  test('what is not there is told once, with all that refer to it', () => {
    const funnels = { a: { steps: ['view', 'order'] }, b: { steps: ['view', 'inquiry'] } };
    const lifecycle = { default: { matureBehaviours: ['inquiry', 'order'] } };
    expect(reasonsFor(danglingReferences(set({ funnel: funnels, lifecycle })))).toEqual([
      'funnel a, funnel b: no rule of the behaviours maps an event to view',
      'funnel a, lifecycle default: no rule of the behaviours maps an event to order',
      'funnel b, lifecycle default: no rule of the behaviours maps an event to inquiry',
    ]);
  });

  test('they are found in a document that is wrong otherwise', () => {
    const wrong = { accountId: 'none', scoreId: 7, countries: 'all' };
    expect(reasonsFor(missingTargets('campaign', 'c', wrong, set({})))).toEqual([
      'campaign c: there is no account none',
    ]);
    for (const type of definitionTypes) {
      for (const nonsense of [null, 1, 'x', [], { steps: {}, targeting: [null], engagement: [] }])
        expect(missingTargets(type, 'x', nonsense, set({}))).toEqual([]);
    }
  });

  test('a campaign keeps its account, an account its currency', () => {
    expect(forbiddenChanges('campaign', { accountId: 'a' }, { accountId: 'b' })).toHaveLength(1);
    expect(forbiddenChanges('account', { currency: 'EUR' }, { currency: 'USD' })).toHaveLength(1);
    expect(forbiddenChanges('account', { utcOffsetMinutes: 0 }, { utcOffsetMinutes: 60 })).toHaveLength(1);
    expect(forbiddenChanges('campaign', { accountId: 'a' }, { accountId: 'a', name: 'new' })).toEqual([]);
    expect(forbiddenChanges('campaign', null, { accountId: 'b' })).toEqual([]);
  });

  test('an experiment that runs on keeps its variations, if with a weight of 0', () => {
    const weighed = (status: string, weights: Record<string, number>) => ({
      status,
      variations: Object.entries(weights).map(([key, weight]) => ({ key, weight })),
    });
    const before = weighed('running', { a: 0.4, b: 0.3, c: 0.3 });
    const without = { a: 0.5, b: 0.5 };
    expect(forbiddenChanges('experiment', before, weighed('running', without))).toEqual([
      'variations: c may have been shown while the experiment runs; give it the weight 0, so that nobody new gets it, or stop the experiment first',
    ]);
    expect(forbiddenChanges('experiment', before, weighed('running', { ...without, c: 0, d: 0 }))).toEqual(
      [],
    );
    expect(forbiddenChanges('experiment', before, weighed('stopped', without))).toEqual([]);
    const stopped = { ...before, status: 'stopped' };
    expect(forbiddenChanges('experiment', stopped, weighed('running', without))).toEqual([]);
  });

  test('every type has its place in the order of publishing', () => {
    expect([...publishOrder].sort()).toEqual([...definitionTypes].sort());
  });
});

describe('files', () => {
  test('those of the project are right and come in an order that needs nothing later', async () => {
    const files = await readDefinitionFiles(fileURLToPath(new URL('../../definitions/', import.meta.url)));
    expect(new Set(files.map(({ type }) => type))).toEqual(new Set(definitionTypes));
    const places = files.map(({ type }) => publishOrder.indexOf(type));
    expect(places).toEqual([...places].sort((left, right) => left - right));
    for (const { type, document } of files) {
      expect(canonicalJson(definitionSchemas[type].parse(document))).toBe(JSON.stringify(document));
    }
  });

  test('every fault of every file is told at once', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'flywheel-definitions-'));
    const put = async (name: string, text: string) => {
      await mkdir(path.dirname(path.join(folder, name)), { recursive: true });
      await writeFile(path.join(folder, name), text);
    };
    await put('funnel/broken.json', '{');
    await put('funnel/short.json', '{"name":"s","steps":["visit"],"windowMs":1}');
    await put('funnels/x.json', '{}');
    await put('settings/default.json', '{"latenes":1}');
    const failure = await readDefinitionFiles(folder).catch((error: Error) => error);
    await rm(folder, { recursive: true });
    expect(failure).toMatchObject({ code: 'DEFINITION_INVALID' });
    const { message } = failure as Error;
    expect(message).toContain('broken.json: not JSON');
    expect(message).toContain('short.json: steps');
    expect(message).toContain('funnels/x.json: the file must be <type>/<id>.json');
    expect(message).toContain('settings/default.json: latenes: there is no such field');
  });
});
