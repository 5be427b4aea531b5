// Loads a tenant's bundle into this thread and finds its tools by name and by definition.
// Not responsible for judging the tools (the supervisor validates the manifest) or for running them (`call-run`).
// Invariant: the script is compiled as a function without a module loader behind it; its file name in stacks is `<tenant>@<hash8>.js`.
import { compileFunction } from 'node:vm';
import type { Need, ToolContext } from '../../src/author/context.ts';
import type { Assignment } from '../../src/boundary/frames.ts';
import type { RestBinding } from '../../src/boundary/manifest.ts';
import { type ArgumentCheck, createArgumentCheck } from '../arguments.ts';
import { createSchemaCheck, type JsonSchema, type SchemaCheck } from '../schema-check.ts';

/** A definition as `defineTool` and `rest` make it. Untyped code may have made something else: read with care. */
export interface Definition extends Partial<Omit<RestBinding, 'kind'>> {
  readonly '~tool': 'code' | 'rest';
  readonly title?: string;
  readonly description: string;
  readonly inputSchema: JsonSchema;
  readonly outputSchema?: JsonSchema;
  readonly annotations?: object;
  readonly scopes?: readonly string[];
  readonly timeoutMs?: number;
  readonly connections?: { readonly [slot: string]: Need };
  handler?(args: object, ctx: ToolContext): unknown;
}

/** A tool of the bundle; its checks are compiled when they are first needed. */
export class LoadedTool {
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
}

export interface LoadedToolset {
  readonly file: string;
  readonly instructions: string | undefined;
}

export class Bundle {
  readonly vars: Readonly<Record<string, unknown>>;
  readonly toolsets: readonly LoadedToolset[];
  /** All, in the order of the bundle; a name may stand twice, which the supervisor refuses. */
  readonly tools: readonly LoadedTool[];
  readonly #byName = new Map<string, LoadedTool>();
  readonly #byDefinition = new Map<unknown, LoadedTool>();

  constructor(vars: Record<string, unknown>, toolsets: readonly LoadedToolset[], tools: readonly LoadedTool[]) {
    this.vars = deepFreeze(vars);
    this.toolsets = toolsets;
    this.tools = tools;
    for (const tool of tools) {
      this.#byName.set(tool.name, tool);
      this.#byDefinition.set(tool.definition, tool);
    }
  }

  named(name: string): LoadedTool | undefined {
    return this.#byName.get(name);
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
  const toolsets: LoadedToolset[] = [];
  const tools: LoadedTool[] = [];
  for (const { file, toolset } of exported as { file: string; toolset: unknown }[]) {
    if (!isToolset(toolset)) throw new TypeError(`${file}: the default export must be defineToolset({ … }).`);
    toolsets.push({ file, instructions: toolset.instructions });
    for (const [name, definition] of Object.entries(toolset.tools ?? {})) tools.push(new LoadedTool(name, file, definition));
  }
  return new Bundle(vars, toolsets, tools);
}

function isToolset(value: unknown): value is { instructions?: string; tools?: Record<string, Definition> } {
  return typeof value === 'object' && value !== null && '~toolset' in value;
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    for (const child of Object.values(value)) deepFreeze(child);
    Object.freeze(value);
  }
  return value;
}
