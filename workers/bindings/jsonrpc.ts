// A declared JSON-RPC 2.0 tool over HTTP POST: checked arguments in, a request out; the answer in, a result out. Pure but for the id.
// Not responsible for batches or notifications: neither is sent, and neither is taken for an answer.
// Invariant: a result belongs to the id that was sent; an error object keeps its code.
// Source: JSON-RPC 2.0 specification, sections 4 and 5.
import { randomInt } from 'node:crypto';
import type { JsonRpcBinding } from '../../src/boundary/binding.ts';
import { bindingPath } from '../../src/shared/binding-check.ts';
import { failure } from '../../src/shared/errors.ts';
import type { Json, JsonObject } from '../../src/shared/json.ts';
import type { Mismatch, SchemaCheck } from '../schema-check.ts';
import {
  compileMapping,
  explanation,
  invalid,
  type MappedResult,
  type MapResponse,
  parseObject,
  statusFailure,
} from './answer.ts';
import type { HttpRequest } from './rest-request.ts';
import { compileTarget } from './target.ts';
import { valueOf } from './value-of.ts';

/** The largest id that a service with 32-bit numbers gives back unharmed. */
const LARGEST_ID = 2 ** 31 - 1;
const MESSAGE_CHARACTERS = 300;

export type BuildJsonRpc = (
  args: JsonObject,
  origin: string,
) => { readonly ok: true; readonly request: HttpRequest; readonly id: number } | Mismatch;

/** @throws Error where a template or a header of the binding is not usable. */
export function compileJsonRpcRequest(binding: JsonRpcBinding): BuildJsonRpc {
  const target = compileTarget(bindingPath(binding), binding.headers);
  const elsewhere = new Set(target.names);
  return (args, origin) => {
    const made = target.at(args, origin);
    if (!made.ok) return made;
    const { url, headers } = made;
    headers['content-type'] = 'application/json';
    headers['accept'] ??= 'application/json';
    const id = randomInt(1, LARGEST_ID);
    const params = binding.params === undefined ? named(args, elsewhere) : positional(args, binding.params);
    const body = Buffer.from(JSON.stringify({ jsonrpc: '2.0', id, method: binding.rpcMethod, ...params }));
    return { ok: true, request: { method: 'POST', url, headers, body }, id };
  };
}

function named(args: JsonObject, elsewhere: ReadonlySet<string>): { readonly params?: JsonObject } {
  const entries = Object.entries(args).filter(([name]) => !elsewhere.has(name));
  return entries.length === 0 ? {} : { params: Object.fromEntries(entries) };
}

/** What is absent is null between others, and left out at the end. */
function positional(args: JsonObject, names: readonly string[]): { readonly params?: Json[] } {
  const params = names.map((name) => valueOf(args, name));
  const length = params.findLastIndex((value) => value !== undefined) + 1;
  return length === 0 ? {} : { params: params.slice(0, length).map((value) => value ?? null) };
}

/** @throws Error where the `select` expression is not JMESPath. */
export function compileJsonRpcResponse(
  binding: JsonRpcBinding,
  checkOutput: SchemaCheck | undefined,
): (id: number) => MapResponse {
  const mapping = compileMapping(binding.response, checkOutput);
  return (id) =>
    (answer, objectsOnly = false) => {
      const isGood = answer.status >= 200 && answer.status <= 299;
      const body = parseObject(answer);
      const wrong = typeof body === 'string' ? body : faultOf(body, id);
      if (typeof body === 'string' || wrong !== undefined) {
        return isGood ? invalid(wrong ?? 'not an answer') : { ok: false, failure: statusFailure(answer) };
      }
      const { error, result } = body;
      if (error !== undefined && error !== null) return failed(error);
      if (!isGood) return { ok: false, failure: statusFailure(answer) };
      return mapping.result(result ?? null, objectsOnly);
    };
}

function faultOf(body: JsonObject, id: number): string | undefined {
  if (body['jsonrpc'] !== '2.0') return 'not JSON-RPC 2.0';
  if (Object.hasOwn(body, 'method')) return 'a request or a notification instead of an answer';
  const hasError = body['error'] !== undefined && body['error'] !== null;
  const hasResult = Object.hasOwn(body, 'result');
  if (hasError && hasResult && body['result'] !== null) return 'a result and an error';
  if (!hasError && !hasResult) return 'neither a result nor an error';
  // Section 5: where the service could not read the id of a request, that of its error is null.
  if (body['id'] !== id && !(hasError && body['id'] === null)) return 'the id of another request';
  return undefined;
}

function failed(error: Json): MappedResult {
  const { code, message, data } = typeof error === 'object' && error !== null && !Array.isArray(error) ? error : {};
  if (typeof code !== 'number' || !Number.isSafeInteger(code) || typeof message !== 'string')
    return invalid('an error without code and message');
  const more = data === undefined ? undefined : explanation(data);
  return {
    ok: false,
    failure: failure('upstream_error', {
      message: `The service behind the tool answered with the JSON-RPC error ${code}.`,
      data: {
        code,
        message: message.slice(0, MESSAGE_CHARACTERS),
        ...(more === undefined ? {} : { data: more }),
      },
      detail: `JSON-RPC ${code}`,
    }),
  };
}
