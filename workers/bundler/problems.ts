// From esbuild's messages to problems that an author can act on: file, line, column, reason, what to do instead.
// Not responsible for how they are shown. Invariant: paths are relative to the estate, and no file content is quoted.
import { relative, sep } from 'node:path';
import type { Message } from 'esbuild-wasm';
import type { BundleAnswer, BundleOrder } from '../../src/boundary/bundling.ts';
import { BUNDLING_LIMITS } from '../../src/shared/bundling-limits.ts';
import type { Fence } from './fence.ts';
import type { Trail } from './trail.ts';

type Problem = Extract<BundleAnswer, { ok: false }>['problems'][number];
export interface Naming {
  readonly order: BundleOrder;
  readonly fence: Fence;
  readonly trail: Trail;
}
const TEXT = 1000;

export function toProblems(messages: readonly Message[], naming: Naming): Problem[] {
  const problems = messages.slice(0, BUNDLING_LIMITS.problems).map((message) => toProblem(message, naming));
  return problems.length > 0 ? problems : [{ file: display('tenant:tools', naming), reason: 'could not be bundled' }];
}

function toProblem(message: Message, naming: Naming): Problem {
  const { location } = message;
  const id = location?.file ?? '';
  const generated = location === null || id === 'entry:entry';
  const unresolved = /^Could not resolve "(.*)"$/.exec(message.text)?.[1];
  const refusal = unresolved === undefined ? undefined : naming.trail.refusal(id, unresolved);
  const at = generated ? {} : { line: location.line, column: location.column + 1 };
  if (unresolved !== undefined && refusal !== undefined) {
    if (generated)
      return {
        file: display(`tenant:${unresolved.replace(/^\.\//, '')}`, naming),
        reason: refusal.message,
        ...hint(refusal.hint),
      };
    const chain = naming.trail.chain(id);
    const through = chain.length > 1 ? `, imported through ${chain.map((step) => display(step, naming)).join(' -> ')}` : '';
    return {
      file: display(id, naming),
      ...at,
      reason: `import "${clip(unresolved)}" ${refusal.message}${through}`,
      ...hint(refusal.hint),
    };
  }
  const file = generated ? display('tenant:tools', naming) : display(id, naming);
  if (/top-level await/i.test(message.text)) {
    return {
      file,
      ...awaitAt(message, at),
      reason: 'top-level await is not possible in a toolset',
      hint: 'await inside the handler',
    };
  }
  const text = message.text.replaceAll(/\b(?:tenant|shared|npm):([^\s"]+)/g, (name) => display(name, naming));
  return { file, ...at, reason: clip(text), ...hint(message.notes[0]?.text) };
}

/** esbuild reports the import of a module with top-level await, and the await itself in a note. */
function awaitAt(message: Message, fallback: { line?: number; column?: number }): { line?: number; column?: number } {
  const own = message.location?.file !== 'entry:entry' ? message.location : null;
  const noted = message.notes.find((note) => note.location !== null)?.location ?? own;
  return noted === null || noted === undefined ? fallback : { line: noted.line, column: noted.column + 1 };
}

/** `tenant:tools/x.ts` as a path relative to the estate. */
function display(id: string, { order, fence }: Naming): string {
  const [space, ...rest] = id.split(':');
  const root = fence.roots.find((candidate) => candidate.space === space);
  if (root === undefined) return id;
  return clip(relative(order.estate, `${root.dir}/${rest.join(':')}`).replaceAll(sep, '/'));
}

function hint(text: string | undefined): { hint?: string } {
  return text === undefined || text === '' ? {} : { hint: clip(text) };
}
function clip(text: string): string {
  return text.length > TEXT ? `${text.slice(0, TEXT)}…` : text;
}
