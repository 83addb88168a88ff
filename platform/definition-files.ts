// The first definitions come from files: `<folder>/<type>/<id>.json` holds the document alone.
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { DefinitionType } from '../domain/definition.ts';
import { checkDocument, isDefinitionType, publishOrder } from './definition-document.ts';
import { danglingReferences, reasonsOf } from './definition-references.ts';
import { PlatformError } from './platform-error.ts';

export interface DefinitionFile {
  readonly type: DefinitionType;
  readonly id: string;
  /** With all defaults filled in. */
  readonly document: Record<string, unknown>;
}

/**
 * Reads and checks all of them, in an order in which none refers to a later one.
 * What they refer to must be among the files. Rules across the fields of a document are left to whoever publishes it: a file may
 * go on to say what is in force, also where such a rule is stricter by now.
 * @throws PlatformError DEFINITION_INVALID with every fault of every file
 */
export async function readDefinitionFiles(folder: string): Promise<DefinitionFile[]> {
  const { documents, faults } = await readDefinitionFolder(folder);
  const files: DefinitionFile[] = [];
  for (const { name, type, id, document } of documents) {
    const checked = checkDocument(type, id, document, document);
    if (checked.ok) files.push({ type, id, document: checked.document });
    else faults.push(...checked.reasons.map((reason) => `${name}: ${reason}`));
  }
  if (faults.length === 0) faults.push(...reasonsOf(danglingReferences(setOf(files))));
  if (faults.length > 0) {
    throw new PlatformError(
      'DEFINITION_INVALID',
      `the definitions in ${folder} are wrong:\n  ${faults.join('\n  ')}`,
    );
  }
  return files.sort(
    (left, right) =>
      publishOrder.indexOf(left.type) - publishOrder.indexOf(right.type) || (left.id < right.id ? -1 : 1),
  );
}

/** What the files of a folder say, and what cannot be read as a definition's document; nothing is checked beyond that. */
export async function readDefinitionFolder(folder: string): Promise<{
  documents: { name: string; type: DefinitionType; id: string; document: unknown }[];
  faults: string[];
}> {
  const faults: string[] = [];
  const documents = [];
  for (const name of await jsonFiles(folder)) {
    const [type = '', fileName = '', ...deeper] = name.split(path.sep);
    if (!isDefinitionType(type) || fileName === '' || deeper.length > 0) {
      faults.push(
        `${name}: the file must be <type>/<id>.json, with a type out of ${publishOrder.join(', ')}`,
      );
      continue;
    }
    const id = fileName.slice(0, -'.json'.length);
    documents.push({ name, type, id, document: await readJson(path.join(folder, name), faults) });
  }
  return { documents, faults };
}

async function jsonFiles(folder: string): Promise<string[]> {
  try {
    const names = await readdir(folder, { recursive: true });
    return names.filter((name) => name.endsWith('.json')).sort();
  } catch (error) {
    throw new PlatformError('DEFINITION_INVALID', `the folder of definitions ${folder} cannot be read`, {
      cause: error,
    });
  }
}

async function readJson(file: string, faults: string[]): Promise<unknown> {
  const text = await readFile(file, 'utf8');
  try {
    return JSON.parse(text);
  } catch (error) {
    faults.push(`${file}: not JSON: ${(error as Error).message}`);
    return undefined;
  }
}

function setOf(files: readonly DefinitionFile[]) {
  return {
    list: <Document>(type: DefinitionType) =>
      files
        .filter((file) => file.type === type)
        .map(({ id, document }) => ({ id, document: document as Document })),
  };
}
