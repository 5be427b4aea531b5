// A failure as a JSON-RPC error, the same in every revision and for every refusal of the HTTP edge.
// Not responsible for failures of a tool that ran (`tool-failure`): an agent reads those as results.
// Invariant: nothing but public text and the table's facts; `detail` never passes.
import type { JsonObject } from '../shared/json.ts';
import { FAILURES, type Failure, nextAction, publicText } from '../shared/errors.ts';

/** `id` is JSON text; left out where the request's could not be read (2026-07-28 has no null id). */
export function errorMessage(id: string | undefined, of: Failure, correlation: string, data?: JsonObject): string {
  const facts = { ...data, ...errorData(of, correlation) };
  const error = JSON.stringify({ code: FAILURES[of.code].rpc, message: publicText(of), data: facts });
  return `{"jsonrpc":"2.0",${id === undefined ? '' : `"id":${id},`}"error":${error}}`;
}

/** What every error's `data` says. */
export function errorData(of: Failure, correlation: string): JsonObject {
  return { class: FAILURES[of.code].class, code: of.code, correlationId: correlation, nextAction: nextAction(of) };
}

export function statusOf(of: Failure): number {
  return FAILURES[of.code].http;
}
