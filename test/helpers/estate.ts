// Estates for tests: a folder with a server file and tenants, written from a literal.
// Not responsible for serving it (`runtime`). Invariant: each estate is a fresh temporary folder, removed at teardown.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Test } from 'tap';

export interface TenantFiles {
  /** `tenant.json`. @default {} */
  readonly tenant?: Record<string, unknown>;
  /** Source text by file name below `tools/`. */
  readonly tools?: Readonly<Record<string, string>>;
}

export interface EstateFiles {
  readonly server?: Record<string, unknown>;
  readonly tenants: Readonly<Record<string, TenantFiles>>;
}

/** The head of every toolset file in tests. */
export const IMPORTS = "import { defineTool, defineToolset, getContext, rest, result, ToolError, Type } from 'leasehold';\n";

/** A toolset file from the source of its tools. */
export function toolset(tools: string): string {
  return `${IMPORTS}export default defineToolset({ tools: {${tools}} });\n`;
}

export function writeEstate(t: Test, files: EstateFiles): string {
  const folder = mkdtempSync(join(tmpdir(), 'leasehold-estate-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  write(join(folder, 'leasehold.json'), JSON.stringify(files.server ?? {}));
  for (const [id, tenant] of Object.entries(files.tenants)) writeTenant(folder, id, tenant);
  return folder;
}

export function writeTenant(estate: string, id: string, files: TenantFiles): void {
  const folder = join(estate, 'tenants', id);
  write(join(folder, 'tenant.json'), JSON.stringify(files.tenant ?? {}));
  for (const [name, text] of Object.entries(files.tools ?? {})) write(join(folder, 'tools', name), text);
}

function write(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}
