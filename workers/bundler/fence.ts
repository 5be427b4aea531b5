// The wall around a tenant's sources: which real paths a bundle may be made of, and what each is called in it.
// Not responsible for finding files (`resolve`). Node's permission model is the second wall, but it follows symbolic
// links that lead out, so this one judges real paths only.
// Invariant: every byte that reaches the bundle was read through `read`, from a regular file inside one of the roots.
import { createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { relative, sep } from 'node:path';
import type { BundleInput, BundleOrder } from '../../src/boundary/bundling.ts';
import { BUNDLING_LIMITS } from '../../src/shared/bundling-limits.ts';
import { Refusal } from './refusal.ts';

export type Space = 'tenant' | 'shared' | 'npm';
export interface Root {
  readonly space: Space;
  readonly dir: string;
}
/** A file inside the wall. `name` is stable across machines: it is what the bundle and its source map call the file. */
export interface Place {
  readonly root: Root;
  readonly path: string;
  readonly name: string;
}

export class Fence {
  readonly roots: readonly Root[];
  readonly inputs = new Map<string, BundleInput>();
  readonly absent = new Set<string>();
  #bytes = 0;

  constructor(order: Pick<BundleOrder, 'tenant' | 'shared' | 'libraries'>) {
    this.roots = [
      { space: 'tenant', dir: order.tenant },
      ...(order.shared === undefined ? [] : [{ space: 'shared', dir: order.shared } as const]),
      ...order.libraries.map((dir) => ({ space: 'npm', dir }) as const),
    ];
  }

  /** The place of a real path, or undefined outside the wall. */
  place(real: string): Place | undefined {
    for (const root of this.roots) {
      if (real.startsWith(root.dir + sep)) {
        return { root, path: real, name: relative(root.dir, real).replaceAll(sep, '/') };
      }
    }
    return undefined;
  }

  /**
   * The place of an existing regular file, links followed; undefined where there is none.
   * Throws `Refusal` where it lies outside, whether it exists or not: nobody learns what is there.
   */
  find(path: string): Place | undefined {
    if (this.place(path) === undefined) throw outside();
    const kind = kindOf(path);
    if (kind === 'denied') throw outside();
    if (kind !== 'file') {
      if (this.place(path)?.root.space !== 'npm') this.absent.add(path);
      return undefined;
    }
    const place = this.place(realpathSync.native(path));
    if (place === undefined) throw new Refusal('is a symbolic link that leads out of the folder of the tenant', FENCE_HINT);
    return place;
  }

  isFolder(path: string): boolean {
    return this.place(path) !== undefined && kindOf(path) === 'folder';
  }

  /** Reads a placed file once more from disk, within the limits, and remembers it as an input. */
  read(place: Place): Buffer {
    if (this.inputs.size >= BUNDLING_LIMITS.files)
      throw new Refusal(`is one file too many (limit ${BUNDLING_LIMITS.files} files)`);
    const fd = openSync(place.path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
    try {
      const { size, mtimeMs, ctimeMs } = fstatSync(fd);
      if (size > BUNDLING_LIMITS.fileBytes) throw new Refusal(`is larger than ${BUNDLING_LIMITS.fileBytes} bytes`);
      this.#bytes += size;
      if (this.#bytes > BUNDLING_LIMITS.totalBytes) {
        throw new Refusal(`brings the sources over ${BUNDLING_LIMITS.totalBytes} bytes in all`);
      }
      const content = readFileSync(fd);
      const sha256 = createHash('sha256').update(content).digest('hex');
      this.inputs.set(place.path, { path: place.path, size, mtimeMs, ctimeMs, sha256 });
      return content;
    } finally {
      closeSync(fd);
    }
  }
}

export const FENCE_HINT = "a bundle is made of the tenant's folder, the estate's shared/ and its node_modules only";
function outside(): Refusal {
  return new Refusal('lies outside the folder of the tenant', FENCE_HINT);
}

function kindOf(path: string): 'file' | 'folder' | 'denied' | undefined {
  try {
    const stat = statSync(path);
    return stat.isFile() ? 'file' : stat.isDirectory() ? 'folder' : undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ERR_ACCESS_DENIED' ? 'denied' : undefined;
  }
}
