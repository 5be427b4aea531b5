// From a tenant's folder to a toolset that can be served: cache, else bundle, describe, check, merge, store. Read it top down.
// Not responsible for when this happens or for what replaces what (`registry`).
// Invariant: a toolset with a fatal problem is never made; nothing is written to the cache before all of it was checked.
import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import type { BundleInput } from '../../boundary/bundling.ts';
import type { Manifest } from '../../boundary/manifest.ts';
import type { CompiledTenant } from '../../config/compiled.ts';
import { TENANTS_FOLDER } from '../../config/load-tenant.ts';
import type { Hosts, NodeRights } from '../../hosts/pool.ts';
import type { Problem } from '../../shared/problem.ts';
import { MY_CONNECTIONS } from '../builtins/my-connections.ts';
import { type DeclaredTools, readBindingFile } from './bindings.ts';
import { BundleCache, type BundleIndex } from './bundle-cache.ts';
import { Bundler } from './bundler.ts';
import { describe } from './describe.ts';
import { type DocumentReader, documentReader } from './graphql-document.ts';
import { fingerprint, sha256 } from './fingerprint.ts';
import { LiveToolset } from './live-toolset.ts';
import { mergeReadables, type MergedReadables } from './merge-readables.ts';
import { type Merged, mergeTools, missingConnections, slotsOf, type Source } from './merge.ts';
import type { DescribedTools } from './resident-tools.ts';
import { StackMapper } from './stack-mapper.ts';
import { listToolFiles, type ToolFiles } from './tool-files.ts';

export interface LoaderOptions {
  readonly estate: string;
  readonly dataDir: string;
  readonly hosts: Hosts;
}

export interface LoadedToolset {
  /** Undefined where a problem is fatal. */
  readonly toolset: LiveToolset | undefined;
  readonly problems: readonly Problem[];
  /** Whether it came out of the cache. */
  readonly cached: boolean;
}

interface Code {
  readonly script: string;
  readonly manifest: Manifest;
  readonly inputs: readonly BundleInput[];
  readonly absent: readonly string[];
}
type Step<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problems: readonly Problem[] };

export class ToolsetLoader {
  readonly cache: BundleCache;
  readonly mapper: StackMapper;
  readonly #options: LoaderOptions;
  readonly #bundler: Bundler;
  readonly #closing = new AbortController();

  constructor(options: LoaderOptions) {
    this.#options = options;
    this.cache = new BundleCache(options.dataDir, options.estate);
    this.mapper = new StackMapper(this.cache);
    this.#bundler = new Bundler(join(options.dataDir, 'run', 'bundler'));
  }

  /** From the cache, where the sources are what they were. Synchronous: a start asks this of every tenant. */
  cached(config: CompiledTenant): LoadedToolset | undefined {
    const index = this.cache.index(config.id);
    if (index === undefined || (index.runtime ?? 'sandbox') !== config.runtime) return undefined;
    if (!this.cache.isCurrent(config.id, index, listToolFiles(config.dir))) return undefined;
    const toolset = this.#live(index, config);
    return { toolset, problems: this.#connectionProblems(toolset, config, index), cached: true };
  }

  /** Never rejects for what an author did. */
  async load(config: CompiledTenant): Promise<LoadedToolset> {
    const hit = this.cached(config);
    if (hit !== undefined) return hit;
    const recordedAt = Date.now();
    const files = listToolFiles(config.dir);
    const folder = `${TENANTS_FOLDER}/${config.id}`;
    const failed = (problems: readonly Problem[]): LoadedToolset => ({ toolset: undefined, problems, cached: false });
    const declared = readDeclared(config.dir, folder, files);
    const code = files.code.length === 0 ? { ok: true as const, value: undefined } : await this.#code(config, folder, files);
    if (!declared.ok || !code.ok) {
      return failed([...(declared.ok ? [] : declared.problems), ...(code.ok ? [] : code.problems)]);
    }
    const sources = [...fromCode(code.value), ...declared.value.sources];
    const merged = mergeTools(sources, folder, await readerFor(sources));
    const readables = mergeReadables(code.value?.manifest, folder);
    const fatal = [...merged.fatal, ...readables.fatal];
    if (fatal.length > 0) return failed(fatal);
    const making = { recordedAt, files, code: code.value, inputs: declared.value.inputs, merged, readables };
    const index = this.#store(config, making);
    const toolset = this.#live(index, config);
    return { toolset, problems: this.#connectionProblems(toolset, config, index), cached: false };
  }

  /** Loads under way end soon, without a toolset: code that never ends its load must not hold up the end of the server. */
  close(): void {
    this.#closing.abort();
    this.#bundler.close();
  }

  async #code(config: CompiledTenant, folder: string, files: ToolFiles): Promise<Step<Code>> {
    const { estate, hosts } = this.#options;
    const bundled = await this.#bundler.bundle({
      estate,
      tenant: config.dir,
      shared: ownFolder(estate, 'shared'),
      libraries: [ownFolder(estate, 'node_modules')].filter((dir) => dir !== undefined),
      runtime: config.runtime,
      entries: files.code,
    });
    if (!('script' in bundled)) {
      return {
        ok: false,
        problems: bundled.answer.problems.map((one) => (one.file === 'tools' ? { ...one, file: `${folder}/tools` } : one)),
      };
    }
    // Kept before it is known to be good: the stack of a bundle that does not load needs its map.
    const hash = this.cache.putScript(config.id, bundled.script, bundled.map);
    const described = await describe(hosts, {
      config,
      rights: nodeRights(estate, config),
      folder,
      script: { hash, bytes: bundled.script },
      files: files.code,
      mapStack: (stack) => this.mapper.map(config.id, stack),
      closing: this.#closing.signal,
    });
    if (described.value === undefined) return { ok: false, problems: described.problems };
    const { inputs, absent } = bundled.answer;
    return { ok: true, value: { script: hash, manifest: described.value, inputs, absent } };
  }

  #store({ id: tenant, runtime }: CompiledTenant, made: Making): BundleIndex {
    const { recordedAt, files, code, merged, readables } = made;
    const { prompts, resources } = readables;
    const described: DescribedTools = {
      ...(code?.manifest.instructions === undefined ? {} : { instructions: code.manifest.instructions }),
      tools: merged.tools,
      prompts,
      resources,
    };
    const text = JSON.stringify(described);
    const index: Omit<BundleIndex, 'format' | 'estate'> = {
      ...(runtime === 'node' ? { runtime } : {}),
      recordedAt,
      hash: sha256(`${code?.script ?? ''}\n${text}`),
      ...(code === undefined ? {} : { script: code.script }),
      tools: merged.tools.length,
      declared: merged.tools.some((tool) => tool.binding !== undefined),
      slots: [...new Set([...merged.tools, ...prompts, ...resources].flatMap((one) => [...slotsOf(one)]))],
      code: [...files.code],
      bindings: [...files.bindings],
      inputs: [...(code?.inputs ?? []), ...made.inputs],
      absent: [...(code?.absent ?? [])],
    };
    return this.cache.put(tenant, index, text);
  }

  #live(index: BundleIndex, config: CompiledTenant): LiveToolset {
    return new LiveToolset(index, config, this.#options.hosts, this.cache, nodeRights(this.#options.estate, config));
  }

  /** Judged at every load, since it depends on tenant.json; only tools that use connections need to be looked at. */
  #connectionProblems(toolset: LiveToolset, config: CompiledTenant, index: BundleIndex): Problem[] {
    const hidden = hiddenBuiltin(toolset, config);
    if (index.slots.every((slot) => config.connections.has(slot))) return hidden;
    const users = [...toolset.tools.values(), ...toolset.prompts.values(), ...toolset.resources.all];
    return [...hidden, ...missingConnections(users, (slot) => config.connections.has(slot), `${TENANTS_FOLDER}/${config.id}`)];
  }
}

