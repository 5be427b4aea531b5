// *.binding.json: from files to tool manifests, with every problem at its line.
// Not responsible for running a binding (egress threads) or for what a binding may say (`shared/binding-check`).
// Invariant: data only; a file with a problem gives no tools.
import { BINDING_FILE_KINDS, type BindingFile } from '../../config/binding-schema.ts';
import { type Locate, parseJsonc } from '../../config/jsonc.ts';
import { readInside } from '../../config/read-file.ts';
import { FileCheck } from '../../config/validate.ts';
import type { Binding } from '../../boundary/binding.ts';
import type { ToolManifest } from '../../boundary/manifest.ts';
import type { Loaded, Problem } from '../../shared/problem.ts';

const kindChecks = {
  rest: new FileCheck(BINDING_FILE_KINDS.rest),
  graphql: new FileCheck(BINDING_FILE_KINDS.graphql),
  jsonrpc: new FileCheck(BINDING_FILE_KINDS.jsonrpc),
};
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
  const checked = checkFile(parsed.value, shown, parsed.locate);
  if ('problems' in checked) return failed(checked.problems);
  return {
    value: {
      tools: manifestsOf(checked.value, file),
      locate: (tool, pointer = '') => parsed.locate(`/tools/${tool}${pointer}`),
    },
    problems: [],
  };
}

/** Checked by the kind that it names, so that a wrong one gets the problems of what was meant. */
function checkFile(value: unknown, file: string, locate: Locate): { value: BindingFile } | { problems: Problem[] } {
  const kind = typeof value === 'object' && value !== null ? (value as { kind?: unknown }).kind : undefined;
  if (kind === 'graphql' || kind === 'jsonrpc') return kindChecks[kind].check(value, file, locate);
  if (kind === 'rest' || kind === undefined) return kindChecks.rest.check(value, file, locate);
  const reason = `/kind must be one of ${Object.keys(kindChecks).join(', ')}`;
  return { problems: [{ file, ...locate('/kind'), reason }] };
}

function manifestsOf(given: BindingFile, file: string): ToolManifest[] {
  const { connection } = given;
  switch (given.kind) {
    case 'rest':
      return Object.entries(given.tools).map(([name, { request, ...tool }]) =>
        manifestOf(name, tool, file, { kind: 'rest', connection, ...request }),
      );
    case 'graphql':
      return Object.entries(given.tools).map(([name, { document, path, headers, ...tool }]) =>
        manifestOf(name, tool, file, { kind: 'graphql', connection, document, ...defined({ path, headers }) }),
      );
    case 'jsonrpc':
      return Object.entries(given.tools).map(([name, { rpcMethod, params, path, headers, ...tool }]) =>
        manifestOf(name, tool, file, { kind: 'jsonrpc', connection, rpcMethod, ...defined({ params, path, headers }) }),
      );
    default:
      return given satisfies never;
  }
}

type Common = Omit<BindingFile['tools'][string], 'request' | 'document' | 'rpcMethod' | 'params' | 'path' | 'headers'>;

function manifestOf(name: string, tool: Common, file: string, request: Binding): ToolManifest {
  const { response, idempotent, idempotencyKey, scopesNeeded, inputSchema = NO_ARGUMENTS, ...common } = tool;
  const binding = { ...request, ...defined({ response, idempotent, idempotencyKey, scopesNeeded }) };
  return { name, ...common, inputSchema, binding, file };
}

/** Without the members that are undefined. */
function defined<T extends object>(members: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as never;
}

function failed(problems: readonly Problem[]): Loaded<DeclaredTools> {
  return { value: undefined, problems };
}
