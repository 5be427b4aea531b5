// A declared GraphQL tool: its fixed document and checked arguments in, an HTTP request out; the answer in, a result out. Pure.
// Not responsible for parsing the document: that was done when the toolset was loaded.
// Invariant: only variables that the document declares leave; an answer with errors is a failure, whatever its status or data.
// Source: GraphQL specification, October 2021, section 7; GraphQL over HTTP, draft of 2025.
import type { LoadedGraphql } from '../../src/boundary/binding.ts';
import { failure } from '../../src/shared/errors.ts';
import { bindingPath } from '../../src/shared/binding-check.ts';
import type { Json } from '../../src/shared/json.ts';
import type { SchemaCheck } from '../schema-check.ts';
import {
  compileMapping,
  explanation,
  invalid,
  type MappedResult,
  type MapResponse,
  parseObject,
  statusFailure,
  type ValueMapping,
} from './answer.ts';
import type { BuildRequest } from './rest-request.ts';
import { compileTarget } from './target.ts';
import { valueOf } from './value-of.ts';

/** @throws Error where a template or a header of the binding is not usable. */
export function compileGraphqlRequest(binding: LoadedGraphql): BuildRequest {
  const target = compileTarget(bindingPath(binding), binding.headers);
  const { name, variables } = binding.operation;
  const fixed = { query: binding.document, ...(name === undefined ? {} : { operationName: name }) };
  return (args, origin) => {
    const made = target.at(args, origin);
    if (!made.ok) return made;
    const { url, headers } = made;
    const given: [string, Json][] = [];
    for (const variable of variables) {
      const value = valueOf(args, variable.name);
      if (value !== undefined) given.push([variable.name, value]);
    }
    headers['content-type'] = 'application/json';
    headers['accept'] ??= 'application/graphql-response+json, application/json;q=0.9';
    const body = Buffer.from(JSON.stringify({ ...fixed, variables: Object.fromEntries(given) }));
    return { ok: true, request: { method: 'POST', url, headers, body } };
  };
}

/** @throws Error where the `select` expression is not JMESPath. */
export function compileGraphqlResponse(binding: LoadedGraphql, checkOutput: SchemaCheck | undefined): MapResponse {
  const mapping = compileMapping(binding.response, checkOutput);
  return (answer, objectsOnly = false) => {
    const body = parseObject(answer);
    const isGood = answer.status >= 200 && answer.status <= 299;
    if (typeof body === 'string') return isGood ? invalid(body) : { ok: false, failure: statusFailure(answer) };
    const { errors, data } = body;
    if (Array.isArray(errors) && errors.length > 0) return failed(errors, data, binding, mapping);
    if (!isGood) return { ok: false, failure: statusFailure(answer) };
    if (errors !== undefined && errors !== null && !Array.isArray(errors)) return invalid('errors that are no list');
    if (data === undefined || data === null) return invalid('neither data nor errors');
    return mapping.result(data, objectsOnly);
  };
}

/** Codes of Apollo, GitHub (`type`), Linear and Shopify; there is no standard list. */
const UNAUTHENTICATED: ReadonlySet<string> = new Set(['UNAUTHENTICATED', 'AUTHENTICATION_ERROR']);
const FORBIDDEN: ReadonlySet<string> = new Set(['FORBIDDEN', 'ACCESS_DENIED', 'INSUFFICIENT_SCOPES', 'UNAUTHORIZED']);
const LATER: ReadonlySet<string> = new Set(['RATE_LIMITED', 'RATE_LIMIT', 'THROTTLED', 'SERVICE_UNAVAILABLE']);

/** Errors told to an agent. */
const TOLD = 5;
const MESSAGE_CHARACTERS = 300;

function failed(
  errors: readonly Json[],
  data: Json | undefined,
  { operation }: LoadedGraphql,
  mapping: ValueMapping,
): MappedResult {
  const codes = errors.flatMap((error) => codeOf(error) ?? []);
  // Section 7.1: without `data` the operation was not begun. With it, other fields of a mutation may have had their effect.
  const isHarmless = operation.type === 'query' || data === undefined;
  const told = { errors: errors.slice(0, TOLD).map(toldOf), ...partial(data, mapping) };
  if (codes.some((code) => UNAUTHENTICATED.has(code))) {
    const reason = failure('credential_rejected', { data: told, detail: 'GraphQL: UNAUTHENTICATED' });
    return { ok: false, failure: reason, ...(isHarmless ? { recover: 'credential_rejected' } : {}) };
  }
  if (codes.some((code) => FORBIDDEN.has(code))) {
    const message = 'The service behind the tool does not let the connected account do this.';
    return { ok: false, failure: failure('credential_rejected', { message, data: told, detail: 'GraphQL: FORBIDDEN' }) };
  }
  const message =
    told.data === undefined
      ? 'The service behind the tool answered with an error.'
      : 'The service behind the tool answered with a part of what was asked, and an error for the rest.';
  if (codes.some((code) => LATER.has(code)) && isHarmless) {
    return { ok: false, failure: failure('upstream_unavailable', { detail: 'GraphQL: asked for less' }), recover: 'transient' };
  }
  return { ok: false, failure: failure('upstream_error', { message, data: told, detail: `GraphQL: ${errors.length} errors` }) };
}

/** What did come, selected as a whole answer would be, where it is small. */
function partial(data: Json | undefined, mapping: ValueMapping): { readonly data?: Json } {
  if (data === undefined || data === null) return {};
  const selected = mapping.select(data);
  const small = selected.ok ? explanation(selected.value) : undefined;
  return small === undefined || small === null ? {} : { data: small };
}

function codeOf(error: Json): string | undefined {
  if (!isObject(error)) return undefined;
  const { extensions, type } = error;
  const code = isObject(extensions) ? (extensions['code'] ?? type) : type;
  return typeof code === 'string' ? code.toUpperCase() : undefined;
}

function toldOf(error: Json): Json {
  if (!isObject(error)) return { message: 'an error without a form' };
  const { message, path } = error;
  const code = codeOf(error)?.slice(0, 64);
  const place = Array.isArray(path) ? explanation(path.slice(0, 16)) : undefined;
  return {
    message: typeof message === 'string' ? message.slice(0, MESSAGE_CHARACTERS) : 'an error without a message',
    ...(code === undefined ? {} : { code }),
    ...(place === undefined ? {} : { path: place }),
  };
}

function isObject(value: Json | undefined): value is { readonly [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
