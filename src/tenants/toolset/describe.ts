// Asks a bundle what it is: in a tools pool of its own that ends at once, since most tenants are not called next.
// Not responsible for the pool that serves. Invariant: settles within the deadline; what comes back is checked.
import type { Manifest } from '../../boundary/manifest.ts';
import type { CompiledTenant } from '../../config/compiled.ts';
import type { Hosts, NodeRights } from '../../hosts/pool.ts';
import type { Failure } from '../../shared/errors.ts';
import type { Loaded, Problem } from '../../shared/problem.ts';
import { checkManifestText } from './manifest-check.ts';

const DEADLINE_MS = 20_000;

export interface Describing {
  readonly config: CompiledTenant;
  readonly rights: NodeRights | undefined;
  readonly folder: string;
  readonly script: { readonly hash: string; readonly bytes: Uint8Array };
  readonly files: readonly string[];
  readonly mapStack: (stack: string) => string;
  /** Nobody waits for the answer any more. */
  readonly closing: AbortSignal;
}

export async function describe(hosts: Hosts, of: Describing): Promise<Loaded<Manifest>> {
  const { id, cordon, vars, limits } = of.config;
  const pool = hosts.toolsPool({
    tenant: id,
    cordon,
    bundle: of.script.hash,
    vars,
    limits: { ...limits, threads: 1 },
    rights: of.rights,
    script: () => Promise.resolve(of.script.bytes),
  });
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`did not load within ${DEADLINE_MS / 1000} s`)), DEADLINE_MS);
  const onClosing = (): void => late.reject(new Error('the server ends'));
  of.closing.addEventListener('abort', onClosing, { once: true });
  try {
    of.closing.throwIfAborted();
    const text = await Promise.race([pool.describe(), late.promise]);
    return checkManifestText(text, of.folder, of.files);
  } catch (error) {
    return { value: undefined, problems: [broken(error, of)] };
  } finally {
    clearTimeout(timer);
    of.closing.removeEventListener('abort', onClosing);
    void pool.close(0);
  }
}

/** The problem of a bundle that does not load, at the first position of the author's own files in its stack. */
function broken(error: unknown, { folder, files, mapStack }: Describing): Problem {
  const failure = (error as { failure?: Failure }).failure;
  const stack = mapStack(failure?.detail ?? (error instanceof Error ? error.message : 'unknown'));
  const reason = `does not load: ${stack.split('\n')[0]?.slice(0, 500) ?? ''}`;
  const hint = 'code outside handlers runs when the toolset is loaded';
  const frame = /(?:^|[\s(])((?:tools|shared)\/[^\s():]+):(\d+):(\d+)/m.exec(stack);
  if (frame !== null) return { file: `${folder}/${frame[1]}`, line: Number(frame[2]), column: Number(frame[3]), reason, hint };
  const named = files.find((file) => stack.includes(file));
  return { file: named === undefined ? `${folder}/tools` : `${folder}/${named}`, reason, hint };
}
