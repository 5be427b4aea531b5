// From described and declared tools to the specs of one toolset: names, schemas, bindings and slots judged together.
// Prompts and resources are judged by the same rules (`merge-readables`).
// Not responsible for reading files or describing bundles.
// Invariant: every name stands once; problems that keep a toolset from being served come apart from those that do not.
import type { Binding, LoadedBinding } from '../../boundary/binding.ts';
import type { ToolManifest } from '../../boundary/manifest.ts';
import { isRepeatableBinding } from '../../connections/retry.ts';
import { checkBinding } from '../../shared/binding-check.ts';
import type { Problem } from '../../shared/problem.ts';
import type { ToolSpec } from '../tenant.ts';
import { paramHeaders } from '../../shared/param-headers.ts';
import type { DocumentReader } from './graphql-document.ts';
import { isObjectSchema, schemaFault } from './schema-sanity.ts';

export interface Source {
  readonly tool: ToolManifest;
  /** Where the tool, or a part of it, stands, as far as it is known (binding files). */
  readonly locate?: (tool: string, pointer?: string) => { line: number; column: number };
}

export interface Merged {
  /** Sorted by name. */
  readonly tools: readonly ToolSpec[];
  readonly fatal: readonly Problem[];
}

/** `folder`: of the tenant, relative to the estate. `read`: needed where a tool is a GraphQL one. */
export function mergeTools(sources: readonly Source[], folder: string, read?: DocumentReader): Merged {
  const fatal: Problem[] = [];
  const tools: ToolSpec[] = [];
  const files = new Map<string, string>();
  for (const { tool, locate } of sources) {
    const at = (pointer?: string) => ({ file: `${folder}/${tool.file}`, ...locate?.(tool.name, pointer) });
    const other = files.get(tool.name);
    if (other === undefined) files.set(tool.name, tool.file);
    else {
      const both = other === tool.file ? 'twice in this file' : `also in ${folder}/${other}`;
      fatal.push({ ...at(), reason: `tool "${tool.name}" stands ${both}`, hint: 'names are unique within a tenant' });
    }
    const input = isObjectSchema(tool.inputSchema) ? schemaFault(tool.inputSchema) : 'must have "type": "object" at its top';
    if (input !== undefined) fatal.push({ ...at('/inputSchema'), reason: `tool "${tool.name}": inputSchema ${input}` });
    const headers = input === undefined ? paramHeaders(tool.inputSchema) : [];
    if (typeof headers === 'string') fatal.push({ ...at('/inputSchema'), reason: `tool "${tool.name}": inputSchema ${headers}` });
    const output = tool.outputSchema === undefined ? undefined : schemaFault(tool.outputSchema);
    if (output !== undefined) fatal.push({ ...at('/outputSchema'), reason: `tool "${tool.name}": outputSchema ${output}` });
    const binding = tool.binding === undefined ? undefined : loadedBinding(tool.binding, read);
    if (typeof binding === 'string') {
      fatal.push({ ...at('/document'), reason: `tool "${tool.name}": document ${binding}` });
      continue;
    }
    tools.push(toSpec(tool, binding));
    if (binding === undefined || input !== undefined) continue;
    for (const found of checkBinding({ inputSchema: tool.inputSchema, binding })) {
      const ofTool = found.at === 'inputSchema' || found.at === 'idempotencyKey' || binding.kind !== 'rest';
      const pointer = ofTool ? `/${found.at}` : `/request/${found.at}`;
      fatal.push({
        ...at(pointer),
        reason: `tool "${tool.name}": ${found.at} ${found.reason}`,
        ...(found.hint === undefined ? {} : { hint: found.hint }),
      });
    }
  }
  return { tools: tools.toSorted((a, b) => (a.name < b.name ? -1 : 1)), fatal };
}

/** Or what is wrong with its document. */
function loadedBinding(binding: Binding, read: DocumentReader | undefined): LoadedBinding | string {
  if (binding.kind !== 'graphql') return binding;
  const document = read?.(binding.document) ?? { ok: false, reason: 'was not read' };
  return document.ok ? { ...binding, operation: document.operation } : document.reason;
}

type User = Pick<ToolManifest, 'name' | 'file' | 'connections'> & { readonly binding?: { readonly connection: string } };

/** Slots that are used and that the tenant does not have: what uses them is served and answers `connection_unknown`. */
export function missingConnections(tools: Iterable<User>, has: (slot: string) => boolean, folder: string): Problem[] {
  const problems: Problem[] = [];
  for (const tool of tools) {
    const what = 'uri' in tool || 'uriTemplate' in tool ? 'resource' : 'arguments' in tool ? 'prompt' : 'tool';
    for (const slot of slotsOf(tool)) {
      if (has(slot)) continue;
      problems.push({
        file: `${folder}/${tool.file}`,
        reason: `${what} "${tool.name}" uses the connection "${slot}", which the tenant does not have`,
        hint: `add it to "connections" in ${folder}/tenant.json`,
      });
    }
  }
  return problems;
}

/** The connections that a tool, prompt or resource uses, each once. */
export function slotsOf(tool: User): Set<string> {
  const slots = new Set(Object.keys(tool.connections ?? {}));
  if (tool.binding !== undefined) slots.add(tool.binding.connection);
  return slots;
}

function toSpec({ binding: _declared, ...tool }: ToolManifest, binding: LoadedBinding | undefined): ToolSpec {
  const { name, title, description, icons, inputSchema, outputSchema, annotations } = tool;
  // Clients before 2026-07-28 refuse a whole list for one output schema that is no object's; the value is checked all the same.
  const listed = outputSchema !== undefined && isObjectSchema(outputSchema) ? outputSchema : undefined;
  return {
    ...tool,
    ...(binding === undefined ? {} : { binding }),
    listing: JSON.stringify({ name, title, description, icons, inputSchema, outputSchema: listed, annotations }),
    ...(listed === outputSchema
      ? {}
      : { anyListing: JSON.stringify({ name, title, description, icons, inputSchema, outputSchema, annotations }) }),
    repeatable:
      annotations?.readOnlyHint === true ||
      annotations?.idempotentHint === true ||
      (binding !== undefined && isRepeatableBinding(binding)),
  };
}
