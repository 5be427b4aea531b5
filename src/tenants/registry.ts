// All tenants of this server: loaded at start, reloaded when their files change, replaced atomically.
// Not responsible for making a toolset (`toolset/loader`) or for calls (`dispatch`).
// Invariant: a tenant changes by one assignment; a broken change keeps the toolset that serves; a replaced toolset ends
// only when the requests that began on it have ended, or after the drain time.
import { isDeepStrictEqual } from 'node:util';
import type { createLog } from '../audit/operational-log.ts';
import type { AuditLog } from '../audit/record.ts';
import type { CompiledServer, CompiledTenant } from '../config/compiled.ts';
import { listTenants, loadTenantConfig } from '../config/load-tenant.ts';
import type { Hosts } from '../hosts/pool.ts';
import { newCorrelationId } from '../shared/ids.ts';
import type { Problem } from '../shared/problem.ts';
import type { Tenant, TenantRegistry } from './tenant.ts';
import type { LiveToolset } from './toolset/live-toolset.ts';
import { ToolsetLoader } from './toolset/loader.ts';
import type { ToolsetUsers } from './toolset-users.ts';
import { ALL_TENANTS, sweepEstate, type Watch, WATCHED_TENANTS, watchEstate } from './watch.ts';

export interface RegistryOptions {
  readonly server: CompiledServer;
  readonly hosts: Hosts;
  readonly users: ToolsetUsers;
  readonly audit: AuditLog;
  readonly log: ReturnType<typeof createLog>;
  /** What else is wrong with a tenant: secrets that are not set. @default nothing */
  problemsOf?(tenant: CompiledTenant): readonly Problem[];
}

export interface TenantChange {
  readonly tenant: string;
  /** From the first sign of the change until it served. */
  readonly tookMs: number;
}

export interface Registry extends TenantRegistry {
  /** Called after a tenant was added, replaced or removed, or its problems changed. */
  onChange(listener: (change: TenantChange) => void): void;
  /** Positions in a stack of tenant code, as the author knows them. */
  mapStack(tenant: string, stack: string): string;
  /** Loads a tenant again now, as a change of its files would. */
  reload(tenant: string): Promise<void>;
  close(): Promise<void>;
}

/** Tenants loaded at once: bundling is work for the other core. */
const AT_ONCE = 2;
/** Cache checks between two turns of the event loop. */
const SLICE = 50;
const PROGRESS_MS = 2000;

/** Resolves when every tenant was loaded once, or found broken. */
export async function createRegistry(options: RegistryOptions): Promise<Registry> {
  const registry = new Tenants(options);
  await registry.start();
  return registry;
}

interface Entry extends Tenant {
  readonly toolset: LiveToolset | undefined;
}

class Tenants implements Registry {
  readonly #options: RegistryOptions;
  readonly #loader: ToolsetLoader;
  readonly #tenants = new Map<string, Entry>();
  /** Per tenant, the load under way and whether another one is wanted after it. */
  readonly #loading = new Map<string, { done: Promise<void>; again: boolean }>();
  readonly #listeners = new Set<(change: TenantChange) => void>();
  readonly #draining = new Set<Promise<void>>();
  #watch: Watch | undefined;
  #sorted: readonly Entry[] | undefined;
  #closed = false;

  constructor(options: RegistryOptions) {
    this.#options = options;
    const { estate, dataDir } = options.server;
    this.#loader = new ToolsetLoader({ estate, dataDir, hosts: options.hosts });
  }

