// A tenant as the running server knows it, and the toolset it serves now.
// Not responsible for loading (`registry`) or calling (`dispatch`).
// Invariant: a Toolset is immutable; a change makes a new one, and calls keep the one they began with.
import type { LoadedBinding } from '../boundary/binding.ts';
import type { PromptManifest, ResourceManifest, ToolManifest } from '../boundary/manifest.ts';
import type { CompiledTenant } from '../config/compiled.ts';
import type { EgressPool, ToolsPool } from '../hosts/pool.ts';
import type { Problem } from '../shared/problem.ts';

export type { Problem };

/** What can be run of a toolset, as policy, limits and records need it. */
export interface Runnable extends Pick<ToolManifest, 'name' | 'scopes' | 'timeoutMs' | 'connections' | 'isolation'> {
  readonly binding?: LoadedBinding;
  /** May be repeated without harm. */
  readonly repeatable: boolean;
  /** Runs in the supervisor: no code of a tenant. */
  readonly builtin?: 'connections';
}

export interface ToolSpec extends Omit<ToolManifest, 'binding'> {
  readonly binding?: LoadedBinding;
  /** The tool's entry in `tools/list`, as JSON text: made once, sent often. */
  readonly listing: string;
  /** The same with an output schema that only clients from 2026-07-28 on take. */
  readonly anyListing?: string;
  readonly builtin?: 'connections';
  /** May be repeated without harm: `readOnlyHint`, `idempotentHint`, or a binding whose request is (`isRepeatableBinding`). */
  readonly repeatable: boolean;
}

export interface PromptSpec extends PromptManifest {
  /** The entry in `prompts/list`, as JSON text. */
  readonly listing: string;
  /** Always: to get a prompt is to read. */
  readonly repeatable: true;
}

export interface ResourceSpec extends ResourceManifest {
  /** Of the template; none where the URI is fixed. */
  readonly variables: readonly string[];
  /** The entry in `resources/list` or `resources/templates/list`, as JSON text. */
  readonly listing: string;
  readonly repeatable: true;
}

export interface ResourceIndex {
  /** By name. */
  readonly all: readonly ResourceSpec[];
  /** The one with this URI, else the first by name whose template matches it. */
  find(uri: string): ResourceSpec | undefined;
  /** The one with exactly this template. */
  template(uriTemplate: string): ResourceSpec | undefined;
}

export interface Toolset {
  /** SHA-256 over the script and all bindings, hex. */
  readonly hash: string;
  readonly instructions: string | undefined;
  /** In the order of `tools/list`: by name. */
  readonly tools: ReadonlyMap<string, ToolSpec>;
  /** By name. */
  readonly prompts: ReadonlyMap<string, PromptSpec>;
  readonly resources: ResourceIndex;
  /** Absent where the tenant has no code tools / no declared tools and no connections. */
  readonly code: ToolsPool | undefined;
  /** For what wants a fresh realm for each call. */
  readonly codePerCall: ToolsPool | undefined;
  readonly egress: EgressPool | undefined;
}

export interface Tenant {
  readonly id: string;
  readonly config: CompiledTenant;
  /** Undefined while nothing has ever loaded; a broken change keeps the last good one. */
  readonly toolset: Toolset | undefined;
  /** Of the newest state of the folder; empty where all is well. */
  readonly problems: readonly Problem[];
}

export interface TenantRegistry {
  get(id: string): Tenant | undefined;
  list(): readonly Tenant[];
}
