// What must stand before an operation is let in: arguments within their limit, the connections that it needs, tools that are loaded.
// Not responsible for who may call it (`find-operation`) or for accounts that are not connected (`connection-gate`).
// Invariant: pure; nothing is counted, recorded or begun.
import { type Failure, failure } from '../shared/errors.ts';
import type { Runnable, Toolset } from './tenant.ts';

/** Why the tenant cannot run this operation with these arguments; undefined where it can. */
export function whyUnready(
  spec: Runnable,
  toolset: Toolset,
  connections: ReadonlyMap<string, unknown>,
  args: Uint8Array,
  argumentsBytes: number,
): Failure | undefined {
  if (args.length > argumentsBytes) {
    return failure('arguments_too_large', {
      message: `The arguments have ${args.length} bytes; the limit argumentsBytes is ${argumentsBytes}.`,
      limit: 'argumentsBytes',
    });
  }
  const slots = spec.binding === undefined ? Object.keys(spec.connections ?? {}) : [spec.binding.connection];
  const missing = slots.find((slot) => !connections.has(slot));
  if (missing !== undefined)
    return failure('connection_unknown', { message: `The tenant has no connection "${missing}", which the tool needs.` });
  if (spec.builtin !== undefined) return undefined;
  return (spec.binding === undefined ? toolset.code : toolset.egress) === undefined ? failure('toolset_broken') : undefined;
}
