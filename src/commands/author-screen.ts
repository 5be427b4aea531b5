// What an author sees while a server runs: each change of a tenant with its new bundle, and each problem with its place.
// Not responsible for watching files or for calls (their log lines are `log-line`'s).
// Invariant: one line per change; a problem says whether an older version keeps serving.
import { type Problem, problemLine } from '../shared/problem.ts';
import type { Tenant, Toolset } from '../tenants/tenant.ts';
import { printable } from './log-line.ts';

export interface Change {
  readonly tenant: Tenant | undefined;
  readonly id: string;
  /** Hash of the toolset that served before. */
  readonly before: string | undefined;
  readonly tookMs: number | undefined;
}

/** `✓ acme  bundle 3f2a→91c0  3 tools  41 ms   live, old calls drain` */
export function changeLines({ tenant, id, before, tookMs }: Change): string {
  if (tenant === undefined) return `✓ ${id}  removed\n`;
  const now = tenant.toolset?.hash;
  const problems = problemLines(tenant.problems, before !== undefined && now === before ? short(before) : undefined, id);
  if (now === undefined || now === before) return problems;
  const took = tookMs === undefined ? '' : `  ${Math.round(tookMs)} ms`;
  const from = before === undefined ? '' : `${short(before)}→`;
  const drains = before === undefined ? 'live' : 'live, calls of the old one end there';
  return `${problems}✓ ${id}  bundle ${from}${short(now)}  ${inventory(tenant.toolset)}${took}   ${drains}\n`;
}

/** `serving`: the bundle that keeps serving although there are problems. */
export function problemLines(problems: readonly Problem[], serving: string | undefined, id: string): string {
  const keeps = serving === undefined ? '' : `   ${serving} keeps serving`;
  return problems.map((problem) => `✗ ${id}  ${printable(problemLine(problem))}${keeps}\n`).join('');
}

function inventory(toolset: Toolset | undefined): string {
  return inventoryOf(toolset?.tools.size ?? 0, toolset?.prompts.size ?? 0, toolset?.resources.all.length ?? 0);
}

/** `3 tools, 1 prompt`: of the rest only what there is. */
export function inventoryOf(tools: number, prompts: number, resources: number): string {
  const rest = [[prompts, 'prompt'] as const, [resources, 'resource'] as const].filter(([number]) => number > 0);
  return [count(tools, 'tool'), ...rest.map(([number, word]) => count(number, word))].join(', ');
}

function short(hash: string): string {
  return hash.slice(0, 4);
}

export function count(number: number, word: string): string {
  return `${number} ${word}${number === 1 ? '' : 's'}`;
}
