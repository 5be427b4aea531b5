// A tenant as the running server knows it, and the toolset it serves now.
// Not responsible for loading (`registry`) or calling (`dispatch`).
// Invariant: a Toolset is immutable; a change makes a new one, and calls keep the one they began with.
import type { ToolManifest } from '../boundary/manifest.ts';
import type { CompiledTenant } from '../config/compiled.ts';
import type { EgressPool, ToolsPool } from '../hosts/pool.ts';
import type { Problem } from '../shared/problem.ts';

export type { Problem };

export interface ToolSpec extends ToolManifest {
  /** The tool's entry in `tools/list`, as JSON text: made once, sent often. */
  readonly listing: string;
  /** May be repeated without harm: `readOnlyHint`, `idempotentHint`, or a binding that says so or is a GET. */
  readonly repeatable: boolean;
}

export interface Toolset {
  /** SHA-256 over the script and all bindings, hex. */
  readonly hash: string;
  readonly instructions: string | undefined;
  /** In the order of `tools/list`: by name. */
  readonly tools: ReadonlyMap<string, ToolSpec>;
  /** Absent where the tenant has no code tools / no declared tools and no connections. */
  readonly code: ToolsPool | undefined;
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
