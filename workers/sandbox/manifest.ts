// What the thread says of its bundle: the manifest as JSON text, with every schema compiled once to see that it can be.
// Not responsible for names, sizes or uniqueness: the supervisor judges the manifest as untrusted data.
// Invariant: only plain data is copied, by name; a schema keeps all its keywords (`audit` included).
import type { Binding } from '../../src/boundary/binding.ts';
import type { Manifest, PromptManifest, ResourceManifest, ToolManifest } from '../../src/boundary/manifest.ts';
import type { Bundle, LoadedTool } from './bundle.ts';
import type { LoadedPrompt } from './loaded-prompt.ts';
import type { LoadedResource } from './loaded-resource.ts';

/** @throws Error that names the tool whose schema cannot be compiled or is not JSON. */
export function manifestOf(bundle: Bundle): string {
  const { instructions, tools, prompts, resources, perCall } = bundle.parts;
  const isolated = <T extends { file: string }>(one: T): T => (perCall.has(one.file) ? { ...one, isolation: 'call' } : one);
  const manifest: Manifest = {
    ...(instructions.length === 0 ? {} : { instructions: instructions.join('\n\n') }),
    tools: tools.map((tool) => isolated(toolManifest(tool))),
    prompts: prompts.map((prompt) => isolated(promptManifest(prompt))),
    resources: resources.map((resource) => isolated(resourceManifest(resource))),
  };
  return JSON.stringify(manifest);
}

function toolManifest(tool: LoadedTool): ToolManifest {
  return described('tool', tool, () => {
    void tool.argumentCheck;
    void tool.resultCheck;
    const { inputSchema, outputSchema, annotations } = tool.definition;
    return { ...commonOf(tool), inputSchema, outputSchema, annotations, binding: bindingOf(tool) };
  });
}

function promptManifest(prompt: LoadedPrompt): PromptManifest {
  return described('prompt', prompt, () => {
    prompt.check({});
    const { properties = {}, required = [] } = prompt.definition.argsSchema;
    const args = Object.entries(properties).map(([name, schema]) => {
      const { title, description } = schema as { title?: string; description?: string };
      return { name, title, description, required: required.includes(name) };
    });
    return { ...commonOf(prompt), arguments: args, completes: completesOf(prompt) };
  });
}

function resourceManifest(resource: LoadedResource): ResourceManifest {
  return described('resource', resource, () => {
    const { uri, uriTemplate, mimeType, annotations, size } = resource.definition;
    return { ...commonOf(resource), uri, uriTemplate, mimeType, annotations, size, completes: completesOf(resource) };
  });
}

/** Named by its file and kind where it cannot be described. */
function described<T>(kind: string, { name, file }: { name: string; file: string }, describe: () => object): T {
  try {
    // The round trip leaves out what is undefined, and fails here, by name, for what is not JSON.
    return JSON.parse(JSON.stringify(describe())) as T;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new TypeError(`${file}: ${kind} "${name}" cannot be described: ${reason}`, { cause: error });
  }
}

function commonOf({ name, file, definition }: LoadedTool | LoadedPrompt | LoadedResource): object {
  const { title, description, icons, scopes, timeoutMs, connections } = definition;
  return { name, title, description, icons, scopes, timeoutMs, connections, file };
}

function completesOf({ definition }: LoadedPrompt | LoadedResource): string[] | undefined {
  const names = Object.keys(definition.complete ?? {});
  return names.length === 0 ? undefined : names;
}

/** Members of a binding, by kind, as authors write them. What is wrong with them is for the supervisor to say. */
const BOUND = ['connection', 'path', 'headers', 'idempotent', 'idempotencyKey', 'scopesNeeded', 'response'];
const MEMBERS: { readonly [kind in Binding['kind']]: readonly string[] } = {
  rest: [...BOUND, 'method', 'query', 'body'],
  graphql: [...BOUND, 'document'],
  jsonrpc: [...BOUND, 'params'],
};

function bindingOf({ definition }: LoadedTool): Binding | undefined {
  const kind = definition['~tool'];
  if (kind === 'code') return undefined;
  const given = definition as unknown as { readonly [member: string]: unknown };
  const binding: Record<string, unknown> = { kind };
  for (const member of MEMBERS[kind]) binding[member] = given[member];
  if (kind === 'jsonrpc') binding['rpcMethod'] = given['method'];
  return binding as Binding;
}
