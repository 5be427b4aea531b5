// Judges what a tools thread says of its bundle: untrusted JSON text becomes a Manifest, or problems.
// Not responsible for names across files (`merge`). Invariant: bounded before it is parsed, checked before it is used.
import { Compile } from 'typebox/compile';
import { type Manifest, ManifestSchema } from '../../boundary/manifest.ts';
import type { Loaded, Problem } from '../../shared/problem.ts';

export const MANIFEST_BYTES = 4 * 1024 * 1024;
const checkManifest = Compile(ManifestSchema);
const MOST = 10;

/** `folder`: of the tenant, relative to the estate. `known`: the toolset files of the bundle. */
export function checkManifestText(text: Uint8Array, folder: string, known: readonly string[]): Loaded<Manifest> {
  if (text.length > MANIFEST_BYTES)
    return failed([{ file: folder, reason: `describes itself with more than ${MANIFEST_BYTES} bytes` }]);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(text));
  } catch {
    return failed([{ file: folder, reason: 'describes itself with something that is not JSON' }]);
  }
  if (!checkManifest.Check(value)) return failed(wrongParts(value, folder, known));
  const all = [...value.tools, ...(value.prompts ?? []), ...(value.resources ?? [])];
  if (all.some(({ file }) => !known.includes(file))) {
    return failed([{ file: folder, reason: 'describes something of a file that it does not have' }]);
  }
  return { value, problems: [] };
}

function wrongParts(value: unknown, folder: string, known: readonly string[]): Problem[] {
  const problems = checkManifest
    .Errors(value)
    .slice(0, MOST)
    .map((error): Problem => {
      const [, list, index, rest] = /^\/(tools|prompts|resources)\/(\d+)(.*)$/.exec(error.instancePath) ?? [];
      const all: unknown = list === undefined ? undefined : (value as { [list: string]: unknown })[list];
      const one: unknown = Array.isArray(all) ? all[Number(index)] : undefined;
      const { name, file } = (one ?? {}) as { name?: unknown; file?: unknown };
      const where = typeof file === 'string' && known.includes(file) ? `${folder}/${file}` : folder;
      const what = typeof name === 'string' ? `${list?.slice(0, -1)} "${name.slice(0, 80)}"` : 'the toolset';
      if (rest === '/name') return { file: where, reason: `${what} has a name that clients refuse`, hint: NAME_HINT };
      return {
        file: where,
        reason: `${what}: ${rest === undefined ? error.instancePath : rest} ${error.message}`.replace(':  ', ': '),
      };
    });
  return problems.length > 0 ? problems : [{ file: folder, reason: 'describes itself in a form that is not known' }];
}

export const NAME_HINT = 'letters, digits, _ and -, at most 64';

function failed(problems: Problem[]): Loaded<Manifest> {
  return { value: undefined, problems };
}
