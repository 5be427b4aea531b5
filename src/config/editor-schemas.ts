// Writes the JSON Schemas of the config files beside the data, so that editors check them offline and without node_modules.
// Not responsible for checking. Invariant: generated from the schemas that the server itself checks with.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TSchema } from 'typebox';
import { BindingFileSchema } from './binding-schema.ts';
import { ServerOptionsSchema, TenantOptionsSchema } from './schema.ts';

const FILES: { readonly [file: string]: TSchema } = {
  'leasehold.json': ServerOptionsSchema,
  'tenant.json': TenantOptionsSchema,
  'binding.json': BindingFileSchema,
};

/** JSON text by file name. */
export function editorSchemas(): Map<string, string> {
  return new Map(
    Object.entries(FILES).map(([file, schema]) => [
      file,
      `${JSON.stringify({ $schema: 'https://json-schema.org/draft/2020-12/schema', ...schema }, undefined, 2)}\n`,
    ]),
  );
}

/** Writes what changed to `<dataDir>/schemas/`. The data folder must exist. */
export function writeEditorSchemas(dataDir: string): void {
  const folder = join(dataDir, 'schemas');
  mkdirSync(folder, { recursive: true });
  for (const [file, text] of editorSchemas()) {
    const path = join(folder, file);
    if (current(path) !== text) writeFileSync(path, text);
  }
}

function current(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
