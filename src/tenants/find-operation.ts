// Finds what a caller asks to have run, and says whether the caller may.
// Not responsible for what a list shows (`toolset-view`, which leaves out what is refused here) or for running. Pure.
// Invariant: without a toolset everything is unknown; what needs scopes that the caller lacks is never given out.
import { mayUse } from '../auth/policy.ts';
import type { Principal } from '../auth/principal.ts';
import { UNKNOWN_OPERATION } from '../boundary/operation.ts';
import type { Asked } from '../mcp/ports.ts';
import { type Failure, failure } from '../shared/errors.ts';
import type { Runnable, Toolset } from './tenant.ts';

export function findOperation(toolset: Toolset | undefined, principal: Principal, asked: Asked): Runnable | Failure {
  const spec = toolset === undefined ? undefined : lookUp(toolset, asked);
  if (spec === undefined) return failure(UNKNOWN_OPERATION[asked.kind]);
  return mayUse(principal, spec.scopes) ? spec : failure('scope_insufficient', { data: { scopes: [...(spec.scopes ?? [])] } });
}

function lookUp(toolset: Toolset, { kind, name }: Asked): Runnable | undefined {
  switch (kind) {
    case 'tool':
      return toolset.tools.get(name);
    case 'prompt':
    case 'complete_prompt':
      return toolset.prompts.get(name);
    case 'resource':
      return toolset.resources.find(name);
    case 'complete_resource':
      return toolset.resources.template(name);
    default:
      return kind satisfies never;
  }
}
