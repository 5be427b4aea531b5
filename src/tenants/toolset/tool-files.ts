// What lies in a tenant's tools/ folder: code toolsets and binding files, by name.
// Not responsible for reading them. Invariant: only direct children count; what lies deeper is for importing.
import { readdirSync, realpathSync } from 'node:fs';
import { join } from 'node:path';

export const TOOLS_FOLDER = 'tools';
const MOST = 1000;

export interface ToolFiles {
  /** Relative to the tenant's folder, sorted. */
  readonly code: readonly string[];
  readonly bindings: readonly string[];
}

export function listToolFiles(tenantDir: string): ToolFiles {
  const code: string[] = [];
  const bindings: string[] = [];
  for (const name of namesIn(join(tenantDir, TOOLS_FOLDER)).toSorted().slice(0, MOST)) {
    if (name.endsWith('.binding.json')) bindings.push(`${TOOLS_FOLDER}/${name}`);
    else if (/\.m?[jt]s$/.test(name) && !/\.(?:d|test|spec)\.m?[jt]s$/.test(name)) code.push(`${TOOLS_FOLDER}/${name}`);
  }
  return { code, bindings };
}

function namesIn(folder: string): string[] {
  try {
    if (realpathSync.native(folder) !== folder) return [];
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => !entry.isDirectory() && !entry.name.startsWith('.'))
      .map((entry) => entry.name);
  } catch {
    return [];
  }
}