  async start(): Promise<void> {
    const { server, log } = this.#options;
    const { ids, problems } = listTenants(server.estate);
    for (const problem of problems) log.warn({ problem }, 'a folder is no tenant');
    // Before the first load, so that no change falls between the two.
    if (server.watch && ids.length <= WATCHED_TENANTS)
      this.#watch = await watchEstate(server.estate, (names) => this.#touched(names));
    const left = await this.#fromCache(ids);
    let done = ids.length - left.length;
    let said = performance.now();
    const next = async (): Promise<void> => {
      for (let id = left.shift(); id !== undefined; id = left.shift()) {
        await this.reload(id).catch((err: unknown) => log.error({ err, tenant: id }, 'a tenant could not be loaded'));
        done += 1;
        if (performance.now() - said < PROGRESS_MS) continue;
        said = performance.now();
        log.info({ done, of: ids.length }, `loaded ${done} of ${ids.length} tenants`);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, next));
    if (server.watch)
      this.#watch ??= sweepEstate(
        () => this.#known(),
        (id) => this.#look(id),
      );
  }

  get(id: string): Tenant | undefined {
    return this.#tenants.get(id);
  }

  list(): readonly Tenant[] {
    this.#sorted ??= [...this.#tenants.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1));
    return this.#sorted;
  }

  onChange(listener: (change: TenantChange) => void): void {
    this.#listeners.add(listener);
  }

  mapStack(tenant: string, stack: string): string {
    return this.#loader.mapper.map(tenant, stack);
  }

  reload(id: string): Promise<void> {
    const running = this.#loading.get(id);
    if (running !== undefined) {
      running.again = true;
      return running.done;
    }
    const state = { done: Promise.resolve(), again: false };
    this.#loading.set(id, state);
    state.done = (async () => {
      try {
        do {
          state.again = false;
          await this.#load(id);
        } while (state.again && !this.#closed);
      } finally {
        this.#loading.delete(id);
      }
    })();
    return state.done;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#watch?.close();
    this.#loader.close();
    await Promise.all([...this.#loading.values()].map(({ done }) => done));
    await Promise.all([...this.#draining, ...[...this.#tenants.values()].map(({ toolset }) => toolset?.close(0))]);
  }

  /** Takes every tenant that is in the cache; returns the others. */
  async #fromCache(ids: readonly string[]): Promise<string[]> {
    const left: string[] = [];
    for (const [index, id] of ids.entries()) {
      if (index % SLICE === SLICE - 1) await new Promise((resolve) => setImmediate(resolve));
      const config = this.#config(id);
      const hit = config.value === undefined ? undefined : this.#loader.cached(config.value);
      if (config.value === undefined || hit === undefined) left.push(id);
      else this.#set({ id, config: config.value, toolset: hit.toolset, problems: [...config.problems, ...hit.problems] });
    }
    return left;
  }

  #config(id: string) {
    const { estate, limits, providers, auth } = this.#options.server;
    const loaded = loadTenantConfig(estate, id, limits, providers, auth);
    const more = loaded.value === undefined ? [] : (this.#options.problemsOf?.(loaded.value) ?? []);
    return more.length === 0 ? loaded : { ...loaded, problems: [...loaded.problems, ...more] };
  }

  async #load(id: string): Promise<void> {
    const began = performance.now();
    const before = this.#tenants.get(id);
    const config = this.#config(id);
    if (config.value === undefined) {
      if (before === undefined || !listTenants(this.#options.server.estate).ids.includes(id))
        return this.#gone(id, config.problems, began);
      return this.#keep(before, config.problems, began);
    }
    const loaded = await this.#loader.load(config.value);
    if (this.#closed) return loaded.toolset?.close(0);
    const problems = [...config.problems, ...loaded.problems];
    const same =
      before?.toolset !== undefined && loaded.toolset?.hash === before.toolset.hash && sameConfig(before.config, config.value);
    if (same) return this.#keep(before, problems, began);
    if (loaded.toolset === undefined) {
      // What it was trusted with is taken back: better not served than with rights that it has no more.
      if (before?.config.runtime === 'node' && config.value.runtime !== 'node') {
        this.#set({ id, config: config.value, toolset: undefined, problems });
        this.#retire(before.toolset);
        return this.#tell(id, began);
      }
      // Who may call follows the file, also where the tools that serve are older: whoever was taken out stays out.
      if (before !== undefined && !isDeepStrictEqual(before.config.auth, config.value.auth)) {
        this.#set({ ...before, config: { ...before.config, auth: config.value.auth }, problems });
        return this.#tell(id, began);
      }
      return this.#keep(before ?? { id, config: config.value, toolset: undefined, problems }, problems, began);
    }
    if (loaded.toolset.hash !== before?.toolset?.hash && !loaded.cached && !(await this.#audited(id, loaded.toolset))) {
      const reason = 'the audit trail cannot be written, so the change is not served';
      return this.#keep(
        before ?? { id, config: config.value, toolset: undefined, problems },
        [{ file: `tenants/${id}`, reason }],
        began,
      );
    }
    this.#set({ id, config: config.value, toolset: loaded.toolset, problems });
    this.#retire(before?.toolset);
    this.#tell(id, began);
  }

  /** The toolset that serves stays; only what is known of the folder's newest state changes. */
  #keep(entry: Entry, problems: readonly Problem[], began: number): void {
    const known = this.#tenants.get(entry.id);
    if (known !== undefined && isDeepStrictEqual(known.problems, problems)) return;
    this.#set({ ...entry, problems });
    this.#tell(entry.id, began);
  }

  #gone(id: string, problems: readonly Problem[], began: number): void {
    for (const problem of problems) this.#options.log.debug({ tenant: id, problem }, 'no tenant');
    const before = this.#tenants.get(id);
    if (before === undefined) return this.#refused(id, problems);
    this.#tenants.delete(id);
    this.#sorted = undefined;
    this.#retire(before.toolset);
    this.#tell(id, began);
  }

  /** A tenant whose configuration never was right: it is not served, and the operator is told. */
  #refused(id: string, problems: readonly Problem[]): void {
    for (const problem of problems) this.#options.log.warn({ tenant: id, problem }, 'a tenant is not served');
  }

  #set(entry: Entry): void {
    this.#tenants.set(entry.id, Object.freeze(entry));
    this.#sorted = undefined;
  }

  #tell(tenant: string, began: number): void {
    const change = { tenant, tookMs: performance.now() - began };
    for (const listener of this.#listeners) listener(change);
  }

  #retire(toolset: LiveToolset | undefined): void {
    if (toolset === undefined) return;
    const { users, server, log } = this.#options;
    const drained = users
      .idle(toolset, server.drainMs)
      .then(() => toolset.close(0))
      .catch((err: unknown) => log.warn({ err }, 'a replaced toolset did not end well'))
      .finally(() => this.#draining.delete(drained));
    this.#draining.add(drained);
  }

  async #audited(tenant: string, toolset: LiveToolset): Promise<boolean> {
    const correlation = newCorrelationId();
    try {
      const what = { kind: 'toolset.changed', bundle: toolset.hash, tools: toolset.tools.size } as const;
      await this.#options.audit.append({ ...what, tenant, correlation, id: correlation });
      return true;
    } catch (err) {
      this.#options.log.error({ err, tenant }, 'a change of a toolset could not be audited');
      return false;
    }
  }

  /** Tenants that are there or were. */
  #known(): string[] {
    return [...new Set([...listTenants(this.#options.server.estate).ids, ...this.#tenants.keys()])];
  }

  /** Loads a tenant again where its files are not what is served. */
  #look(id: string): void {
    const served = this.#tenants.get(id);
    const config = this.#config(id).value;
    const same = config !== undefined && served !== undefined && sameConfig(served.config, config);
    if (!same || this.#loader.cached(config)?.toolset?.hash !== served.toolset?.hash) this.#touched(new Set([id]));
  }

  #touched(names: ReadonlySet<string>): void {
    if (this.#closed) return;
    const ids = names.has(ALL_TENANTS) || names.has('') ? this.#known() : names;
    for (const id of ids) {
      if (/^[._]/.test(id)) continue;
      this.reload(id).catch((err: unknown) => this.#options.log.error({ err, tenant: id }, 'a tenant could not be reloaded'));
    }
  }
}

function sameConfig(a: CompiledTenant, b: CompiledTenant): boolean {
  return isDeepStrictEqual(a, b);
}