function hiddenBuiltin(toolset: LiveToolset, { id, builtins }: CompiledTenant): Problem[] {
  const { name } = MY_CONNECTIONS;
  if (!builtins.connections || toolset.tools.get(name)?.builtin !== undefined) return [];
  const reason = `/builtins/connections is of no effect: the tenant has a tool "${name}" of its own`;
  return [{ file: `${TENANTS_FOLDER}/${id}/tenant.json`, reason }];
}

interface Making {
  readonly recordedAt: number;
  readonly files: ToolFiles;
  readonly code: Code | undefined;
  /** The binding files. */
  readonly inputs: readonly BundleInput[];
  readonly merged: Merged;
  readonly readables: MergedReadables;
}

function fromCode(code: Code | undefined): Source[] {
  return (code?.manifest.tools ?? []).map((tool) => ({ tool }));
}

async function readerFor(sources: readonly Source[]): Promise<DocumentReader | undefined> {
  return sources.some(({ tool }) => tool.binding?.kind === 'graphql') ? documentReader() : undefined;
}

function readDeclared(dir: string, folder: string, files: ToolFiles): Step<{ sources: Source[]; inputs: BundleInput[] }> {
  const sources: Source[] = [];
  const inputs: BundleInput[] = [];
  const problems: Problem[] = [];
  for (const file of files.bindings) {
    const before = tryFingerprint(join(dir, file));
    const read = readBindingFile(dir, folder, file);
    problems.push(...read.problems);
    if (read.value === undefined) continue;
    if (before !== undefined) inputs.push(before);
    sources.push(...toSources(read.value));
  }
  return problems.length > 0 ? { ok: false, problems } : { ok: true, value: { sources, inputs } };
}

function toSources({ tools, locate }: DeclaredTools): Source[] {
  return tools.map((tool) => ({ tool, locate }));
}

function tryFingerprint(path: string): BundleInput | undefined {
  try {
    return fingerprint(path);
  } catch {
    return undefined;
  }
}

/** A folder of the estate, where it is one and not a link to somewhere else. */
function ownFolder(estate: string, name: string): string | undefined {
  const path = join(estate, name);
  try {
    return realpathSync.native(path) === path ? path : undefined;
  } catch {
    return undefined;
  }
}

/** What code without a sandbox may read: its own folder and the packages of the estate. */
function nodeRights(estate: string, { runtime, dir }: CompiledTenant): NodeRights | undefined {
  if (runtime !== 'node') return undefined;
  const folders = ['shared', 'node_modules'].map((name) => ownFolder(estate, name)).filter((path) => path !== undefined);
  return { modules: estate, reads: [dir, join(estate, 'package.json'), ...folders] };
}
