// docs/api.md says what the routes say. After a change of theirs: npx vitest run --project unit test/serve/api-page -u
import { expect, it } from 'vitest';
import { type ApiDescription, apiPage } from './api-page.ts';
import { appOf, world } from './without-parts.ts';

it('docs/api.md is the page of the OpenAPI document', async () => {
  const app = await appOf(world());
  const description = app.swagger() as unknown as ApiDescription;
  await app.close();
  const page = apiPage(description);
  for (const path of Object.keys(description.paths)) expect(page).toContain(path);
  // How a wrong body and a refused definition are told.
  for (const member of ['errors[].pointer', 'reasons']) expect(page).toContain(`| \`${member}\``);
  // A row, rows in an object, or a list of rows: who sends one form needs no field of another.
  for (const path of ['/v1/spend', '/v1/notices']) {
    const route = page.split(`### POST ${path}\n`)[1]!.split('\n### ')[0]!;
    expect(route.match(/^Body \(.*\), (either|or)$/gm)).toHaveLength(3);
  }
  await expect(page).toMatchFileSnapshot('../../docs/api.md');
});
