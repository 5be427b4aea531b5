// Loads a tenant's bundle into this thread and finds what is in it by name, and tools by definition.
// Not responsible for judging it (the supervisor validates the manifest) or for running anything (`call-run`).
// Invariant: the script is compiled as a function without a module loader behind it; its file name in stacks is `<tenant>@<hash8>.js`.
import { compileFunction } from 'node:vm';
import type { Need, ToolContext } from '../../src/author/context.ts';
import type { Assignment } from '../../src/boundary/frames.ts';
import type { Binding } from '../../src/boundary/binding.ts';
import type { Operation, OperationKind } from '../../src/boundary/operation.ts';
import { type ArgumentCheck, createArgumentCheck } from '../arguments.ts';
import { createSchemaCheck, type JsonSchema, type SchemaCheck } from '../schema-check.ts';
import { LoadedCompletion } from './loaded-completion.ts';
import { LoadedPrompt, type PromptLike } from './loaded-prompt.ts';
import { LoadedResource, type ResourceLike } from './loaded-resource.ts';
import { type Answer, answerOf } from './result.ts';
import type { AnswerLimits, Checked, Runnable } from './runnable.ts';

/** A definition as `defineTool`, `rest`, `graphql` and `jsonrpc` make it. Untyped code may have made something else: read with care. */
export interface Definition {
  readonly '~tool': 'code' | Binding['kind'];
  readonly title?: string;
  readonly description: string;
  readonly inputSchema: JsonSchema;
  readonly outputSchema?: JsonSchema;
  readonly annotations?: object;
  readonly icons?: object[];
  readonly scopes?: readonly string[];
  readonly timeoutMs?: number;
  readonly connections?: { readonly [slot: string]: Need };
  handler?(args: object, ctx: ToolContext): unknown;
}

/** A tool of the bundle; its checks are compiled when they are first needed. */
export class LoadedTool implements Runnable {
  readonly name: string;
  readonly file: string;
  readonly definition: Definition;
  #argumentCheck: ArgumentCheck | undefined;
  #resultCheck: SchemaCheck | undefined;

  constructor(name: string, file: string, definition: Definition) {
    this.name = name;
    this.file = file;
    this.definition = definition;
  }

  /** @throws Error where the schema cannot be compiled. */
  get argumentCheck(): ArgumentCheck {
    this.#argumentCheck ??= createArgumentCheck(this.definition.inputSchema);
    return this.#argumentCheck;
  }

  /** Undefined without an outputSchema. @throws Error where the schema cannot be compiled. */
  get resultCheck(): SchemaCheck | undefined {
    const { outputSchema } = this.definition;
    if (outputSchema !== undefined) this.#resultCheck ??= createSchemaCheck(outputSchema);
    return this.#resultCheck;
  }

  get connections(): { readonly [slot: string]: Need } {
    return this.definition.connections ?? {};
  }

  check(args: unknown): Checked {
    return this.argumentCheck(args);
  }

  invoke(args: object, ctx: ToolContext): unknown {
    return this.definition.handler?.(args, ctx);
  }

  answer(returned: unknown, limits: AnswerLimits): Answer {
    return answerOf(returned, this.resultCheck, limits);
  }
}

/** All of a bundle, in its order; a name may stand twice, which the supervisor refuses. */
export interface BundleParts {
  readonly instructions: readonly string[];
  readonly tools: readonly LoadedTool[];
  readonly prompts: readonly LoadedPrompt[];
  readonly resources: readonly LoadedResource[];
  /** Files whose toolset wants a fresh realm for each call. */
  readonly perCall: ReadonlySet<string>;
}

export class Bundle {
  readonly vars: Readonly<Record<string, unknown>>;
  readonly parts: BundleParts;
  readonly #operations: { readonly [kind in OperationKind]: ReadonlyMap<string, Runnable> };
  readonly #byDefinition = new Map<unknown, LoadedTool>();

  constructor(vars: Record<string, unknown>, parts: BundleParts) {
    this.vars = deepFreeze(vars);
    this.parts = parts;
    const { tools, prompts, resources } = parts;
    this.#operations = {
      tool: byName(tools.filter((tool) => tool.definition.handler !== undefined)),
      prompt: byName(prompts),
      resource: byName(resources),
      complete_prompt: byName(prompts.map((prompt) => new LoadedCompletion(prompt))),
      complete_resource: byName(resources.map((resource) => new LoadedCompletion(resource))),
    };
    for (const tool of tools) this.#byDefinition.set(tool.definition, tool);
  }

  find({ kind, name }: Operation): Runnable | undefined {
    return this.#operations[kind].get(name);
  }

  defined(definition: unknown): LoadedTool | undefined {
    return this.#byDefinition.get(definition);
  }
}

/** @throws whatever the bundle throws while it loads, or a TypeError where it exports something else than toolsets. */
export function loadBundle({ tenant, bundle, vars }: Assignment, script: string, require: (name: string) => unknown): Bundle {
  const filename = `${tenant}@${bundle.slice(0, 8)}.js`;
  // No importModuleDynamically: an import() in there has no loader to ask.
  const run = compileFunction(script, ['module', 'exports', 'require'], { filename }) as (
    module: { exports: unknown },
    exports: unknown,
    require: (name: string) => unknown,
  ) => void;
  const module: { exports: unknown } = { exports: {} };
  run(module, module.exports, require);
  const { toolsets: exported } = module.exports as { toolsets?: unknown };
  if (!Array.isArray(exported)) throw new TypeError('The bundle does not export its toolsets.');
  const parts = {
    instructions: new Array<string>(),
    tools: new Array<LoadedTool>(),
    prompts: new Array<LoadedPrompt>(),
    resources: new Array<LoadedResource>(),
    perCall: new Set<string>(),
  };
  for (const { file, toolset } of exported as { file: string; toolset: unknown }[]) {
    if (!isToolset(toolset)) throw new TypeError(`${file}: the default export must be defineToolset({ … }).`);
    const { instructions, tools = {}, prompts = {}, resources = {} } = toolset;
    if (instructions !== undefined) parts.instructions.push(instructions);
    if (toolset.isolation === 'call') parts.perCall.add(file);
    for (const [name, definition] of Object.entries(tools)) parts.tools.push(new LoadedTool(name, file, definition));
    for (const [name, definition] of Object.entries(prompts)) parts.prompts.push(new LoadedPrompt(name, file, definition));
    for (const [name, definition] of Object.entries(resources)) parts.resources.push(new LoadedResource(name, file, definition));
  }
  return new Bundle(vars, parts);
}

function byName<T extends Runnable>(all: readonly T[]): ReadonlyMap<string, T> {
  return new Map(all.map((one) => [one.name, one]));
}

interface ToolsetLike {
  readonly isolation?: string;
  readonly instructions?: string;
  readonly tools?: Record<string, Definition>;
  readonly prompts?: Record<string, PromptLike>;
  readonly resources?: Record<string, ResourceLike>;
}
function isToolset(value: unknown): value is ToolsetLike {
  return typeof value === 'object' && value !== null && '~toolset' in value;
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    for (const child of Object.values(value)) deepFreeze(child);
    Object.freeze(value);
  }
  return value;
}
