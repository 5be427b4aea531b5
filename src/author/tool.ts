// Definitions of tools: one schema gives types, checks and the listing.
// Not responsible for names (the key in `defineToolset`) or for running: handlers run in a tools thread, bindings in an egress thread.
// Invariant: everything but `handler` survives JSON; a definition that reads wrong is refused where it stands, with a hint.
import { type Static, type TObject, type TSchema, Type } from 'typebox';
import type { Binding } from '../boundary/binding.ts';
import type { Icon } from './content.ts';
import type { Needs, ToolContext } from './context.ts';
import { requireKnown, requireSchemas, requireText } from './definition-rules.ts';
import type { Prompt } from './prompt.ts';
import type { Resource } from './resource.ts';
import type { Returned } from './result.ts';

type Awaitable<T> = T | Promise<T>;

export interface Annotations {
  readOnlyHint?: boolean;
  destructiveHint?: boolean;
  idempotentHint?: boolean;
  openWorldHint?: boolean;
}

export interface Common<I extends TObject, O extends TSchema | undefined> {
  title?: string;
  description: string;
  /** Default: no arguments. */
  inputSchema?: I;
  outputSchema?: O;
  annotations?: Annotations;
  icons?: Icon[];
  /** Scopes that a caller must hold; without them the tool is neither listed nor callable. */
  scopes?: readonly string[];
  /** Milliseconds. May only lower the tenant's limit. */
  timeoutMs?: number;
}

export interface Tool<I extends TObject = TObject, O extends TSchema | undefined = TSchema | undefined> extends Common<I, O> {
  readonly '~tool': [I, O];
}

export interface CodeTool<I extends TObject, O extends TSchema | undefined, C extends Needs> extends Common<I, O> {
  /** Slots of `connections` in tenant.json that the handler uses, with the scopes it needs of the service. */
  connections?: C;
  handler(args: Static<I>, ctx: ToolContext<C>): Awaitable<Returned<O>>;
}

export const COMMON_KEYS = ['title', 'description', 'inputSchema', 'outputSchema', 'annotations', 'icons', 'scopes', 'timeoutMs'];
const CODE_KEYS = new Set([...COMMON_KEYS, 'connections', 'handler']);

/** A tool in code. @throws TypeError where the definition reads wrong. */
export function defineTool<
  I extends TObject = TObject<{}>,
  O extends TSchema | undefined = undefined,
  const C extends Needs = {},
>(definition: CodeTool<I, O, C>): Tool<I, O> {
  requireKnown('defineTool', definition, CODE_KEYS);
  requireText('defineTool', definition, 'description');
  requireSchemas('defineTool', definition);
  if (typeof definition.handler !== 'function') throw new TypeError('defineTool: `handler` must be a function.');
  return seal('code', definition);
}

export interface Toolset {
  readonly '~toolset': true;
}

export interface ToolsetDefinition {
  /** For the model: how the tools belong together. */
  instructions?: string;
  /**
   * `"call"`: every call of a handler of this toolset runs in a fresh thread, with nothing left of earlier calls. Default: calls of
   * the tenant share module state. `isolation` in tenant.json sets it for all toolsets.
   */
  isolation?: 'thread' | 'call';
  /** By name: `^[a-zA-Z0-9_-]{1,64}$`, unique over all toolsets of a tenant; so are those of prompts and resources. */
  tools?: Record<string, Tool>;
  prompts?: Record<string, Prompt>;
  resources?: Record<string, Resource>;
}

/** What a member of each part is made by. */
const PARTS = {
  tools: ['~tool', 'defineTool(), rest(), graphql() or jsonrpc()'],
  prompts: ['~prompt', 'definePrompt()'],
  resources: ['~resource', 'defineResource()'],
} as const;

/** The default export of a file in `tools/`. @throws TypeError where the definition reads wrong. */
export function defineToolset(definition: ToolsetDefinition): Toolset {
  requireKnown('defineToolset', definition, new Set(['instructions', 'isolation', ...Object.keys(PARTS)]));
  const { isolation } = definition;
  if (isolation !== undefined && isolation !== 'thread' && isolation !== 'call') {
    throw new TypeError('defineToolset: `isolation` must be "thread" or "call".');
  }
  for (const part of ['tools', 'prompts', 'resources'] as const) {
    const [mark, makers] = PARTS[part];
    for (const [name, member] of Object.entries<unknown>(definition[part] ?? {})) {
      if (typeof member !== 'object' || member === null || !Object.hasOwn(member, mark)) {
        throw new TypeError(`defineToolset: ${part}.${name} must come from ${makers}.`);
      }
    }
  }
  return Object.freeze({ ...definition, '~toolset': true } as const);
}

const NO_ARGUMENTS = Object.freeze(Type.Object({}, { additionalProperties: false }));

/** For the makers of definitions: `kind` tells a tools thread what it was made by. */
export function seal<I extends TObject, O extends TSchema | undefined>(
  kind: 'code' | Binding['kind'],
  definition: Common<I, O>,
): Tool<I, O> {
  // The type of `~tool` exists for inference only; at run time it names the kind.
  return Object.freeze({ inputSchema: NO_ARGUMENTS, ...definition, '~tool': kind }) as unknown as Tool<I, O>;
}
