// What the thread says of its bundle: the manifest as JSON text, with every schema compiled once to see that it can be.
// Not responsible for names, sizes or uniqueness: the supervisor judges the manifest as untrusted data.
// Invariant: only plain data is copied, by name; a schema keeps all its keywords (`audit` included).
import type { Manifest, RestBinding, ToolManifest } from '../../src/boundary/manifest.ts';
import type { Bundle, LoadedTool } from './bundle.ts';

/** @throws Error that names the tool whose schema cannot be compiled or is not JSON. */
export function manifestOf(bundle: Bundle): string {
  const instructions = bundle.toolsets.map((toolset) => toolset.instructions).filter((text) => text !== undefined);
  const tools = bundle.tools.map(toolManifest);
  const manifest: Manifest = instructions.length === 0 ? { tools } : { instructions: instructions.join('\n\n'), tools };
  return JSON.stringify(manifest);
}

function toolManifest(tool: LoadedTool): ToolManifest {
  try {
    void tool.argumentCheck;
    void tool.resultCheck;
    const { definition } = tool;
    const { title, description, outputSchema, annotations, scopes, timeoutMs, connections } = definition;
    const given = { title, outputSchema, annotations, scopes, timeoutMs, connections, binding: bindingOf(tool) };
    const manifest = { name: tool.name, description, inputSchema: definition.inputSchema, ...given, file: tool.file };
    // The round trip leaves out what is undefined, and fails here, by name, for what is not JSON.
    return JSON.parse(JSON.stringify(manifest)) as ToolManifest;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new TypeError(`${tool.file}: tool "${tool.name}" cannot be described: ${reason}`, { cause: error });
  }
}

function bindingOf({ definition }: LoadedTool): RestBinding | undefined {
  if (definition['~tool'] !== 'rest') return undefined;
  const { connection, method, path, query, headers, body, idempotent, scopesNeeded, response } = definition;
  const binding = { kind: 'rest', connection, method, path, query, headers, body, idempotent, scopesNeeded, response };
  return binding as RestBinding;
}
