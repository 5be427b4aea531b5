// The cache of bundles on disk, `<data>/bundles/<tenant>/`: index, scripts and maps by content hash, described tools.
// Not responsible for making any of them. Invariant: an index is written last and whole, so what it names is there;
// nothing of it is trusted for being there: scripts are checked against their name when they are read.
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Static, Type } from 'typebox';
import { Compile } from 'typebox/compile';
import { BundleInputSchema } from '../../boundary/bundling.ts';
import { sha256, stillAbsent, unchanged } from './fingerprint.ts';
import type { ToolFiles } from './tool-files.ts';

/** Raised whenever the same sources would give another product: entry form, esbuild's version, listing format. */
const FORMAT = 3;
const Hash = Type.String({ pattern: '^[0-9a-f]{64}$' });

const IndexSchema = Type.Object(
  {
    format: Type.Literal(FORMAT),
    /** Paths of sources are absolute: in a copied estate they would lead to the original. */
    estate: Type.String(),
    runtime: Type.Optional(Type.Literal('node')),
    recordedAt: Type.Number(),
    hash: Hash,
    script: Type.Optional(Hash),
    tools: Type.Integer({ minimum: 0 }),
    declared: Type.Boolean(),
    /** Connections that its tools use. */
    slots: Type.Array(Type.String()),
    code: Type.Array(Type.String()),
    bindings: Type.Array(Type.String()),
    inputs: Type.Array(BundleInputSchema),
    absent: Type.Array(Type.String()),
  },
  { additionalProperties: false },
);
/** What is known of a built toolset without loading it. */
export type BundleIndex = Static<typeof IndexSchema>;
const checkIndex = Compile(IndexSchema);
const INDEX = 'index.json';

export class BundleCache {
  readonly #dir: string;
  readonly #estate: string;

  constructor(dataDir: string, estate: string) {
    this.#dir = join(dataDir, 'bundles');
    this.#estate = estate;
  }

  /** The newest index of a tenant, whether or not its sources are still the same. */
  index(tenant: string): BundleIndex | undefined {
    try {
      const index: unknown = JSON.parse(readFileSync(this.#path(tenant, INDEX), 'utf8'));
      return checkIndex.Check(index) && index.estate === this.#estate ? index : undefined;
    } catch {
      return undefined;
    }
  }

  /** Whether an index still describes the sources; cheap where nothing was touched. */
  isCurrent(tenant: string, index: BundleIndex, files: ToolFiles): boolean {
    return (
      equal(index.code, files.code) &&
      equal(index.bindings, files.bindings) &&
      index.inputs.every((input) => unchanged(input, index.recordedAt)) &&
      index.absent.every(stillAbsent) &&
      existsSync(this.toolsPath(tenant, index.hash)) &&
      (index.script === undefined || existsSync(this.#path(tenant, `${index.script}.js`)))
    );
  }

  /** Stores script and map; returns the script's hash. */
  putScript(tenant: string, script: Uint8Array, map: Uint8Array): string {
    const hash = sha256(script);
    this.#write(tenant, `${hash}.js.map`, map);
    this.#write(tenant, `${hash}.js`, script);
    return hash;
  }

  /** Stores what was described and then the index. Files that neither it nor the index before it names are removed. */
  put(tenant: string, made: Omit<BundleIndex, 'format' | 'estate'>, tools: string): BundleIndex {
    const before = this.index(tenant);
    const index: BundleIndex = { format: FORMAT, estate: this.#estate, ...made };
    this.#write(tenant, `${index.hash}.tools.json`, tools);
    this.#write(tenant, INDEX, JSON.stringify(index));
    const keep = [before?.hash, before?.script, index.hash, index.script];
    for (const name of readdirSync(join(this.#dir, tenant))) {
      if (name !== INDEX && !keep.includes(name.split('.')[0])) rmSync(this.#path(tenant, name), { force: true });
    }
    return index;
  }

  toolsPath(tenant: string, hash: string): string {
    return this.#path(tenant, `${hash}.tools.json`);
  }

  /** Rejects where the file is not what its name says. */
  async script(tenant: string, hash: string): Promise<Uint8Array> {
    const script = await readFile(this.#path(tenant, `${hash}.js`));
    if (sha256(script) !== hash) throw new Error(`the cached bundle of ${tenant} was changed; remove ${this.#dir}`);
    return script;
  }

  /** The source map of the script whose hash begins with `prefix` (hex), as text. */
  map(tenant: string, prefix: string): string | undefined {
    try {
      const name = readdirSync(join(this.#dir, tenant)).find((file) => file.startsWith(prefix) && file.endsWith('.js.map'));
      return name === undefined ? undefined : readFileSync(this.#path(tenant, name), 'utf8');
    } catch {
      return undefined;
    }
  }

  remove(tenant: string): void {
    rmSync(join(this.#dir, tenant), { recursive: true, force: true });
  }

  #path(tenant: string, name: string): string {
    return join(this.#dir, tenant, name);
  }

  #write(tenant: string, name: string, content: Uint8Array | string): void {
    const path = this.#path(tenant, name);
    mkdirSync(join(this.#dir, tenant), { recursive: true, mode: 0o700 });
    const part = `${path}.${process.pid}.part`;
    writeFileSync(part, content, { mode: 0o600 });
    renameSync(part, path);
  }
}

function equal(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((text, index) => text === b[index]);
}
