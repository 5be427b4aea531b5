// A toolset that can be served: what is known of it, and its pools, opened at the first call.
// Not responsible for loading (`loader`) or for when it ends (`registry`).
// Invariant: immutable but for its pools; without a call it holds neither tools nor pools.
import type { EgressTools } from '../../boundary/egress.ts';
import type { CompiledTenant } from '../../config/compiled.ts';
import type { EgressPool, Hosts, NodeRights, ToolsPool } from '../../hosts/pool.ts';
import { MY_CONNECTIONS } from '../builtins/my-connections.ts';
import type { PromptSpec, ResourceIndex, Toolset } from '../tenant.ts';
import type { BundleCache, BundleIndex } from './bundle-cache.ts';
import { ResidentTools } from './resident-tools.ts';

const BUILTINS = [MY_CONNECTIONS];
const NONE: readonly never[] = [];

export class LiveToolset implements Toolset {
  readonly hash: string;
  readonly tools: ResidentTools;
  readonly #script: string | undefined;
  readonly #declared: boolean;
  readonly #config: CompiledTenant;
  readonly #hosts: Hosts;
  readonly #cache: BundleCache;
  readonly #rights: NodeRights | undefined;
  #code: ToolsPool | undefined;
  #codePerCall: ToolsPool | undefined;
  #egress: EgressPool | undefined;

  constructor(index: BundleIndex, config: CompiledTenant, hosts: Hosts, cache: BundleCache, rights?: NodeRights) {
    this.#rights = rights;
    this.hash = index.hash;
    this.tools = new ResidentTools(
      cache.toolsPath(config.id, index.hash),
      index.tools,
      config.builtins.connections ? BUILTINS : NONE,
    );
    this.#script = index.script;
    this.#declared = index.declared;
    this.#config = config;
    this.#hosts = hosts;
    this.#cache = cache;
  }

  get instructions(): string | undefined {
    return this.tools.instructions;
  }

  get prompts(): ReadonlyMap<string, PromptSpec> {
    return this.tools.prompts;
  }

  get resources(): ResourceIndex {
    return this.tools.resources;
  }

  get code(): ToolsPool | undefined {
    return this.#config.isolation === 'call' ? this.codePerCall : (this.#code ??= this.#pool('thread'));
  }

  get codePerCall(): ToolsPool | undefined {
    return (this.#codePerCall ??= this.#pool('call'));
  }

  get egress(): EgressPool | undefined {
    const { id, cordon, limits, connections } = this.#config;
    if (!this.#declared && connections.size === 0) return undefined;
    this.#egress ??= this.#hosts.egressPool({ tenant: id, cordon, bundle: this.hash, limits, tools: () => this.#egressTools() });
    return this.#egress;
  }

  async close(drainMs: number): Promise<void> {
    await Promise.all([this.#code?.close(drainMs), this.#codePerCall?.close(drainMs), this.#egress?.close(drainMs)]);
  }

  #pool(isolation: CompiledTenant['isolation']): ToolsPool | undefined {
    const script = this.#script;
    if (script === undefined) return undefined;
    const { id, cordon, vars, limits } = this.#config;
    const spec = { tenant: id, cordon, bundle: script, vars, limits, isolation, rights: this.#rights };
    return this.#hosts.toolsPool({ ...spec, script: () => this.#cache.script(id, script) });
  }

  #egressTools(): Uint8Array {
    const tools: EgressTools = {};
    for (const { name, inputSchema, outputSchema, binding } of this.tools.values()) {
      if (binding !== undefined) tools[name] = { inputSchema, binding, ...(outputSchema === undefined ? {} : { outputSchema }) };
    }
    return Buffer.from(JSON.stringify(tools));
  }
}
