// *.binding.json: from files to tool manifests, with every problem at its line.
// Not responsible for running a binding (egress threads) or for what a binding may say (`shared/binding-check`).
// Invariant: data only; a file with a problem gives no tools.
import { type BindingFile, BindingFileSchema } from '../../config/schema.ts';
import { type Locate, parseJsonc } from '../../config/jsonc.ts';
import { readInside } from '../../config/read-file.ts';
import { FileCheck } from '../../config/validate.ts';
import type { RestBinding, ToolManifest } from '../../boundary/manifest.ts';
import type { Loaded, Problem } from '../../shared/problem.ts';

const bindingCheck = new FileCheck(BindingFileSchema);
const NO_ARGUMENTS = { type: 'object', properties: {} };

export interface DeclaredTools {
  readonly tools: readonly ToolManifest[];
  /** Where a part of a tool stands: JSON pointer below the tool. */
  readonly locate: (tool: string, pointer?: string) => { line: number; column: number };
}

/** `dir`: of the tenant, absolute; `folder`: the same, relative to the estate; `file`: relative to `dir`. */
export function readBindingFile(dir: string, folder: string, file: string): Loaded<DeclaredTools> {
  const shown = `${folder}/${file}`;
  const read = readInside(dir, file);
  if (!read.ok) return failed([{ file: shown, reason: read.reason }]);
  const parsed = parseJsonc(read.text, shown);
  if (!parsed.ok) return failed([parsed.problem]);
  const later = laterKind(parsed.value, shown, parsed.locate);
  if (later !== undefined) return failed([later]);
  const checked = bindingCheck.check(parsed.value, shown, parsed.locate);
  if ('problems' in checked) return failed(checked.problems);
  const { connection, tools } = checked.value;
  return {
    value: {
      tools: Object.entries(tools).map(([name, tool]) => toManifest(name, tool, connection, file)),
      locate: (tool, pointer = '') => parsed.locate(`/tools/${tool}${pointer}`),
    },
    problems: [],
  };
}

function toManifest(name: string, tool: BindingFile['tools'][string], connection: string, file: string): ToolManifest {
  const { request, response, idempotent, scopesNeeded, inputSchema = NO_ARGUMENTS, ...common } = tool;
  const binding: RestBinding = {
    kind: 'rest',
    connection,
    ...request,
    ...(response === undefined ? {} : { response }),
    ...(idempotent === undefined ? {} : { idempotent }),
    ...(scopesNeeded === undefined ? {} : { scopesNeeded }),
  };
  return { name, ...common, inputSchema, binding, file };
}

function laterKind(value: unknown, file: string, locate: Locate): Problem | undefined {
  const kind = typeof value === 'object' && value !== null ? (value as { kind?: unknown }).kind : undefined;
  if (kind !== 'graphql' && kind !== 'jsonrpc' && kind !== 'mcp') return undefined;
  return {
    file,
    ...locate('/kind'),
    reason: `/kind "${kind}" is not available in this version`,
    hint: 'this version serves "rest"',
  };
}

function failed(problems: readonly Problem[]): Loaded<DeclaredTools> {
  return { value: undefined, problems };
}
